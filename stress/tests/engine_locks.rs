//! The engines are workspaces of their own, so no build of this one renews their lock files. A new dependency of the library would leave them
//! outdated, and a newcomer's first build of an engine would ask the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names after a table's heading in a manifest, without what is optional.
fn required(manifest: &str) -> BTreeSet<&str> {
    let (_, table) = manifest.split_once("\n[dependencies]\n").expect("a table of dependencies");
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.contains("optional = true"))
        .filter_map(|line| {
            line.split(['.', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))
        })
        .collect()
}

/// What a feature turns on: the `dep:` of its line.
fn of_feature<'a>(manifest: &'a str, feature: &str) -> BTreeSet<&'a str> {
    let line =
        manifest.lines().find(|line| line.starts_with(&format!("{feature} = ["))).expect("the feature");
    line.split('"').filter_map(|word| word.strip_prefix("dep:")).collect()
}

/// What a lock file says that a package depends on, without versions.
fn locked<'a>(lock: &'a str, package: &str) -> BTreeSet<&'a str> {
    let heading = format!("name = \"{package}\"\n");
    let (_, entry) = lock.split_once(&heading).unwrap_or_else(|| panic!("no {package} in the lock file"));
    let entry = entry.split("[[package]]").next().unwrap_or(entry);
    let list = entry.split_once("dependencies = [").map_or("", |(_, list)| list);
    list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split(['"', ' ']).next()).collect()
}

#[test]
fn the_lock_file_of_each_engine_knows_what_the_library_uses() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let (stress, runtime) = (manifest(library), manifest(&library.join("../runtime")));
    let of_stress: BTreeSet<&str> = required(&stress).union(&of_feature(&stress, "cli")).copied().collect();
    assert!(of_stress.contains("parking_lot") && of_stress.contains("clap"), "it is read: {of_stress:?}");

    let mut engines = 0;
    for entry in fs::read_dir(library.join("engines")).expect("the engines") {
        let path = entry.expect("an engine").path().join("Cargo.lock");
        let Ok(lock) = fs::read_to_string(&path) else { continue };
        engines += 1;
        for (package, wanted) in
            [("tenterhook-stress", &of_stress), ("tenterhook-runtime", &required(&runtime))]
        {
            let known = locked(&lock, package);
            let missing: Vec<_> = wanted.difference(&known).collect();
            let path = path.display();
            assert!(
                missing.is_empty(),
                "{path}: {package} lacks {missing:?}: run `cargo update --workspace` there"
            );
        }
    }
    assert!(engines >= 6, "only {engines} engines have a lock file");
}
