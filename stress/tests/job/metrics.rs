//! What a job tells while it runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::program::{document, finish, program, text};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it is served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// Seen red with figures that are never set.
pub(crate) fn served() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut job = program(folder, "", "job job --seed 1 --jobs 1 --steps 300 --metrics 127.0.0.1:0 --quiet");
    let mut job = job.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut told = String::new();
    BufReader::new(job.stderr.take().expect("piped")).read_line(&mut told).expect("readable");
    let address =
        told.trim().strip_prefix("metrics at http://").and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.expect("an address");
    let seeds = loop {
        let answer = get(address, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let figure = |name: &str| -> Option<u64> {
            let line = answer.lines().find(|line| line.starts_with(&format!("{name} ")))?;
            line.rsplit(' ').next()?.parse().ok()
        };
        if let Some(seeds @ 1..) = figure("tenterhook_seeds_total") {
            assert!(figure("tenterhook_resident_bytes").is_some_and(|bytes| bytes > 1 << 20), "{answer}");
            assert!(answer.contains("tenterhook_faults_delivered_total{kind=\"power-loss\"} "), "{answer}");
            break seeds;
        }
        std::thread::yield_now();
    };
    assert!(get(address, "/other").starts_with("HTTP/1.1 404 "), "another path");
    let pressed = Command::new("kill").args(["-INT", &job.id().to_string()]).status().expect("kill runs");
    assert!(pressed.success());
    assert_eq!(job.wait().expect("it ends").code(), Some(0));
    let kept = document(folder, "report job --json")["seeds"].as_u64();
    assert!(kept.is_some_and(|kept| kept >= seeds), "{kept:?} of {seeds}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address");
    let refused = finish(folder, "", &format!("job new --metrics {port}"));
    let said = text(&refused.stderr);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(
        said.contains(&format!("--metrics {port}: cannot be served")) && !folder.join("new").exists(),
        "{said}"
    );
}
