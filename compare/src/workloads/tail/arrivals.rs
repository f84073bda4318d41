//! The open loop: who sends requests when they are due, and who keeps when they ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::contender::{Contender, Evidence, Latencies};

/// Takes requests without waiting for them.
pub(super) trait Serve: Send + Sync + 'static {
    /// Starts request `number`, which was due at `due`, and has it told to `ends`.
    fn start(&self, number: u64, due: Instant, ends: &Arc<Ends>);

    /// Checks what earlier requests have left, and makes room for new ones.
    fn prepare(&self) {}
}

/// How the requests of one run ended.
#[derive(Default)]
pub(super) struct Ends {
    state: Mutex<State>,
    all: Condvar,
}

#[derive(Default)]
struct State {
    left: u64,
    sum: u64,
    latencies: Option<Latencies>,
}

impl Ends {
    /// A request has ended with `value`.
    pub(super) fn end(&self, due: Instant, value: u64) {
        let mut state = self.state.lock();
        if let Some(latencies) = &mut state.latencies {
            latencies.record(due);
        }
        state.sum = state.sum.wrapping_add(value);
        state.left -= 1;
        if state.left == 0 {
            self.all.notify_all();
        }
    }

    fn begin(&self, requests: u64) {
        *self.state.lock() = State { left: requests, sum: 0, latencies: Some(Latencies::new()) };
    }

    fn wait(&self) -> (u64, Option<Latencies>) {
        let mut state = self.state.lock();
        self.all.wait_while(&mut state, |state| state.left > 0);
        (state.sum, state.latencies.take())
    }
}

/// A contender under a stream of arrivals.
pub(super) struct OpenLoop<S> {
    serve: Arc<S>,
    /// Requests a second; infinite: all at once.
    rate: f64,
    ends: Arc<Ends>,
    last: Option<Latencies>,
}

/// Closer than this to the next arrival the sender spins: a sleep may take so much longer.
const SPIN: Duration = Duration::from_micros(200);

impl<S: Serve> OpenLoop<S> {
    pub(super) fn new(serve: Arc<S>, rate: f64) -> Self {
        Self { serve, rate, ends: Arc::new(Ends::default()), last: None }
    }

    /// Sends the requests and waits for all; their sum.
    pub(super) fn serve(&mut self, requests: u64) -> u64 {
        self.ends.begin(requests);
        let start = Instant::now();
        for (number, offset) in (0..requests).zip(Arrivals::new(self.rate)) {
            let due = start + offset;
            wait_until(due);
            self.serve.start(number, due, &self.ends);
        }
        let (sum, latencies) = self.ends.wait();
        self.last = latencies;
        sum
    }
}

fn wait_until(due: Instant) {
    loop {
        match due.checked_duration_since(Instant::now()) {
            None | Some(Duration::ZERO) => return,
            Some(left) if left > SPIN => std::thread::sleep(left - SPIN),
            Some(_) => std::hint::spin_loop(),
        }
    }
}

impl<S: Serve> Contender for OpenLoop<S> {
    fn prepare(&mut self, _: u64) {
        self.serve.prepare();
    }

    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results(self.serve(operations))
    }

    fn last_run(&mut self) -> Option<Latencies> {
        self.last.take()
    }
}

/// The moments at which requests are due, from the start on: a Poisson process, the same for all contenders.
struct Arrivals {
    state: u64,
    mean: f64,
    at: f64,
}

impl Arrivals {
    fn new(rate: f64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, mean: 1.0 / rate, at: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // Marsaglia's xorshift.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        // In (0, 1], so that its logarithm is finite.
        let uniform = ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.at -= uniform.ln() * self.mean;
        Some(Duration::from_secs_f64(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_their_rate_and_come_in_bursts() {
        let all: Vec<f64> = Arrivals::new(1_000.0).take(20_000).map(|at| at.as_secs_f64()).collect();
        let gaps: Vec<f64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean * 1_000.0 - 1.0).abs() < 0.03, "{mean}");
        // Of exponential gaps 1 - 1/e are below the mean.
        let short = gaps.iter().filter(|&&gap| gap < mean).count() as f64 / gaps.len() as f64;
        assert!((short - 0.632).abs() < 0.02, "{short}");
        assert!(Arrivals::new(f64::INFINITY).take(10).all(|at| at.is_zero()));
    }

    #[test]
    fn a_stall_counts_for_each_request_that_came_due_in_it() {
        /// Ends nothing until the hundredth request, and then all: by then most of them have been due for long.
        struct Stalls(Mutex<Vec<Instant>>);
        impl Serve for Stalls {
            fn start(&self, _: u64, due: Instant, ends: &Arc<Ends>) {
                let mut waiting = self.0.lock();
                waiting.push(due);
                if waiting.len() == 100 {
                    waiting.drain(..).for_each(|due| ends.end(due, 1));
                }
            }
        }
        let mut open = OpenLoop::new(Arc::new(Stalls(Mutex::default())), 10_000.0);
        assert_eq!(open.serve(100), 100);
        let latencies = open.last_run().expect("kept");
        // The arrivals, and not a clock, say how long the first half was due at least.
        let due: Vec<u128> = Arrivals::new(10_000.0).take(100).map(|at| at.as_nanos()).collect();
        let at_least = (due[99] - due[50]) as u64;
        assert!(latencies.within(0.5) >= at_least * 99 / 100, "{} {at_least}", latencies.within(0.5));
    }
}
