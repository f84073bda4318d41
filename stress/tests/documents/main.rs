//! The README and the tutorial: their sources are those that are compiled here, their commands are run, and the
//! output is what they show. With the environment's word this program is the README's `tally`, or the tutorial's `ledger` at a stage.
#![allow(clippy::duplicate_mod, reason = "one test of the store for each stage of the store")]
#![allow(unreachable_pub, missing_docs, reason = "in the tutorial the modules are those of a library")]

mod blocks;
mod first;
#[path = "../../examples/ledger/main.rs"]
#[allow(dead_code, reason = "its main is that of the example")]
mod last;
mod second;
#[path = "../../examples/tally/main.rs"]
#[allow(dead_code, reason = "its main is that of the example")]
mod tally;

use std::path::Path;
use std::process::{Command, ExitCode};

use blocks::{Block, apply, blocks, matches};
use tenterhook_stress::cli::{NoCommands, run};
use tenterhook_stress::sim::assert_replays_clean;

const STAGE: &str = "TENTERHOOK_PROGRAM";
const README: &str = include_str!("../../../README.md");
const TUTORIAL: &str = include_str!("../../../docs/your-engine.md");
const STORES: [&str; 3] = [
    include_str!("first/store.rs"),
    include_str!("second/store.rs"),
    include_str!("../../examples/ledger/store.rs"),
];

fn main() -> ExitCode {
    if let Ok(stage) = std::env::var(STAGE) {
        let arguments = std::env::args_os();
        return match stage.as_str() {
            "0" => run::<first::subject::LedgerSubject, NoCommands>(arguments),
            "1" => run::<second::subject::LedgerSubject, NoCommands>(arguments),
            "tally" => run::<tally::TallySubject, NoCommands>(arguments),
            _ => run::<last::subject::LedgerSubject, NoCommands>(arguments),
        }
        .into();
    }
    let folder = tempfile::tempdir().expect("a directory for this test");
    let mut walk = Walk { folder: folder.path(), stage: 0, sources: 0, commands: 0 };
    for block in blocks(README) {
        walk.take(&block);
    }
    assert_eq!(walk.commands, 2, "the failure and its timeline");
    for block in blocks(TUTORIAL) {
        walk.take(&block);
    }
    assert_eq!((walk.stage, walk.sources), (2, 5), "two fixes, and five files of source");
    assert_eq!(walk.commands, 2 + 9, "commands of both");
    regressions(folder.path());
    println!("documents: {} sources compared, {} commands run", walk.sources, walk.commands);
    ExitCode::SUCCESS
}

/// The reader's way through the document.
struct Walk<'a> {
    folder: &'a Path,
    /// Fixes so far.
    stage: usize,
    sources: usize,
    commands: usize,
}

impl Walk<'_> {
    fn take(&mut self, block: &Block) {
        let text = block.text.as_str();
        match block.language.as_str() {
            "rust,ignore" => {
                let (name, source) = text.split_once('\n').expect("the file's name comes first");
                assert!(source == self.source(name), "{name} in the document is not what is compiled");
                self.sources += 1;
            }
            "diff" => {
                let fixed = apply(text, STORES[self.stage]);
                assert!(fixed == STORES[self.stage + 1], "fix {} is not what is compiled", self.stage + 1);
                self.stage += 1;
            }
            "console" => {
                for command in text.split("$ ").skip(1) {
                    self.command(command);
                }
            }
            // A doctest, and what the reader's shell does.
            "rust" | "sh" => {}
            other => panic!("a block of the sort '{other}' is not checked:\n{text}"),
        }
    }

    fn source(&self, name: &str) -> &'static str {
        match name {
            "// src/store.rs" => STORES[self.stage],
            "// src/subject.rs" => include_str!("../../examples/ledger/subject.rs"),
            "// stress/examples/tally/killed.rs" => include_str!("../../examples/tally/killed.rs"),
            "// src/lib.rs" => "pub mod store;\npub mod subject;\n",
            "// src/main.rs" => {
                "fn main() -> std::process::ExitCode {\n    tenterhook_stress::cli::main::<ledger::subject::LedgerSubject>().into()\n}\n"
            }
            other => panic!("the first line of a source is its file: {other}"),
        }
    }

    fn command(&mut self, text: &str) {
        let (command, expected) = text.split_once('\n').expect("a command and its output");
        let run = |program: &str, arguments: &str| {
            let mut command = Command::new(std::env::current_exe().expect("it runs"));
            command.args(arguments.split(' ')).current_dir(self.folder).env(STAGE, program);
            String::from_utf8(command.output().expect("it starts").stdout).expect("text")
        };
        let tally = "cargo run -q -p tenterhook-stress --features cli --example tally -- ";
        let output = if let Some(arguments) = command.strip_prefix("cargo run -q -- ") {
            run(&self.stage.to_string(), arguments)
        } else if let Some(arguments) = command.strip_prefix(tally) {
            run("tally", arguments)
        } else if let Some(path) = command.strip_prefix("cat ") {
            std::fs::read_to_string(self.folder.join(path)).expect(command)
        } else {
            panic!("not a command that the tutorial has: {command}");
        };
        if let Err(problem) = matches(expected, output.trim_start()) {
            panic!("{command}\n{problem}");
        }
        self.commands += 1;
    }
}

/// The tapes that the commands have left: each fails before its fix, and is clean after it.
fn regressions(folder: &Path) {
    let tape = |name: &str| {
        std::fs::read(folder.join("tenterhook-runs/failures").join(name)).expect("a command has left it")
    };
    let (slot, durability) = (tape("own_slot_64.tape"), tape("durability_259.tape"));
    let fails = |play: fn(&[u8]), tape: &[u8]| std::panic::catch_unwind(|| play(tape)).is_err();
    assert!(fails(assert_replays_clean::<first::subject::LedgerSubject>, &slot));
    assert!(fails(assert_replays_clean::<second::subject::LedgerSubject>, &durability));
    assert_replays_clean::<last::subject::LedgerSubject>(&slot);
    assert_replays_clean::<last::subject::LedgerSubject>(&durability);
}
