//! `PROMISES.md` against the sources: every check that it names exists, and nothing that was promised lacks one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections of the contract with the number of promises in each, and the defects that have a row.
const SECTIONS: [(u32, u32); 2] = [(3, 9), (4, 11)];
const DEFECTS: [(char, u32); 2] = [('D', 22), ('R', 4)];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the tables: what is promised, and the checks as (where, name).
fn rows(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`')).map(cells);
    let random = |cell: &str| ("random".to_owned(), cell.trim_matches('`').to_owned());
    rows.map(|cells| {
        let shuttle = cells[4].split(", ").filter(|cell| !cell.is_empty()).map(random);
        (cells[1].clone(), cells[3].split(", ").map(check).chain(shuttle).collect())
    })
    .collect()
}

/// `where `name``, taken apart.
fn check(cell: &str) -> (String, String) {
    let (place, name) = cell.split_once(' ').expect("a place and a name");
    (place.to_owned(), name.trim_matches('`').to_owned())
}

/// The names of the matrix's models, from its two enums.
fn matrix() -> BTreeSet<String> {
    let source = read("loom-tests/src/matrix.rs");
    let variants = |name: &str| {
        let body = source
            .split(&format!("enum {name} {{"))
            .nth(1)
            .expect("the enum")
            .split('}')
            .next()
            .expect("its end");
        body.split(',').map(str::trim).filter(|variant| !variant.is_empty()).map(snake).collect::<Vec<_>>()
    };
    let (endings, observers) = (variants("Ending"), variants("Observer"));
    endings.iter().flat_map(|e| observers.iter().map(move |o| format!("{e}_vs_{o}"))).collect()
}

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        snake
    })
}

fn sources(folder: &str) -> String {
    let entries = fs::read_dir(workspace().join(folder)).expect("a readable folder");
    let files = entries.map(|entry| entry.expect("a readable entry").path());
    files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).expect("UTF-8")).collect()
}

fn exists(place: &str, name: &str, matrix: &BTreeSet<String>) -> bool {
    let function = format!("fn {name}(");
    match place {
        "model" => matrix.contains(name) || sources("loom-tests/src/models").contains(&function),
        "random" => sources("loom-tests/src/random").contains(&function),
        file => read(file).contains(&function),
    }
}

#[test]
fn every_named_check_exists() {
    let matrix = matrix();
    assert_eq!(matrix.len(), 50);
    let rows = rows(&read("loom-tests/PROMISES.md"));
    for (promise, checks) in &rows {
        for (place, name) in checks {
            assert!(exists(place, name, &matrix), "{promise}: there is no {place} `{name}`");
        }
    }
    assert!(!exists("model", "complete_vs_nothing", &matrix), "this test can fail");
}

#[test]
fn every_promise_and_defect_has_a_row() {
    let rows: BTreeSet<String> =
        rows(&read("loom-tests/PROMISES.md")).into_iter().map(|(promise, _)| promise).collect();
    let promises =
        SECTIONS.iter().flat_map(|(section, last)| (1..=*last).map(move |n| format!("{section}.{n}")));
    let defects = DEFECTS.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
    // The contract has no D20.
    let defects = defects.filter(|id| id != "D20");
    let missing: Vec<_> =
        promises.chain(defects).chain(["5".into(), "R6".into()]).filter(|id| !rows.contains(id)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

/// A twin explores what loom leaves out of a model, and is known by that model's name.
#[test]
fn every_twin_has_a_model_of_its_name_and_a_row() {
    let source = read("loom-tests/src/random/twins.rs");
    let list = source.split("models![\n").nth(1).expect("the list").split(']').next().expect("its end");
    let twins: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    assert!(twins.len() > 5, "the list was found");
    let rows = rows(&read("loom-tests/PROMISES.md"));
    for twin in twins {
        assert!(exists("model", twin, &matrix()), "{twin} is no model's twin");
        let is_twin = |(place, name): &(String, String)| place == "random" && name == twin;
        assert!(rows.iter().any(|(_, checks)| checks.iter().any(is_twin)), "no row has {twin}");
    }
}

/// 3.9: loom takes SeqCst loads and stores for Acquire and Release, so it could not check them.
#[test]
fn no_seq_cst_in_the_protocol() {
    for folder in ["completion", "completion/waiters", "completion/group", "executor", "io"] {
        let code: Vec<_> = sources(&format!("runtime/src/{folder}"))
            .lines()
            .filter(|line| !line.trim_start().starts_with("//") && line.contains("Ordering::SeqCst"))
            .map(str::to_owned)
            .collect();
        assert!(code.is_empty(), "{folder}: {code:?}");
    }
}
