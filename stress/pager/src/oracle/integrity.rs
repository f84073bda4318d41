use tenterhook_runtime::pager::IntegrityProblem;

use super::{History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// The pager's own check finds nothing, and every page is in use, free, or the header.
#[derive(Debug, Default)]
pub struct Integrity;

impl Oracle for Integrity {
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict {
        let Observation::Checked { report, at_rest } = *seen else { return Ok(()) };
        // While faults are about, a page that cannot be read is the honesty oracle's concern.
        let explained =
            |problem: &&IntegrityProblem| !at_rest && matches!(problem, IntegrityProblem::Damaged(_));
        if let Some(problem) = report.problems.iter().find(|problem| !explained(problem)) {
            let first = format!("{problem:?}");
            let seen =
                format!("{} problems at commit {}, first: {first}", report.problem_count, report.sequence);
            return Err(Violation::safety("integrity", "a sound file", seen));
        }
        if !history.can_be_seen(report.sequence) {
            let expected = format!("commit {} checked, or one that was asked for upon it", history.head());
            return Err(Violation::safety("integrity", expected, format!("commit {}", report.sequence)));
        }
        if !at_rest {
            return Ok(());
        }
        let live = history.live_pages(report.sequence) as u64;
        let accounted = 1 + live + u64::from(report.free_pages);
        if accounted != u64::from(report.pages) {
            let expected = format!("1 header page + {live} pages in use + {} free pages", report.free_pages);
            return Err(Violation::safety("integrity", expected, format!("{} pages", report.pages)));
        }
        Ok(())
    }
}
