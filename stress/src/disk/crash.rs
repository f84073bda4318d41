//! What a power loss leaves of a file.
//!
//! Of each unsynced write every 512-byte sector may have reached the disk or not, whatever happened to its
//! neighbours and to earlier and later writes, and the sector that was being written may be torn: a new head and an old tail
//! or the other way round, cut anywhere or at an edge of a field, or words of both. Independent coins
//! alone would hardly ever draw the plain cases, so a pattern is drawn first: nothing survived, everything did, the
//! writes up to some point did, whole writes at random, sectors at random.

use std::ops::Range;

use super::faults::{FaultCounts, FaultKind};
use super::file::{Change, SimFile};
use super::image::Image;
use crate::tape::{Chance, ChoicePoint, Stream};

/// Unit of what a disk writes at once.
pub(super) const SECTOR: u64 = 512;

/// Unit of what a processor writes at once, and of most fields.
const WORD: usize = 8;

pub(super) const PATTERN: ChoicePoint = ChoicePoint::new(8, "crash: pattern");
pub(super) const CUT: ChoicePoint = ChoicePoint::new(9, "crash: cut");
pub(super) const SURVIVES: ChoicePoint = ChoicePoint::new(10, "crash: survives");
pub(super) const TEARS: ChoicePoint = ChoicePoint::new(11, "crash: tears");
pub(super) const TEAR_AT: ChoicePoint = ChoicePoint::new(12, "crash: tear at");
const TEAR_HOW: ChoicePoint = ChoicePoint::new(22, "crash: tear how");
const GROWS: ChoicePoint = ChoicePoint::new(13, "crash: length survives");
const EXISTS: ChoicePoint = ChoicePoint::new(14, "crash: name is lost");

/// Which of a file's unsynced changes reached the disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Nothing,
    Everything,
    UpTo(usize),
    Writes,
    Sectors,
}

/// Draws what survives of `file` and makes that its only content. If choices are `addressed`, what becomes of a change belongs to
/// what has made it. Returns whether the file itself survives: one
/// that was never synced may not.
pub(super) fn lose_power(
    file: &mut SimFile,
    torn: Chance,
    addressed: bool,
    stream: &mut Stream,
    counts: &mut FaultCounts,
) -> bool {
    let changes = file.unsynced().count();
    let exists = file.linked || !stream.happens(EXISTS, Chance::per_mille(250));
    if !exists {
        file.restart_from(Image::default());
        return false;
    }
    if changes == 0 {
        let durable = file.durable.clone();
        file.restart_from(durable);
        return true;
    }
    let pattern = match stream.choose(PATTERN, 5) {
        0 => Pattern::Nothing,
        1 => Pattern::Everything,
        2 => Pattern::UpTo(stream.choose(CUT, changes as u32 + 1) as usize),
        3 => Pattern::Writes,
        _ => Pattern::Sectors,
    };
    let mut survivor = Survivor { image: file.durable.clone(), pattern, torn, stream, counts };
    for (index, ((change, bytes), cause)) in file.unsynced().zip(file.causes()).enumerate() {
        if addressed {
            survivor.stream.enter(cause);
        }
        match change {
            Change::Write { offset, .. } => survivor.write(index, offset, bytes),
            Change::Truncate { len } => survivor.truncate(index, len),
        }
    }
    let image = survivor.image;
    file.restart_from(image);
    true
}

/// The content of the disk as it is put together.
struct Survivor<'a> {
    image: Image,
    pattern: Pattern,
    torn: Chance,
    stream: &'a mut Stream,
    counts: &'a mut FaultCounts,
}

impl Survivor<'_> {
    fn write(&mut self, index: usize, offset: u64, bytes: &[u8]) {
        let whole = match self.pattern {
            Pattern::Nothing => Some(false),
            Pattern::Everything => Some(true),
            // The write at the cut was under way: its sectors fall one by one.
            Pattern::UpTo(cut) if index == cut => None,
            Pattern::UpTo(cut) => Some(index < cut),
            Pattern::Writes => Some(self.survives()),
            Pattern::Sectors => None,
        };
        let mut position = 0;
        while position < bytes.len() {
            let at = offset + position as u64;
            let length = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - position);
            let sector = &bytes[position..position + length];
            position += length;
            if whole == Some(true) || (whole.is_none() && self.survives()) {
                self.image.write(at, sector);
            } else if whole.is_none() && self.stream.happens(TEARS, self.torn) {
                self.tear(at, sector);
            } else {
                self.counts.request(FaultKind::SectorLost);
                if !self.image.holds(at, sector) {
                    self.counts.deliver(FaultKind::SectorLost);
                }
            }
        }
        let end = offset + bytes.len() as u64;
        // The new length may be on the disk while the data is not: then the gap reads as zeroes.
        if end > self.image.len() && self.pattern != Pattern::Nothing && self.stream.choose(GROWS, 2) == 1 {
            self.image.truncate(end);
        }
    }

    fn tear(&mut self, at: u64, sector: &[u8]) {
        self.counts.request(FaultKind::SectorTorn);
        if sector.len() > 1 {
            let parts = self.draw_tear(sector.len());
            let differs = |is_new: bool| {
                let mut of_that_age = parts.iter().filter(|(_, new)| *new == is_new);
                of_that_age
                    .any(|(range, _)| !self.image.holds(at + range.start as u64, &sector[range.clone()]))
            };
            // If the new parts or the old parts are equal in both images, it equals a whole sector.
            let torn = differs(true) && differs(false);
            for (range, _) in parts.into_iter().filter(|(_, new)| *new) {
                self.image.write(at + range.start as u64, &sector[range]);
            }
            if torn {
                self.counts.deliver(FaultKind::SectorTorn);
            }
        }
    }

    /// The parts of a torn sector, each with whether it is new.
    fn draw_tear(&mut self, len: usize) -> Vec<(Range<usize>, bool)> {
        let how = self.stream.choose(TEAR_HOW, 8);
        let cut = 1 + self.stream.choose(TEAR_AT, len as u32 - 1) as usize;
        // Fields and records end there.
        let edge = (cut & !(WORD - 1)).max(WORD).min(len - 1);
        let words = |new: usize| {
            let starts = (0..len).step_by(WORD).enumerate();
            starts.map(|(word, start)| (start..(start + WORD).min(len), word % 2 == new)).collect()
        };
        match how {
            0 | 1 => vec![(0..cut, true), (cut..len, false)],
            2 => vec![(0..edge, true), (edge..len, false)],
            3 => vec![(0..cut, false), (cut..len, true)],
            4 => vec![(0..edge, false), (edge..len, true)],
            5 => words(0),
            6 => words(1),
            // One word of it.
            _ => {
                let end = (edge + WORD).min(len);
                vec![(0..edge, false), (edge..end, true), (end..len, false)]
            }
        }
    }

    fn truncate(&mut self, index: usize, len: u64) {
        let survives = match self.pattern {
            Pattern::Nothing => false,
            Pattern::Everything => true,
            Pattern::UpTo(cut) => index < cut,
            Pattern::Writes | Pattern::Sectors => self.survives(),
        };
        if survives {
            self.image.truncate(len);
        }
    }

    fn survives(&mut self) -> bool {
        self.stream.choose(SURVIVES, 2) == 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tape::{Actor, Source};

    /// A file of four synced sectors of `a` with one unsynced write of three sectors of `b` from sector 1 on.
    fn file() -> SimFile {
        let mut file = SimFile::default();
        file.write(0, &[&[b'a'; 2048]], usize::MAX);
        file.sync(file.next_change());
        file.write(SECTOR, &[&[b'b'; 1536]], usize::MAX);
        file
    }

    /// The files left by the power losses of many seeds, one letter a sector, `?` for a torn one.
    fn outcomes(make: impl Fn() -> SimFile, torn: Chance) -> BTreeSet<String> {
        let mut counts = FaultCounts::default();
        let shapes = (0..400).map(|seed| {
            let mut file = make();
            let mut stream = Source::Seed(seed).stream(Actor::DISK, false);
            lose_power(&mut file, torn, false, &mut stream, &mut counts);
            assert_eq!(file.current.bytes(), file.durable.bytes());
            assert_eq!(file.unsynced().count(), 0);
            let bytes = file.current.bytes();
            let sectors = bytes.chunks(512);
            sectors.map(|s| if s.iter().all(|b| *b == s[0]) { char::from(s[0]) } else { '?' }).collect()
        });
        shapes.collect()
    }

    #[test]
    fn synced_sectors_are_kept_and_unsynced_ones_fall_independently() {
        let shapes = outcomes(file, Chance::NEVER);
        let expected = ["aaaa", "aaab", "aaba", "aabb", "abaa", "abab", "abba", "abbb"];
        assert_eq!(shapes, expected.into_iter().map(String::from).collect());
    }

    #[test]
    fn a_torn_sector_has_the_new_head_and_the_old_tail() {
        let shapes = outcomes(file, Chance::per_mille(500));
        assert!(shapes.iter().any(|shape| shape.contains('?')), "{shapes:?}");
        let mut file = file();
        let mut counts = FaultCounts::default();
        // The first seed under which sector 1 is torn.
        let torn = (0..1000).find_map(|seed| {
            file.write(SECTOR, &[&[b'b'; 512]], usize::MAX);
            let mut stream = Source::Seed(seed).stream(Actor::DISK, false);
            lose_power(&mut file, Chance::per_million(1_000_000), false, &mut stream, &mut counts);
            let sector = file.current.bytes()[512..1024].to_vec();
            file = self::file();
            sector.is_sorted_by(|a, b| a >= b).then_some(sector).filter(|sector| sector[0] != sector[511])
        });
        let torn = torn.expect("one of a thousand seeds tears the sector");
        assert_eq!((torn[0], torn[511]), (b'b', b'a'));
        assert!(counts.delivered(FaultKind::SectorTorn) > 0);
    }

    #[test]
    fn writes_beyond_the_end_may_leave_zeroes_or_nothing() {
        let make = || {
            let mut file = SimFile::default();
            file.write(0, &[&[b'a'; 512]], usize::MAX);
            file.sync(file.next_change());
            file.write(512, &[&[b'b'; 512]], usize::MAX);
            file
        };
        let shapes = outcomes(make, Chance::NEVER);
        assert_eq!(shapes, ["a", "a\0", "ab"].into_iter().map(String::from).collect());
    }

    #[test]
    fn a_file_that_was_never_synced_may_vanish_with_its_name() {
        let mut survived = [0, 0];
        for seed in 0..100 {
            let mut file = SimFile::default();
            file.write(0, &[b"x"], usize::MAX);
            let mut stream = Source::Seed(seed).stream(Actor::DISK, false);
            let exists =
                lose_power(&mut file, Chance::NEVER, false, &mut stream, &mut FaultCounts::default());
            survived[usize::from(exists)] += 1;
        }
        assert!(survived[0] > 5 && survived[1] > 50, "{survived:?}");
    }
}
