use std::time::{Duration, Instant};

/// A run that has not beaten for this long will not: a beat takes microseconds, even of an unoptimised build.
pub(super) const STALLED: Duration = Duration::from_secs(30);

/// What the coordinator knows of a worker's heartbeat.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Heartbeat {
    last: Option<(u64, u64)>,
    since: Instant,
}

impl Heartbeat {
    pub(crate) fn new(now: Instant) -> Heartbeat {
        Heartbeat { last: None, since: now }
    }

    /// The seed that no longer moves, if the worker has shown the same heartbeat for too long.
    pub(crate) fn stalled(&mut self, heartbeat: Option<(u64, u64)>, now: Instant) -> Option<u64> {
        if heartbeat.is_none() || heartbeat != self.last {
            *self = Heartbeat { last: heartbeat, since: now };
            return None;
        }
        let stalled = now.duration_since(self.since) >= STALLED;
        heartbeat.filter(|_| stalled).map(|(seed, _)| seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_stands_still_is_a_stall_and_one_that_beats_or_pauses_is_not() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(heartbeat.stalled(Some((7, 1)), later(1)), None);
        assert_eq!(heartbeat.stalled(Some((7, 2)), later(40)), None, "it has beaten");
        assert_eq!(heartbeat.stalled(Some((7, 2)), later(69)), None, "not yet");
        assert_eq!(heartbeat.stalled(Some((7, 2)), later(70)), Some(7));
        assert_eq!(heartbeat.stalled(None, later(71)), None, "between two seeds");
        assert_eq!(heartbeat.stalled(Some((8, 2)), later(200)), None, "another seed");
    }
}
