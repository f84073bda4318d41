//! Which seed is next.

use std::collections::BTreeMap;

use super::row::BLOCK;

/// One of several machines that share the seeds of a job: block `b` of 64 seeds belongs to shard `b mod of`, from 0.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl std::fmt::Display for Shard {
    /// As a person names it, counted from 1.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number + 1, self.of)
    }
}

impl Shard {
    /// The only one.
    pub const WHOLE: Shard = Shard { number: 0, of: 1 };

    /// More machines than anyone has. A shard walks over the blocks of all others to find its own.
    const MOST: u64 = 65_536;

    /// The one that is `named` as `K/N`, K from 1. If there is none, what the variables of a Kubernetes indexed job or of a Slurm array
    /// say; else the whole. `variable` reads a variable of the environment.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn find(named: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let shard = Shard::any(named, variable)?;
        if shard.of > Shard::MOST {
            return Err(format!("{} shards are too many: at most {} share a job", shard.of, Shard::MOST));
        }
        Ok(shard)
    }

    fn any(named: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        if let Some(text) = named {
            let wrong = || format!("--shard {text}: it must be K/N, such as 3/8, with K from 1 to N");
            let (number, of) = text.split_once('/').ok_or_else(wrong)?;
            let (number, of): (u64, u64) = number.parse().ok().zip(of.parse().ok()).ok_or_else(wrong)?;
            return if (1..=of).contains(&number) {
                Ok(Shard { number: number - 1, of })
            } else {
                Err(wrong())
            };
        }
        let read = |name: &str| -> Result<Option<u64>, String> {
            let Some(text) = variable(name) else { return Ok(None) };
            let wrong = format!("{name}={text}: it must be a number; give --shard K/N instead");
            text.parse().map(Some).map_err(|_| wrong)
        };
        if let Some(number) = read("JOB_COMPLETION_INDEX")? {
            let of = read("TENTERHOOK_SHARDS")?.filter(|&of| number < of).ok_or_else(|| {
                format!("JOB_COMPLETION_INDEX={number}: TENTERHOOK_SHARDS must be the number of shards, above it; or give --shard K/N")
            })?;
            return Ok(Shard { number, of });
        }
        if let Some(task) = read("SLURM_ARRAY_TASK_ID")? {
            let first = read("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let of = read("SLURM_ARRAY_TASK_COUNT")?.filter(|&of| task >= first && task - first < of).ok_or_else(|| {
                format!("SLURM_ARRAY_TASK_ID={task}: the array must be without gaps, with SLURM_ARRAY_TASK_COUNT; or give --shard K/N")
            })?;
            return Ok(Shard { number: task - first, of });
        }
        Ok(Shard::WHOLE)
    }

    pub(super) fn has(self, seed: u64) -> bool {
        seed / BLOCK % self.of == self.number
    }

    /// Whether none of `seeds` seeds from `first` on is its own.
    pub(super) fn is_idle(self, first: u64, seeds: u64) -> bool {
        Seeds::new(first, Some(seeds), self, Done::default()).next().is_none()
    }

    /// Whether a unit of what has no blocks is its own.
    pub(super) fn has_unit(self, number: u64) -> bool {
        number % self.of == self.number
    }
}

/// Seeds that are done, as bits of their blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done(BTreeMap<u64, u64>);

impl Done {
    /// So many seeds from `first` on are done: one, or a block.
    pub(super) fn insert(&mut self, first: u64, seeds: u64) {
        let bits = if seeds >= BLOCK { u64::MAX } else { ((1 << seeds) - 1) << (first % BLOCK) };
        *self.0.entry(first / BLOCK).or_default() |= bits;
    }

    pub(super) fn has(&self, seed: u64) -> bool {
        self.0.get(&(seed / BLOCK)).is_some_and(|bits| bits >> (seed % BLOCK) & 1 == 1)
    }

    /// Whether all seeds of the block of `seed` are done.
    pub(super) fn is_whole(&self, seed: u64) -> bool {
        self.0.get(&(seed / BLOCK)) == Some(&u64::MAX)
    }

    /// The block of `seed` is not asked for again.
    fn forget(&mut self, seed: u64) {
        self.0.remove(&(seed / BLOCK));
    }
}

/// Gives out the seeds of a job that are not done, each once.
#[derive(Clone, Debug)]
pub(super) struct Seeds {
    next: u64,
    /// How many seeds of all shards are ahead, those that are done among them.
    left: u64,
    shard: Shard,
    done: Done,
}

impl Seeds {
    pub(super) fn new(first: u64, seeds: Option<u64>, shard: Shard, done: Done) -> Seeds {
        Seeds { next: first, left: seeds.unwrap_or(u64::MAX), shard, done }
    }
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.left > 0 {
            let seed = self.next;
            if !self.shard.has(seed) || (seed.is_multiple_of(BLOCK) && self.done.is_whole(seed)) {
                // The rest of the block.
                let skipped = (BLOCK - seed % BLOCK).min(self.left);
                self.next = seed.wrapping_add(skipped);
                self.left -= skipped;
                continue;
            }
            self.next = seed.wrapping_add(1);
            self.left -= 1;
            let is_done = self.done.has(seed);
            if self.next.is_multiple_of(BLOCK) {
                self.done.forget(seed);
            }
            if !is_done {
                return Some(seed);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_together_have_each_seed_once() {
        for (first, count) in [(0, 1_000), (37, 500), (u64::MAX - 100, 300)] {
            let of = |number| Seeds::new(first, Some(count), Shard { number, of: 3 }, Done::default());
            let mut all: Vec<u64> = (0..3).flat_map(of).map(|seed| seed.wrapping_sub(first)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_shard_is_what_the_flag_says_or_what_the_cluster_says() {
        let with = |variables: &'static [(&str, &str)]| {
            move |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
        };
        assert_eq!(Shard::find(None, with(&[])), Ok(Shard::WHOLE));
        assert_eq!(Shard::find(Some("3/8"), with(&[])), Ok(Shard { number: 2, of: 8 }));
        let kubernetes: &[_] = &[("JOB_COMPLETION_INDEX", "7"), ("TENTERHOOK_SHARDS", "8")];
        assert_eq!(Shard::find(None, with(kubernetes)), Ok(Shard { number: 7, of: 8 }));
        assert_eq!(Shard::find(Some("1/2"), with(kubernetes)), Ok(Shard { number: 0, of: 2 }));
        let slurm =
            [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "8")];
        assert_eq!(Shard::find(None, with(&const { [("", ""); 0] })), Ok(Shard::WHOLE));
        let read =
            |name: &str| slurm.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(Shard::find(None, read), Ok(Shard { number: 4, of: 8 }));
        for wrong in ["0/8", "9/8", "3", "3/0", "a/b", "-1/2", "", "2/65537", "2/18446744073709551615"] {
            assert!(Shard::find(Some(wrong), with(&[])).is_err(), "{wrong}");
        }
        assert!(
            Shard::find(None, with(&[("JOB_COMPLETION_INDEX", "8"), ("TENTERHOOK_SHARDS", "8")])).is_err()
        );
        assert!(Shard::find(None, with(&[("SLURM_ARRAY_TASK_ID", "x")])).is_err());
        assert!(
            Shard::find(None, with(&[("JOB_COMPLETION_INDEX", "8"), ("TENTERHOOK_SHARDS", "70000")]))
                .is_err()
        );
    }

    #[test]
    fn what_is_done_is_not_given_out_again() {
        let mut done = Done::default();
        done.insert(64, 64);
        [3, 63, 130, 191].into_iter().for_each(|seed| done.insert(seed, 1));
        let given: Vec<u64> = Seeds::new(0, Some(200), Shard::WHOLE, done.clone()).collect();
        let expected: Vec<u64> = (0..200).filter(|&seed| !done.has(seed)).collect();
        assert_eq!(given, expected);
        assert_eq!(given.len(), 200 - 64 - 4);
    }
}
