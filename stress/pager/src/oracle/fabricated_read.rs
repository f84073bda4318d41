use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tenterhook_runtime::pager::PageNo;

use super::{ABSENT, History, Observation, Oracle, Verdict};
use tenterhook_stress::violation::Violation;

/// A disk that lies can make a pager return old content, and no checksum shows that. What it must never return is
/// content that was never written to that page.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FabricatedRead {
    written: BTreeSet<(PageNo, u64)>,
}

impl Oracle for FabricatedRead {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::CommitBegan { changes, .. } => self.written.extend(changes),
            // A transaction that spills writes it, and a write that is lost then shows it.
            Observation::PageChanged { page, digest } => drop(self.written.insert((page, digest))),
            Observation::PageRead { page, digest, .. } | Observation::OwnPage { page, seen: digest, .. } => {
                return self.known(page, digest);
            }
            Observation::Recovered { pages } => {
                return (2..)
                    .zip(pages.iter().skip(2))
                    .try_for_each(|(page, &digest)| self.known(page, digest));
            }
            _ => {}
        }
        Ok(())
    }
}

impl FabricatedRead {
    fn known(&self, page: PageNo, digest: u64) -> Verdict {
        if digest == ABSENT || self.written.contains(&(page, digest)) {
            return Ok(());
        }
        let expected = format!("an error, or content that some transaction has given page {page}");
        Err(Violation::safety(
            "fabricated read",
            expected,
            format!("digest {digest:#x}, which was never written there"),
        ))
    }
}
