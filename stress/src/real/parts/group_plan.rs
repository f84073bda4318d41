//! What is drawn for a case of the storm of groups.

use super::meeting::Draws;

/// The most members of a case, and the most threads.
pub(super) const MOST: usize = 4;
/// One case in so many has a callback that panics.
const PANICS: u64 = 48;

/// What is drawn for a case.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) leaves: usize,
    /// The members of the group that is there before, as bits; none if it is not there.
    pub(super) inner: u8,
    pub(super) inner_drains: bool,
    /// By thread: the members of its group as bits, and what kind it is.
    pub(super) groups: [OneGroup; MOST],
    /// The member whose callback panics.
    pub(super) panics: Option<usize>,
    /// The callbacks of the threads' groups panic then, too: two panics in one walk.
    pub(super) groups_panic: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct OneGroup {
    pub(super) members: u8,
    /// Whether the group that was there before is one.
    pub(super) nests: bool,
    pub(super) drains: bool,
    /// The first member is added twice.
    pub(super) twice: bool,
}

impl Plan {
    pub(super) fn draw(key: u64, threads: usize) -> Plan {
        let mut draws = Draws::new(key);
        let leaves = 1 + draws.below(MOST as u64) as usize;
        let all = (1u64 << leaves) - 1;
        let inner = if draws.one_in(3) { (draws.below(all) + 1) as u8 } else { 0 };
        let mut groups = [OneGroup::default(); MOST];
        for (number, group) in groups[..threads.min(MOST)].iter_mut().enumerate() {
            // The others may leave it to the first to have a group.
            let members = if number == 0 || draws.one_in(2) { draws.below(all + 1) as u8 } else { 0 };
            let nests = inner > 0 && draws.one_in(2);
            *group = OneGroup { members, nests, drains: draws.one_in(2), twice: draws.one_in(8) };
        }
        let inner_drains = draws.one_in(2);
        let panics = draws.one_in(PANICS).then(|| draws.below(leaves as u64) as usize);
        let groups_panic = panics.is_some() && draws.one_in(2);
        Plan { leaves, inner, inner_drains, groups, panics, groups_panic }
    }

    pub(super) fn has(bits: u8, index: usize) -> bool {
        bits >> index & 1 == 1
    }
}
