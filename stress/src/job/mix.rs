//! How a job shares its time among kinds of runs.

use std::collections::BTreeMap;

use super::row::Mode;

/// Kinds of runs with their shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(BTreeMap<Mode, u64>);

impl Default for Mix {
    /// The simulator alone.
    fn default() -> Mix {
        Mix(BTreeMap::from([(Mode::Sim, 1)]))
    }
}

/// Kinds of runs that can be named.
const NAMED: [Mode; 4] = [Mode::Sim, Mode::Sweep, Mode::Threads, Mode::Crash];
/// Of so many parts of all time, the canary has one.
const CANARY_PART: u64 = 64;

impl Mix {
    /// Reads `sim=8,sweep=1`.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn parse(text: &str) -> Result<Mix, String> {
        let mut shares = BTreeMap::new();
        for part in text.split(',') {
            let (name, share) =
                part.split_once('=').ok_or("it must be shares such as sim=8,sweep=1,threads=1,crash=1")?;
            let mode = NAMED.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
                format!("there is no kind '{name}': it must be one of {}", NAMED.map(Mode::name).join(", "))
            })?;
            let share: u64 =
                share.parse().ok().filter(|share| (1..=1_000).contains(share)).ok_or_else(|| {
                    format!("the share of {name} is '{share}': it must be a number from 1 to 1000")
                })?;
            if shares.insert(mode, share).is_some() {
                return Err(format!("{name} is there twice: it must be named once"));
            }
        }
        Ok(Mix(shares))
    }

    pub(super) fn has(&self, mode: Mode) -> bool {
        self.0.contains_key(&mode)
    }

    /// The kind of `possible` that is furthest behind its share of the time that each has `had`.
    pub(super) fn next(&self, possible: &[Mode], had: &BTreeMap<Mode, u64>) -> Option<Mode> {
        let all: u64 = self.0.values().sum();
        // In parts of a unit share, so that the canary's is a whole number.
        let share = |mode: Mode| match mode {
            Mode::Canary => all,
            _ => self.0.get(&mode).map_or(0, |share| share * CANARY_PART),
        };
        let behind =
            |&mode: &Mode| u128::from(had.get(&mode).copied().unwrap_or(0)) * 1_000 / u128::from(share(mode));
        possible.iter().copied().filter(|&mode| share(mode) > 0).min_by_key(behind)
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = self.0.iter().map(|(mode, share)| format!("{}={share}", mode.name()));
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_as_it_is_printed_and_nonsense_is_refused() {
        for text in ["sim=8,sweep=1,threads=1,crash=2", "sim=1", "threads=3", "crash=1"] {
            assert_eq!(Mix::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "sim", "sim=0", "sim=1001", "sim=-1", "rain=1", "sim=1,sim=2", "canary=1"] {
            assert!(Mix::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_kind_comes_to_its_share_of_the_time() {
        let mix = Mix::parse("sim=8,sweep=1,threads=1").unwrap();
        let mut had = BTreeMap::new();
        for _ in 0..64 * 11 {
            let mode = mix.next(&[Mode::Sim, Mode::Sweep, Mode::Threads, Mode::Canary], &had).unwrap();
            // A stretch on threads takes ten times as long as the others.
            *had.entry(mode).or_default() += if mode == Mode::Threads { 10 } else { 1 };
        }
        let all: u64 = had.values().sum();
        let part = |mode: Mode| had[&mode] * 100 / all;
        assert_eq!((part(Mode::Sim), part(Mode::Sweep)), (78, 9), "{had:?}");
        assert!((9..=11).contains(&part(Mode::Threads)) && (1..=2).contains(&part(Mode::Canary)), "{had:?}");
    }
}
