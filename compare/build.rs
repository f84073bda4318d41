//! Captures what the figures depend on and the program can't ask for at run time: compiler, commit, peers' versions.

use std::path::Path;
use std::process::Command;

const PEERS: [&str; 4] = ["tokio", "futures", "oneshot", "turso_core"];

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    set("RUSTC", output(&rustc, &["--version"]));
    set("COMMIT", commit());
    set("OPT_LEVEL", std::env::var("OPT_LEVEL").ok());
    set("PEERS", std::fs::read_to_string("../Cargo.lock").ok().map(|lock| peers(&lock)));
    // The sources too: an edit that is not committed has to turn the commit into a dirty one.
    for path in ["build.rs", "src", "../runtime/src", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn set(name: &str, value: Option<String>) {
    println!("cargo::rustc-env=TENTERHOOK_{name}={}", value.unwrap_or_else(|| "unknown".into()));
}

/// The commit, marked when the measured sources differ from it; `None` outside of a repository.
fn commit() -> Option<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changes = output("git", &["status", "--porcelain", "--", ".", "../runtime", "../Cargo.lock"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit} with uncommitted changes") })
}

fn peers(lock: &str) -> String {
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| PEERS.contains(name))
            // Locked for the sake of a feature is not compared with.
            && (name != "turso_core" || std::env::var_os("CARGO_FEATURE_TURSO").is_some())
            && let Some(version) = lines.next().and_then(|line| line.strip_prefix("version = "))
        {
            found.push(format!("{name} {}", version.trim_matches('"')));
        }
    }
    found.join(", ")
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
