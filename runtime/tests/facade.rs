//! Only `runtime/src/sync` names std's, loom's or shuttle's synchronisation: a model checker sees what goes through
//! the facade and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// What names a primitive past the facade.
const FORBIDDEN: [&str; 8] = [
    "std::sync::atomic",
    "core::sync::atomic",
    "std::sync::Mutex",
    "std::sync::mpsc",
    "std::thread_local!",
    "parking_lot::",
    "loom::",
    "shuttle::",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable source folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of code (not of comment) that name a primitive.
fn violations(name: &str, text: &str) -> Vec<String> {
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| FORBIDDEN.iter().any(|name| line.contains(name)))
        .map(|(number, line)| format!("{name}:{}: {}", number + 1, line.trim()))
        .collect()
}

#[test]
fn no_primitive_is_named_outside_the_facade() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 10, "the sources were found");
    let outside = files.iter().filter(|path| !path.starts_with(root.join("sync")));
    let found: Vec<_> = outside
        .flat_map(|path| violations(&path.display().to_string(), &fs::read_to_string(path).expect("UTF-8")))
        .collect();
    assert!(found.is_empty(), "go through crate::sync:\n{}", found.join("\n"));
}

#[test]
fn a_primitive_past_the_facade_is_seen() {
    let text = "use std::sync::Arc;\n// std::sync::atomic in prose\nuse std::sync::atomic::AtomicBool;\n";
    assert_eq!(violations("x.rs", text), ["x.rs:3: use std::sync::atomic::AtomicBool;"]);
}
