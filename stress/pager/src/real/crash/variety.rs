//! What makes one child unlike another.

use tenterhook_runtime::pager::{Durability, PagerOptions};
use tenterhook_stress::rng;

use super::OPTIONS;

/// How a child works, drawn from its number. Positions 13 and 14 of it are the tester's.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Variety {
    options: PagerOptions,
    /// Every so many commits of a connection takes back part of itself; 0 for none.
    pub(super) strays: u64,
    /// How many pages it strays over.
    pub(super) stray_pages: u64,
    /// Every so many commits of a connection are followed by a vacuum; 0 for none.
    pub(super) vacuums: u64,
    /// Every so many checkpoints of a connection cut the log; 0 for none.
    pub(super) truncates: u64,
}

impl Variety {
    /// Number 0 stands for the plain child.
    pub(super) fn of(number: u64) -> Variety {
        if number == 0 {
            return Variety { options: OPTIONS, strays: 0, stray_pages: 0, vacuums: 0, truncates: 0 };
        }
        let one_of = |position: u64, choices: &[u64]| {
            choices[rng::below(rng::at(number, position), choices.len() as u64) as usize]
        };
        let checkpoint_frames = one_of(9, &[60, 60, 10, 400]) as u32;
        Variety {
            options: PagerOptions {
                spill_pages: one_of(4, &[2048, 1, 2, 3, 5, 8]) as usize,
                cache_pages: one_of(5, &[48, 1, 4, 400]) as usize,
                checkpoint_frames,
                restart_frames: checkpoint_frames * one_of(10, &[4, 2, 1]) as u32,
                durability: [Durability::Full, Durability::Full, Durability::Normal]
                    [one_of(11, &[0, 1, 2]) as usize],
                ..OPTIONS
            },
            strays: one_of(6, &[0, 1, 3]),
            stray_pages: 1 + one_of(7, &[0, 1, 2, 4, 7, 11]),
            vacuums: one_of(12, &[0, 5, 20]),
            truncates: one_of(15, &[0, 1, 3]),
        }
    }

    pub(super) fn options(&self) -> PagerOptions {
        self.options
    }

    /// Whether what was acknowledged survives a power loss.
    pub(super) fn keeps_what_it_tells(&self) -> bool {
        self.options.durability == Durability::Full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bring_every_kind_of_child_and_zero_the_plain_one() {
        assert_eq!(Variety::of(0).options(), OPTIONS);
        let all: Vec<Variety> = (1..400).map(Variety::of).collect();
        assert!(all.iter().any(|child| child.options.spill_pages == 1 && child.strays == 1));
        assert!(all.iter().any(|child| !child.keeps_what_it_tells() && child.vacuums > 0));
    }
}
