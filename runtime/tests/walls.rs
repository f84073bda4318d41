//! The walls of ARCHITECTURE.md's second table: what a folder must not import. A row that names something that is gone is wrong,
//! too.

use std::fs;
use std::path::{Path, PathBuf};

/// A row: a folder or file, and the modules that it must not import, as `crate::module` or `other_crate::module`.
struct Wall {
    place: String,
    forbidden: Vec<String>,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("inside the workspace").to_owned()
}

/// The rows below the heading "Walls".
fn walls(document: &str) -> Vec<Wall> {
    let section = document.split("\n## Walls\n").nth(1).expect("a section \"Walls\"");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let mut cells = row.trim_matches('|').split('|').map(quoted);
        let place = cells.next().and_then(|cell| cell.into_iter().next()).expect("a folder");
        Wall { place, forbidden: cells.next().unwrap_or_default() }
    })
    .collect()
}

/// The folder of a crate's sources, by the name that imports use.
fn sources_of(package: &str) -> &'static str {
    match package {
        "tenterhook_runtime" => "runtime/src",
        "tenterhook_stress" => "stress/src",
        "tenterhook" => "stress/pager/src",
        other => panic!("the walls know no crate {other}"),
    }
}

/// The crate that a source file belongs to, and its module path below `crate`.
fn module_of(file: &str) -> (&str, Vec<String>) {
    let (root, inside) = file.split_once("/src/").expect("a file below src");
    let mut path: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        path.pop();
    }
    (root, path)
}

/// A file without comments and without its unit tests; `tests.rs` is a file of them.
fn code(text: &str) -> String {
    // A unit test's module is the last thing in its file; one in a file of its own is one line, wherever it stands.
    let is_inline =
        |&(at, _): &(usize, &str)| text[at..].lines().nth(2).is_some_and(|line| line.ends_with('{'));
    let tests = text.match_indices("\n#[cfg(test)]\nmod ").find(is_inline);
    let shipped = tests.map_or(text, |(at, _)| &text[..at]);
    shipped.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every path that a use-tree names, whole.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(brace) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree).trim();
        found.push(format!("{prefix}{name}"));
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..brace]);
    // Not closed: a text in a macro that only looks like an item.
    let Some(inside) = tree[brace + 1..].strip_suffix('}') else { return };
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inside[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        expand(&prefix, &inside[start..], found);
    }
}

/// The paths of a file's code: of its `use` items, and those that begin with `crate::`, `super::` or a crate of ours anywhere.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let (before, item) = (rest[..at].rsplit('\n').next().unwrap_or("").trim(), &rest[at + 4..]);
        // As an item, and not as the end of a word or a part of a text.
        if before.is_empty() || (before.starts_with("pub") && !before.contains(['"', '='])) {
            let tree = item.split(';').next().unwrap_or("");
            expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
        }
        rest = item;
    }
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = code.split(|letter| !is_word(letter)).filter(|word| word.contains("::"));
    found.extend(words.map(|word| word.trim_start_matches("::").to_owned()));
    found
}

/// A path from the crate's root on: `["io", "File"]` for `super::io::File` two modules down. `None` for other crates' paths.
fn absolute(module: &[String], path: &str) -> Option<Vec<String>> {
    let mut parts = path.split("::").map(str::trim);
    let mut base = match parts.next()? {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    for part in parts {
        match part {
            "super" => drop(base.pop()),
            part => base.push(part.to_owned()),
        }
    }
    Some(base)
}

/// Whether a path of a file in `module` leads into `forbidden`.
fn leads_into(module: &[String], path: &str, forbidden: &str) -> bool {
    match forbidden.strip_prefix("crate::") {
        Some(inside) => {
            let wanted: Vec<&str> = inside.split("::").collect();
            absolute(module, path).is_some_and(|path| {
                path.iter().zip(&wanted).all(|(a, b)| a == b) && path.len() >= wanted.len()
            })
        }
        None => path == forbidden || path.starts_with(&format!("{forbidden}::")),
    }
}

fn sources(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_file() {
        return found.push(place.to_owned());
    }
    for entry in fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display())) {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "rs") {
            sources(&path, found);
        }
    }
}

/// What would let an import pass unseen: another name for a crate, or all of one.
const BLINDS: [&str; 8] = [
    "extern crate ",
    "crate as ",
    "self as ",
    "tenterhook_runtime as ",
    "tenterhook_stress as ",
    "crate::*",
    "tenterhook_runtime::*",
    "tenterhook_stress::*",
];

/// Whether there is such a module, or such a crate.
fn is_there(workspace: &Path, root: &str, forbidden: &str) -> bool {
    let (folder, inside) = match forbidden.split_once("::") {
        Some(("crate", inside)) => (format!("{root}/src"), inside),
        Some((package, inside)) => (sources_of(package).to_owned(), inside),
        None => (sources_of(forbidden).to_owned(), ""),
    };
    let module = workspace.join(folder).join(inside.replace("::", "/"));
    module.is_dir() || module.with_extension("rs").is_file()
}

#[test]
fn no_module_imports_what_its_row_forbids() {
    let root = workspace();
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let walls = walls(&document);
    assert!(walls.len() >= 10, "the table was found");
    let mut wrong = Vec::new();
    for Wall { place, forbidden } in &walls {
        let mut files = Vec::new();
        sources(&root.join(place), &mut files);
        // A module whose root lies beside its folder.
        files.extend(Some(root.join(place).with_extension("rs")).filter(|file| file.is_file()));
        files.retain(|file| !file.ends_with("tests.rs"));
        for file in files {
            let name = file.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
            let (package, module) = module_of(&name);
            let gone = forbidden.iter().filter(|module| !is_there(&root, package, module));
            wrong.extend(gone.map(|module| format!("{place}: {module} is not there any more")));
            let code = code(&fs::read_to_string(&file).expect("UTF-8"));
            let blind = BLINDS.iter().find(|blind| code.contains(*blind));
            wrong.extend(blind.map(|blind| format!("{name} has '{blind}', which hides what it imports")));
            let paths = paths(&code);
            for forbidden in forbidden {
                let broken = paths.iter().find(|path| leads_into(&module, path, forbidden));
                wrong.extend(
                    broken.map(|path| format!("{name} imports {path}: {place} must not know {forbidden}")),
                );
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_seen_however_they_are_written() {
    let code = "use crate::{io::{File, IO}, sync};\nuse super::super::pager as p;\nfn f() -> crate::executor::Task {}";
    let module = ["completion".to_owned(), "node".to_owned()];
    let sees = |forbidden: &str| paths(code).iter().any(|path| leads_into(&module, path, forbidden));
    assert!(sees("crate::io") && sees("crate::io::File") && sees("crate::executor") && sees("crate::pager"));
    assert!(!sees("crate::group") && !sees("crate::i") && !sees("crate::io::Files"));
}

#[test]
fn only_unit_tests_are_left_out_of_a_file() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\nmod more {\nuse c;\n}\n";
    assert_eq!(code(text), "use a;\n#[cfg(test)]\nmod tests;\nuse b;");
}
