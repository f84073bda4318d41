//! Figures of a running job for Prometheus, in its text format 0.0.4.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::JobError;
use super::ledger::Ledger;
use super::row::Mode;
use super::work::FOUND;
use crate::real::memory::Memory;

/// A request is a line and some headers.
const LONGEST: usize = 8 * 1024;
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is served at an address, until the process ends.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    text: Arc<Mutex<String>>,
    pub(super) address: SocketAddr,
}

impl Metrics {
    /// Begins to serve at `address`.
    pub(super) fn serve(address: SocketAddr) -> Result<Metrics, JobError> {
        let wrong = |error: std::io::Error| {
            let place = format!("--metrics {address}");
            JobError::input(
                place.as_ref(),
                format!("cannot be served ({error}); name a port that is free, or 0 for any"),
            )
        };
        let listener = TcpListener::bind(address).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let text = Arc::new(Mutex::new(String::new()));
        let served = Arc::clone(&text);
        let serve = move || {
            // One client after the other: an answer is some kilobytes, and a client that is slow is left.
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &served);
            }
        };
        std::thread::Builder::new().name("metrics".into()).spawn(serve).map_err(wrong)?;
        Ok(Metrics { text, address })
    }

    /// What is served from now on.
    pub(super) fn set(&self, text: String) {
        *self.text.lock() = text;
    }
}

fn answer(mut stream: TcpStream, text: &Mutex<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LONGEST {
        match stream.read(&mut part)? {
            0 => break,
            length => request.extend_from_slice(&part[..length]),
        }
    }
    let is_known = [&b"GET /metrics "[..], b"GET / "].iter().any(|known| request.starts_with(known));
    let (status, body) = if is_known {
        ("200 OK", text.lock().clone())
    } else {
        ("404 Not Found", "only /metrics is here\n".into())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The figures of a job.
pub(super) fn text(ledger: &Ledger, worked: Duration, causes: usize) -> String {
    let (totals, canary) = (ledger.totals(Mode::Sim), ledger.totals(Mode::Canary));
    let reached = totals.reached.values().filter(|&&count| count > 0).count();
    let memory = Memory::now().map_or(0, |memory| memory.resident * 1024);
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP tenterhook_{name} {help}\n# TYPE tenterhook_{name} {kind}\ntenterhook_{name} {value}\n"
        );
    };
    metric("seeds_total", "counter", "Seeds that came to their end.", totals.seeds.to_string());
    metric("steps_total", "counter", "Scheduling decisions.", totals.steps.to_string());
    metric("crashes_total", "counter", "Power losses and kills.", totals.crashes.to_string());
    metric("failures_total", "counter", "Failing seeds.", ledger.failures().to_string());
    metric("causes", "gauge", "Signatures that are known.", causes.to_string());
    metric("points", "gauge", "Points of sometimes! in the program.", totals.reached.len().to_string());
    metric("points_reached", "gauge", "Points that were reached.", reached.to_string());
    metric("canary_seeds_total", "counter", "Seeds of the canary.", canary.seeds.to_string());
    metric("canary_found_total", "counter", "Seeds that found it.", canary.counter(FOUND).to_string());
    metric(
        "worked_seconds_total",
        "counter",
        "Time worked over all sittings.",
        format!("{:.3}", worked.as_secs_f64()),
    );
    metric("resident_bytes", "gauge", "Resident memory of the process.", memory.to_string());
    text.push_str("# HELP tenterhook_faults_delivered_total Faults that had their effect.\n# TYPE tenterhook_faults_delivered_total counter\n");
    for fault in &totals.faults {
        let _ = writeln!(
            text,
            "tenterhook_faults_delivered_total{{kind=\"{}\"}} {}",
            fault.kind.name(),
            fault.delivered
        );
    }
    text
}
