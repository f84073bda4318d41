//! A race inside one step: invisible while steps are atomic, found when threads are stopped at any synchronisation operation. Under
//! `--cfg tenterhook_shuttle` (`make race`) the same test has threads.

use std::sync::Arc;

use tenterhook_runtime::sync::atomic::{AtomicU32, Ordering};
use tenterhook_stress::check::Check;
use tenterhook_stress::race::{self, Connection};
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

const LOOK: ChoicePoint = ChoicePoint::new(0, "only look");

/// Tickets that connections sell: one is left as long as fewer are sold than there are seats.
struct Tickets {
    seats: u32,
    sold: AtomicU32,
    revenue: AtomicU32,
}

impl Tickets {
    /// Sells one, if one is left. Others may sell it between the look and the sale.
    fn sell(&self) {
        // ORDERING: Acquire and Release pair with each other here. No ordering would make two operations one.
        if self.sold.load(Ordering::Acquire) < self.seats {
            // ORDERING: see above.
            self.revenue.fetch_add(10, Ordering::AcqRel);
            // ORDERING: see above.
            self.sold.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[derive(Clone)]
struct Seller(Arc<Tickets>);

impl Connection for Seller {
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let tickets = &self.0;
        if context.stream.choose(LOOK, 4) != 1 {
            tickets.sell();
        }
        // ORDERING: Acquire, of the sale that it judges.
        let sold = tickets.sold.load(Ordering::Acquire);
        if sold > tickets.seats {
            let expected = format!("at most {} tickets sold", tickets.seats);
            return Err(Violation::safety("tickets", expected, format!("{sold} sold")));
        }
        Ok(Step::Ended)
    }
}

struct Theatre {
    connections: u32,
    seller: Seller,
}

impl Theatre {
    fn new(connections: u32) -> Theatre {
        let (sold, revenue) = (AtomicU32::new(0), AtomicU32::new(0));
        Theatre { connections, seller: Seller(Arc::new(Tickets { seats: 6, sold, revenue })) }
    }
}

impl System for Theatre {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.seller.step(context)
    }

    fn connection(&mut self, _: u32) -> Option<Box<dyn Connection>> {
        Some(Box::new(self.seller.clone()))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.seller = Theatre::new(self.connections).seller;
        Ok(())
    }
}

fn check() -> Check<fn(u32) -> Theatre> {
    Check::new("tickets", Theatre::new as fn(u32) -> Theatre).threads(4).steps(200)
}

/// The same seeds in both builds. Broken once by making the sale one `fetch_update`: with threads the search found nothing and the
/// test failed.
#[test]
fn ticket_sold_twice_is_found_with_threads_alone_and_made_small() {
    let found = check().search(0, 200);
    assert_eq!(found.is_some(), race::IS_BUILT, "a step is atomic without threads");
    let Some(broken) = found else { return };
    let after = broken.shrunk.after;
    assert!(after.preemptions <= 2, "{after}");
    let tape = broken.shrunk.file().encode();
    let replayed = std::panic::catch_unwind(|| check().replay(&tape));
    let message = *replayed.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("at most 6 tickets sold") && message.contains("is stopped in"), "{message}");
}
