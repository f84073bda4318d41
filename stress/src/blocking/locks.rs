//! Advisory locks between connections that stand for processes.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::schedule::FiberId;

/// How a lock is held.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// With others that hold it shared.
    Shared,
    /// Alone.
    Exclusive,
}

/// Who holds which lock of which file. A lock is a number of the file's; what it stands for is the engine's business, a byte of
/// a range for instance. Nothing here waits: a lock is granted or it is not.
///
/// The table is the operating system's. It is lost with the power, and a process that dies loses its locks.
#[derive(Debug, Default)]
pub struct FileLocks {
    held: Mutex<BTreeMap<(u64, u32), Holders>>,
}

#[derive(Debug, Default)]
struct Holders {
    shared: Vec<FiberId>,
    exclusive: Option<FiberId>,
}

impl FileLocks {
    /// Takes lock `number` of `file` for `owner`, or changes how it holds it. Returns whether it has it now.
    pub fn lock(&self, owner: FiberId, file: u64, number: u32, kind: LockKind) -> bool {
        let mut held = self.held.lock();
        let holders = held.entry((file, number)).or_default();
        let alone = holders.shared.iter().all(|&holder| holder == owner);
        match (kind, holders.exclusive) {
            (_, Some(holder)) if holder != owner => false,
            (LockKind::Exclusive, _) if !alone => false,
            (LockKind::Exclusive, _) => {
                holders.shared.clear();
                holders.exclusive = Some(owner);
                true
            }
            (LockKind::Shared, _) => {
                holders.exclusive = None;
                if !holders.shared.contains(&owner) {
                    holders.shared.push(owner);
                }
                true
            }
        }
    }

    /// Gives up lock `number` of `file`, if `owner` holds it.
    pub fn unlock(&self, owner: FiberId, file: u64, number: u32) {
        let mut held = self.held.lock();
        if let Some(holders) = held.get_mut(&(file, number)) {
            holders.release(owner);
        }
    }

    /// Gives up each lock of `owner`: its process has ended.
    pub fn release(&self, owner: FiberId) {
        self.held.lock().values_mut().for_each(|holders| holders.release(owner));
    }

    /// Whether any holder has lock `number` of `file`, and how.
    pub fn holder(&self, file: u64, number: u32) -> Option<LockKind> {
        let held = self.held.lock();
        let holders = held.get(&(file, number))?;
        match holders.exclusive {
            Some(_) => Some(LockKind::Exclusive),
            None => (!holders.shared.is_empty()).then_some(LockKind::Shared),
        }
    }
}

impl Holders {
    fn release(&mut self, owner: FiberId) {
        self.shared.retain(|&holder| holder != owner);
        self.exclusive = self.exclusive.filter(|&holder| holder != owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_lock_is_shared_and_an_exclusive_one_waits_for_the_others() {
        let locks = FileLocks::default();
        assert!(locks.lock(0, 7, 1, LockKind::Shared));
        assert!(locks.lock(1, 7, 1, LockKind::Shared));
        assert!(!locks.lock(0, 7, 1, LockKind::Exclusive), "the other reads");
        assert_eq!(locks.holder(7, 1), Some(LockKind::Shared));
        locks.unlock(1, 7, 1);
        assert!(locks.lock(0, 7, 1, LockKind::Exclusive), "it is alone: an upgrade");
        assert!(!locks.lock(1, 7, 1, LockKind::Shared));
        assert!(locks.lock(1, 8, 1, LockKind::Exclusive), "another file");
        assert!(locks.lock(1, 7, 2, LockKind::Exclusive), "another lock");
        assert!(locks.lock(0, 7, 1, LockKind::Shared), "a downgrade");
        assert!(locks.lock(1, 7, 1, LockKind::Shared));
    }

    #[test]
    fn a_process_that_ends_gives_up_its_locks_and_no_others() {
        let locks = FileLocks::default();
        assert!(locks.lock(0, 7, 1, LockKind::Shared) && locks.lock(1, 7, 1, LockKind::Shared));
        assert!(locks.lock(0, 7, 2, LockKind::Exclusive));
        locks.release(0);
        assert_eq!((locks.holder(7, 1), locks.holder(7, 2)), (Some(LockKind::Shared), None));
    }
}
