//! Power losses, at any moment of a child's life.

use std::io;

use super::base::Base;
use super::draws::Draws;
use super::record::{self, Entries, Entry, Tag};
use super::replay::Files;
use super::seat::Seat;
use super::system::Recorded;
use super::verdict;
use crate::disk::{Fate, Script, SimDisk, Unsynced};
use crate::violation::{Class, Violation};

/// Operations of a recovery before each of which it may be cut off.
const RECOVERY: u64 = 12;

/// A power loss that was tried.
#[derive(Debug)]
pub(super) struct Loss {
    /// Whether there was something that it could take.
    pub(super) had_stake: bool,
    /// Whether the recovery from it lost its power, too.
    pub(super) again: bool,
    /// In which state the last loss has left the files, and what they must have.
    pub(super) files: Files,
    pub(super) seats: Vec<Seat>,
    /// What is wrong with them, and in words which state that is.
    pub(super) broken: Option<(String, Box<Violation>)>,
}

/// Loses the power at a moment that is drawn: the last child's death, or any before it in its life.
pub(super) fn lose(system: &dyn Recorded, base: &Base, draws: &mut Draws) -> io::Result<Loss> {
    let life = &base.record[base.last_life..base.last_death];
    let ends = record::ends(life);
    let entry = match draws.below(4) {
        0 => None,
        1 => Some(draws.below(ends.len() as u64 + 1) as usize),
        _ => Some(after_a_turn(life, base.paths().headers(), draws).min(ends.len())),
    };
    let (moment, when) = match entry {
        None => (base.last_death, "at its death".to_owned()),
        Some(entry) => {
            let at = entry.checked_sub(1).map_or(0, |last| ends[last]);
            (base.last_life + at, format!("after entry {entry} of the {} in its record", ends.len()))
        }
    };
    let (disk, seats) = base.replay(moment)?.cut_power();
    let at_stake = disk.unsynced();
    let left = fall(&disk, &at_stake, draws);
    let image = format!("the files after a power loss {when} that left {left}");
    let again = draws.below(2) == 0;
    let cut_off = if again { cut_recovery_off(system, &disk, (base, &seats), draws) } else { Ok(()) };
    // What is found in them binds the next recovery of the same files, so they are those of the last loss.
    let (files, mut loss) = (content(&disk, base), None);
    let result = (|| {
        cut_off?;
        let found = verdict::of_disk(system, &disk, base.directory(), &seats)?;
        // What a recovery has shown is durable, and what it has not shown is gone.
        let settled = Seat::settled(&seats, &found);
        drop(disk.cut_power());
        disk.lose_unsynced();
        let second = verdict::of_disk(system, &disk, base.directory(), &settled);
        second
            .map_err(|violation| violation.note("a recovery from the same files had shown something else"))?;
        Ok::<Vec<u64>, Box<Violation>>(found)
    })();
    let seats = match result {
        Ok(found) => Seat::settled(&seats, &found),
        Err(violation) => {
            loss = Some((
                if again { format!("{image}, and another in the recovery") } else { image },
                violation,
            ));
            seats
        }
    };
    Ok(Loss { had_stake: !at_stake.is_empty(), again, files, seats, broken: loss })
}

/// A few entries after one that is rare and after which much is open: a log's header, a cut, a sync that has dropped what it
/// covered, or, where there are none of these, a sync. Of thousands of entries a plain draw would hardly ever meet one.
fn after_a_turn(life: &[u8], headers: u64, draws: &mut Draws) -> usize {
    let turns = |is_turn: &dyn Fn(&Entry<'_>) -> bool| {
        let entries = Entries(life).enumerate().filter(|(_, entry)| is_turn(entry));
        entries.map(|(index, _)| index).collect::<Vec<usize>>()
    };
    let mut rare =
        turns(&|entry| entry.is_of_log_header(headers) || matches!(entry.tag, Tag::Truncate | Tag::Dropped));
    if rare.is_empty() {
        rare = turns(&|entry| entry.tag == Tag::Sync);
    }
    let turn = rare.get(draws.below(rare.len().max(1) as u64) as usize).map_or(0, |turn| turn + 1);
    turn + draws.below(24) as usize
}

/// Decides what is left, one thing at a time or as the simulator draws it; in words.
fn fall(disk: &SimDisk, at_stake: &[Unsynced], draws: &mut Draws) -> String {
    let left = if draws.below(2) == 0 {
        let fates: Vec<Fate> = at_stake.iter().map(|unsynced| fate(draws, unsynced)).collect();
        disk.fall(&fates);
        format!("{fates:?}")
    } else {
        let seed = draws.below(1 << 32);
        disk.fall_by(seed);
        format!("what the simulator draws from {seed:#x}")
    };
    disk.oblige();
    left
}

/// A recovery comes so far, and then the power goes again.
fn cut_recovery_off(
    system: &dyn Recorded,
    disk: &SimDisk,
    (base, seats): (&Base, &[Seat]),
    draws: &mut Draws,
) -> Result<(), Box<Violation>> {
    let mut script = Script::default();
    let from = draws.below(RECOVERY) as u32;
    (0..from).for_each(|operation| script.at_once(operation));
    script.refuse_from(from);
    disk.follow(script);
    let ended = verdict::of_disk(system, disk, base.directory(), seats);
    drop(disk.cut_power());
    fall(disk, &disk.unsynced(), draws);
    match ended {
        // It may fail where it is cut off. It may not panic.
        Err(violation) if violation.class == Class::Panic => Err(violation),
        // What it has found, or not, is judged by the next one.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn fate(draws: &mut Draws, unsynced: &Unsynced) -> Fate {
    match draws.below(6) {
        0 => Fate::Nothing,
        1 => Fate::UpTo(draws.below(u64::from(unsynced.changes) + 1) as u32),
        2 => Fate::AllBut(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
        3 => Fate::Only(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
        4 => Fate::Everything,
        _ => Fate::Torn(draws.below(u64::from(unsynced.sectors.max(1))) as u32),
    }
}

fn content(disk: &SimDisk, base: &Base) -> Files {
    base.paths().all().filter_map(|(role, path)| Some((role, disk.content(path)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::error::Error;
    use std::path::Path;
    use std::sync::Arc;

    use tenterhook_runtime::io::IO;

    use super::super::acks::Acks;
    use super::super::commits::Opening;
    use super::super::files::{SystemFiles, pair};
    use super::super::points::Point;
    use super::super::toy::Toy;
    use super::*;

    /// A recovery that panics when an operation fails.
    struct Frail;

    impl Recorded for Frail {
        fn files(&self, directory: &Path) -> SystemFiles {
            Recorded::files(&Toy, directory)
        }

        fn points(&self) -> Vec<Point> {
            Toy.points()
        }

        fn work(&self, _: Opening, _: &Arc<dyn IO>) -> Result<Infallible, Box<dyn Error>> {
            Err("it does not work".into())
        }

        fn check(
            &self,
            io: &Arc<dyn IO>,
            directory: &Path,
            seats: &[Seat],
        ) -> Result<Vec<u64>, Box<Violation>> {
            Ok(Recorded::check(&Toy, io, directory, seats).expect("no operation fails"))
        }
    }

    /// Broke: a panic in a recovery that the power cut off was taken for its end.
    #[test]
    fn a_recovery_that_panics_where_it_is_cut_off_is_a_violation() {
        let folder = tempfile::tempdir().unwrap();
        let acks = Acks::open(&folder.path().join("acks"), 1).unwrap();
        let mut base = Base::resume(folder.path(), pair(folder.path()), &acks).unwrap();
        base.add_life(b"", &Files::new()).unwrap();
        let broken = |system: &dyn Recorded| {
            (0..100).find_map(|death| lose(system, &base, &mut Draws::of(1, death)).unwrap().broken)
        };
        let (image, violation) = broken(&Frail).expect("a recovery that is cut off");
        assert!(violation.class == Class::Panic && image.contains("another in the recovery"), "{violation}");
        assert!(broken(&Toy).is_none(), "one that fails there is none");
    }
}
