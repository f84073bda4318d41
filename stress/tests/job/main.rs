//! Jobs as scripts and people meet them. This program is the tester of a store with planted bugs when the environment says so, and
//! runs that as a process of its own, which it kills, stops and starves.

mod bad_input;
mod commits;
mod honest;
mod kept;
mod killed;
mod known;
mod merged;
mod metrics;
mod planted;
mod program;
#[path = "../../examples/tally/main.rs"]
#[allow(dead_code, reason = "its main is that of the example")]
mod tally;

use std::panic::catch_unwind;
use std::process::ExitCode;

use planted::PlantedSubject;
use tenterhook_stress::cli::{NoCommands, run};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("a_killed_job_resumes_to_the_totals_and_signatures_of_an_unbroken_one", kept::killed),
    ("a_full_disk_pauses_a_job_and_nothing_is_lost", kept::full_disk),
    ("the_totals_of_a_job_are_those_of_a_campaign_over_its_seeds", kept::as_a_campaign),
    ("two_bugs_are_two_signatures_with_a_folder_each", known::two_bugs),
    ("a_bug_that_goes_is_fixed_and_one_that_comes_back_has_regressed", known::regressed),
    ("an_operation_that_is_swept_is_swept_once_a_build", known::swept),
    ("processes_that_are_killed_are_a_kind_of_run", killed::found),
    ("a_point_that_no_killed_process_reached_is_a_fault_of_the_tester", killed::unreached),
    ("a_job_that_misses_its_canary_says_that_its_green_means_nothing", known::blind),
    ("bisect_names_the_commit_and_leaves_the_work_tree_alone", commits::bisect),
    ("ctrl_c_ends_a_bisection_with_its_build_and_its_work_tree", commits::interrupted),
    ("an_issue_has_what_repeats_the_failure", commits::issue),
    ("a_report_is_one_page_with_the_failures_in_it", commits::page),
    ("a_failing_seed_is_kept_when_time_is_up_before_its_shrinker", honest::unshrunk),
    ("failures_of_earlier_sittings_do_not_end_a_sitting", honest::until_failure),
    ("text_document_and_exit_code_of_a_job_agree", honest::agrees),
    ("a_worker_that_panics_is_a_fault_of_the_tester", honest::panics),
    ("a_look_that_cannot_tell_changes_nothing", honest::looks),
    ("a_damaged_database_is_one_line_with_exit_code_2", honest::damaged),
    ("the_rate_is_that_of_the_newest_build", honest::newest_build),
    ("shards_merged_in_any_order_and_twice_are_one_job", merged::shards),
    ("metrics_are_served_while_a_job_runs_and_ctrl_c_ends_it", metrics::served),
    ("bad_input_is_one_line_with_exit_code_2_and_touches_nothing", bad_input::refused),
    ("a_folder_in_use_is_refused", bad_input::in_use),
];

fn main() -> ExitCode {
    if std::env::var_os(program::ROLE).is_some() {
        return run::<PlantedSubject, NoCommands>(std::env::args_os()).into();
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        match catch_unwind(test) {
            Ok(()) => passed += 1,
            Err(_) => {
                failed += 1;
                println!("{name}: FAILED");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    // A run that selects no test fails.
    if failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
