//! The pager, opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenterhook_runtime::io::{IO, drive};
use tenterhook_runtime::pager::{Durability, Pager, PagerError, PagerOptions};
use tenterhook_stress::real::threads::{Connection, Environment, Incarnation};
use tenterhook_stress::violation::Violation;

use super::connection::PagerConnection;
use super::table::Table;
use crate::real::ledger::{Audit, Layout, Make};

/// Small pages and a cache that is smaller than the file, so that pages are read from it.
const OPTIONS: PagerOptions = PagerOptions {
    page_size: 1024,
    cache_pages: 48,
    spill_pages: 2048,
    checkpoint_frames: 400,
    restart_frames: 1600,
    max_pages: u32::MAX,
    durability: Durability::Full,
    id_seed: 13,
};

/// How often a check is made whether the pager's own I/O has ended.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct PagerIncarnation {
    pub(super) pager: Arc<Pager>,
    pub(super) layout: Layout,
    pub(super) table: Arc<Table>,
    pub(super) environment: Arc<Environment>,
    io: Arc<dyn IO>,
}

impl PagerIncarnation {
    /// Recovers the file, and makes what connections work on if it is new. `None` if a sync has failed meanwhile.
    pub(super) fn open(
        environment: &Arc<Environment>,
        table: &Arc<Table>,
    ) -> Result<Option<PagerIncarnation>, Box<Violation>> {
        let io = environment.io();
        let mut open = Pager::open(Arc::clone(&io), &super::database(environment.directory()), OPTIONS);
        let opened = drive(&*io, || open.step());
        let Some(pager) = expect("recovery", "a file that can be opened", opened)? else { return Ok(None) };
        let layout = Layout { connections: environment.connections(), usable: pager.usable_size() };
        let (table, environment) = (Arc::clone(table), Arc::clone(environment));
        let incarnation = PagerIncarnation { pager, layout, table, environment, io };
        // What recovery has left is looked at before anything is written.
        let Some(cells) = incarnation.cells()? else { return Ok(None) };
        incarnation.table.settle(&cells);
        let mut make = Make::new(&incarnation.pager, layout);
        let made = drive(&*incarnation.io, || make.step());
        Ok(expect("recovery", "a file that can be written", made)?.map(|_| incarnation))
    }

    /// The pager's holdings once the I/O that it owns has ended: what machines began and did not wait for, because they were
    /// dropped or because a sync had failed. The thread that ends a load holds its page for a moment after it has told of the
    /// end, so what is held has as long as a stall to go; what leaks stays.
    fn audit_at_rest(&self) -> tenterhook_runtime::pager::Audit {
        let begun = Instant::now();
        loop {
            let audit = self.pager.audit();
            if audit.is_idle() || begun.elapsed() >= self.environment.stall() {
                return audit;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Each connection has what it was told of, and not more than it asked for.
    fn compare(&self, cells: &[u64]) -> Result<(), Box<Violation>> {
        for (connection, (asked, told)) in self.table.rows().enumerate() {
            let own = cells.get(connection).copied().unwrap_or(0);
            if !(told..=asked).contains(&own) {
                let expected = format!(
                    "from {told} commits of connection {connection}, which were acknowledged, to {asked}, which were asked for"
                );
                return Err(Violation::safety("durability", expected, own.to_string()));
            }
        }
        Ok(())
    }

    /// The file is sound, nothing is held, and no commit of a connection is missing: how many each connection has. `None` if a sync had
    /// failed before.
    fn cells(&self) -> Result<Option<Vec<u64>>, Box<Violation>> {
        let audit = self.audit_at_rest();
        if !audit.is_idle() {
            let expected = "nothing held at rest";
            return Err(Violation::safety("leaks", expected, format!("{audit:?}")));
        }
        let mut check = self.pager.check_integrity();
        let report = drive(&*self.io, || check.step());
        let Some(report) = expect("integrity", "a file that can be read", report)? else { return Ok(None) };
        if !report.is_sound() {
            return Err(Violation::safety("integrity", "no problem", format!("{:?}", report.problems)));
        }
        let found = Audit::whole(&self.pager, self.layout).and_then(|mut audit| {
            let found = drive(&*self.io, || audit.step())?;
            Ok(found.map(|_| audit.cells().to_vec()))
        });
        match expect("integrity", "a file that can be read", found)? {
            Some(Ok(cells)) => self.compare(&cells).map(|()| Some(cells)),
            Some(Err(wrong)) => {
                let expected = format!("{} {}, as after some number of commits", wrong.place, wrong.expected);
                Err(Violation::safety("atomicity", expected, wrong.seen))
            }
            None => Ok(None),
        }
    }
}

impl Incarnation for PagerIncarnation {
    fn connect(self: Arc<Self>, number: u64, key: u64) -> Box<dyn Connection> {
        Box::new(PagerConnection::new(self, number, key))
    }

    fn look_over(&self) -> Result<(), Box<Violation>> {
        self.cells().map(drop)
    }

    fn describe(&self) -> String {
        format!("{:?}", self.pager.audit())
    }
}

/// Faults are off: there is no excuse. `None` if a sync had failed before, which is remembered until the file is reopened.
fn expect<T>(
    oracle: &str,
    expected: &str,
    result: Result<T, PagerError>,
) -> Result<Option<T>, Box<Violation>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(PagerError::Poisoned { .. }) => Ok(None),
        Err(error) => Err(Violation::safety(oracle, expected, error.to_string())),
    }
}
