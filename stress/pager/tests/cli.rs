//! The program as scripts and people meet it: exit codes, one-line errors, what is printed first and last.
#![expect(clippy::disallowed_types, reason = "how long Ctrl-C takes is a matter of real time")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn tenterhook(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenterhook"));
    command.args(arguments.split_whitespace());
    command
}

fn run(arguments: &str) -> Output {
    tenterhook(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program speaks UTF-8")
}

fn json(arguments: &str) -> Value {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    serde_json::from_slice(&output.stdout).expect("one document")
}

#[test]
fn the_version_is_the_program_s_beside_the_tester_s() {
    let output = run("--version");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(text(&output.stdout), format!("tenterhook {version} (tenterhook-stress {version})\n"));
}

#[test]
fn bad_input_is_one_line_that_says_what_and_what_would_be_right_and_exit_code_2() {
    let cases = [
        ("", "no command is given"),
        ("simm", "did you mean 'sim'"),
        ("sim --sed 7", "--sed"),
        ("sim --connections 0", "--connections is 0: it must be from 1 to 1000000"),
        ("sim --connections 99999999", "--connections is 99999999"),
        ("sim --page-size 1000", "--page-size is 1000: it must be a power of two from 512 to 65536"),
        ("sim --cache-pages 0", "--cache-pages is 0: it must be from 1"),
        ("sim --steps 0", "--steps is 0"),
        ("sim --seeds 0", "--seeds is 0: it must be at least 1"),
        ("sim --jobs 0", "--jobs is 0"),
        ("sim --jobs 5000", "--jobs is above 1024"),
        ("sim --seed abc", "decimal or hexadecimal after 0x"),
        ("sim --duration 30", "30s, 5m, 1h30m"),
        ("sim --duration 0s", "30s, 5m, 1h30m"),
        ("sim --profile wild", "fast, chaos, recovery"),
        ("sim --faults tornado", "there is no 'tornado'"),
        ("sim --faults crash-in-recovery", "it must be given with power-loss or process-killed"),
        ("sim --operations none", "--operations is empty"),
        ("sim --state /dev/null/x --seeds 1", "--state /dev/null/x"),
        ("sim --events", "--events is for one seed"),
        ("sim --duration 1s --history histories", "--history is for a number of seeds"),
        ("sim --seed 1 --history /dev/null/x", "--history /dev/null/x: cannot be written"),
        ("sim --scheduler fifo", "random, round-robin, pct"),
        ("replay no-such.tape", "no-such.tape"),
        ("sweep --only tornado", "no operation has that in its name"),
        ("sweep --only commit --case dropped:0", "--only leaves more"),
        ("sweep --case dropped:0", "--only"),
        ("sweep --only checkpoint --case dropped", "'fault:3:write-error'"),
        ("sweep --subsets 60", "20"),
        #[cfg(not(feature = "job"))]
        ("job soak --duration 8h", "job soak: this program is built without the feature 'job'"),
        #[cfg(not(feature = "job"))]
        ("report soak", "report soak: this program is built without the feature 'job'"),
        #[cfg(feature = "job")]
        ("report soak", "soak: is no job: it has no job.sqlite"),
    ];
    for (arguments, expected) in cases {
        let output = run(arguments);
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {problem}");
        assert_eq!(problem.lines().count(), 1, "{arguments}: {problem}");
        assert!(problem.starts_with("tenterhook: ") && problem.contains(expected), "{arguments}: {problem}");
    }
}

#[test]
fn a_sweep_counts_every_operation_and_every_dimension() {
    let document = json("sweep --json");
    let operations = document["operations"].as_array().expect("a list");
    assert!(operations.len() >= 20, "{operations:?}");
    for dimension in ["pending", "disturbed", "fault", "dropped", "dropped-late", "cancelled", "crash"] {
        let of = |operation: &Value| -> u64 {
            let counts = operation["counts"].as_array().expect("a list");
            let count = counts.iter().find(|count| count["dimension"] == dimension);
            count.and_then(|count| count["cases"].as_u64()).expect("every operation has every dimension")
        };
        assert!(operations.iter().map(of).sum::<u64>() >= 50, "{dimension}");
    }
    assert_eq!(
        (document["failures"].as_array().map(Vec::len), document["exit_code"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn one_case_of_one_operation_can_be_run_and_one_that_it_has_not_is_bad_input() {
    let sweep = |case: &str| {
        let mut command = tenterhook("sweep --only");
        command.args(["commit one page", "--case", case]);
        command.output().expect("the program starts")
    };
    let output = sweep("crash:1:up-to-0");
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 1));
    for case in [
        "dropped:99",
        "fault:99:write-error",
        "fault:0:sync-failed",
        "fault:1:write-error:9",
        "fault:1:no-space",
        "disturbed:99",
    ] {
        let output = sweep(case);
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{case}");
        assert!(problem.contains("has no such case") && problem.lines().count() == 1, "{problem}");
    }
}

#[test]
fn help_is_short_or_long_and_lists_the_exit_codes() {
    let (short, long) = (run("sim -h"), run("sim --help"));
    assert_eq!((short.status.code(), long.status.code()), (Some(0), Some(0)));
    assert!(text(&long.stdout).contains("Examples:") && long.stdout.len() > short.stdout.len());
    let program = run("--help");
    for line in ["0   every run finished", "2   ", "10  ", "11  ", "12  ", "70  "] {
        assert!(text(&program.stdout).contains(line), "{line}");
    }
}

#[test]
fn a_seed_prints_its_options_first_and_its_command_last_and_repeats_itself() {
    let arguments = "sim --seed 7 --connections 8 --steps 3000 --quiet";
    let (first, second) = (run(arguments), run(arguments));
    assert_eq!(first.status.code(), Some(0));
    let lines: Vec<&str> = text(&first.stdout).lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["seed", "0x7"]);
    assert!(lines[2].starts_with("connections      8"));
    assert_eq!(lines.last(), Some(&"tenterhook sim --seed 0x7 --connections 8 --steps 3000"));
    let hash = |output: &Output| {
        let line = text(&output.stdout).lines().find(|line| line.starts_with("trace hash       0x"));
        line.expect("a line with the hash").to_owned()
    };
    assert_eq!(hash(&first), hash(&second));
}

#[test]
fn the_document_has_the_hash_and_another_seed_has_another() {
    let document = |seed| json(&format!("sim --seed {seed} --connections 8 --steps 3000 --json"));
    let (seven, again, eight) = (document(7), document(7), document(8));
    assert_eq!(seven["trace_hash"], again["trace_hash"]);
    assert_ne!(seven["trace_hash"], eight["trace_hash"]);
    assert_eq!((seven["seeds"].as_u64(), seven["exit_code"].as_u64()), (Some(1), Some(0)));
    assert!(seven["steps"].as_u64().is_some_and(|steps| steps >= 3000));
    assert!(seven["options"]["page_size"].is_string() && seven["faults"]["power-loss"]["delivered"].is_u64());
    assert_eq!(seven["violations"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_campaign_of_two_jobs_has_the_hash_of_one_job() {
    let document = |jobs| json(&format!("sim --seed 1 --seeds 6 --steps 2000 --jobs {jobs} --json"));
    let (one, two) = (document(1), document(2));
    assert_eq!(one["trace_hash"], two["trace_hash"]);
    assert_eq!(one["counters"], two["counters"]);
}

/// Seen red with a run that is recorded and has another hash, and with events without their ends.
#[test]
fn a_history_has_the_transactions_of_each_seed_and_changes_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let seeds = "sim --seed 7 --seeds 3 --steps 4000 --connections 3 --json --artifacts none";
    let told = json(&format!("{seeds} --history {}", folder.path().display()));
    assert_eq!(told["trace_hash"], json(seeds)["trace_hash"]);
    let mut recoveries = 0;
    for seed in ["0x7", "0x8", "0x9"] {
        let file = |kind: &str| {
            std::fs::read_to_string(folder.path().join(format!("{seed}.{kind}"))).expect("a history")
        };
        let (edn, lines) = (file("edn"), file("jsonl"));
        assert_eq!(edn.lines().count(), lines.lines().count());
        let committed = lines.lines().filter(|line| {
            let event: Value = serde_json::from_str(line).expect("an event");
            let writes = event["value"].as_array().expect("a list").iter().any(|part| part[0] == "w");
            writes && event["type"] == "ok"
        });
        assert!(committed.count() > 3, "{seed} commits");
        // What recovery finds is read by a client behind those of the connections.
        recoveries += lines
            .lines()
            .filter(|line| {
                let event: Value = serde_json::from_str(line).expect("an event");
                let client = event["process"].as_u64().expect("a number") & u64::from(u32::MAX);
                let reads = event["value"].as_array().expect("a list").iter().all(|part| part[0] == "r");
                client == 3 && reads && event["type"] == "ok"
            })
            .count();
        assert!(edn.contains(":type :ok") && edn.contains("[:w "), "{edn}");
    }
    assert!(recoveries > 1, "{recoveries} recoveries");
}

#[test]
fn events_are_listed_before_the_summary() {
    let output = run("sim --seed 7 --connections 2 --steps 100 --events");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).lines().any(|line| line.trim_start().starts_with("0 control")));
}

/// A program that has come so far that it can be told to stop, and what it prints from then on.
fn begun(command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut heading = String::new();
    while !heading.contains("run twice") {
        assert!(output.read_line(&mut heading).expect("readable") > 0, "{heading}");
    }
    (child, output)
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
}

#[test]
fn ctrl_c_and_sigterm_end_a_campaign_soon_with_its_summary() {
    // No hangup: the program inherits it as ignored if the tests run under `nohup`.
    for signal in ["-INT", "-TERM"] {
        let (mut child, mut output) = begun(&mut tenterhook("sim --seed 1 --duration 60s --quiet"));
        let pressed = Instant::now();
        send(signal, &child);
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("readable");
        let status = child.wait().expect("ends");
        // One second is promised; a loaded machine gets some more.
        assert!(pressed.elapsed() < Duration::from_secs(3), "{:?}", pressed.elapsed());
        assert_eq!(status.code(), Some(0), "{signal}: {rest}");
        assert!(rest.contains("passed, interrupted") && rest.contains("trace hash"), "{signal}: {rest}");
        assert!(rest.trim().lines().count() <= 25, "{signal}: {rest}");
    }
}

#[test]
fn a_hangup_that_nohup_has_it_ignore_ends_nothing() {
    let command =
        format!("trap '' HUP; exec {} sim --seed 1 --seeds 40 --quiet", env!("CARGO_BIN_EXE_tenterhook"));
    let (mut child, mut output) = begun(Command::new("sh").args(["-c", &command]));
    send("-HUP", &child);
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("readable");
    assert_eq!(child.wait().expect("ends").code(), Some(0), "{rest}");
    assert!(rest.contains("passed\n") && rest.contains("40 from 0x1"), "{rest}");
}
