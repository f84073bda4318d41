//! A race inside one step: invisible while steps are atomic, found when threads are stopped at any synchronisation operation. Under
//! `--cfg tenterhook_shuttle` (`make race`) the same test has threads.

use std::sync::Arc;

use tenterhook_runtime::sync::Mutex;
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

/// The same seeds in both builds.
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

/// Two locks, which half of the connections take in one order and half in the other.
struct Forks {
    connections: u32,
    locks: Arc<(Mutex<u32>, Mutex<u32>)>,
    /// Whether all take them in one order.
    is_ordered: bool,
}

struct Philosopher {
    locks: Arc<(Mutex<u32>, Mutex<u32>)>,
    left_first: bool,
}

impl Connection for Philosopher {
    fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let (left, right) = (&self.locks.0, &self.locks.1);
        let (first, second) = if self.left_first { (left, right) } else { (right, left) };
        let mut first = first.lock();
        let mut second = second.lock();
        (*first, *second) = (*first + 1, *second + 1);
        if *first != *second {
            let seen = format!("{} and {}", *first, *second);
            return Err(Violation::safety("locks", "what two locks guard changes together", seen));
        }
        Ok(Step::Ended)
    }
}

impl System for Forks {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let left_first = self.is_ordered || context.fiber.is_multiple_of(2);
        Philosopher { locks: Arc::clone(&self.locks), left_first }.step(context)
    }

    fn connection(&mut self, fiber: u32) -> Option<Box<dyn Connection>> {
        let left_first = self.is_ordered || fiber.is_multiple_of(2);
        Some(Box::new(Philosopher { locks: Arc::clone(&self.locks), left_first }))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

fn forks(connections: u32, is_ordered: bool) -> Forks {
    Forks { connections, locks: Arc::new((Mutex::new(0), Mutex::new(0))), is_ordered }
}

/// A thread that is stopped with a lock keeps the others out, and lets them in.
#[test]
fn locks_exclude_and_are_let_go_of_with_threads() {
    let check = Check::new("ordered forks", |connections| forks(connections, true)).threads(4).steps(300);
    assert!(check.search(0, 50).is_none());
}

#[test]
fn deadlock_names_the_threads_and_where_they_wait() {
    let check = Check::new("forks", |connections| forks(connections, false)).threads(3).steps(300);
    let found = check.search(0, 50);
    assert_eq!(found.is_some(), race::IS_BUILT);
    let Some(broken) = found else { return };
    let text = broken.shrunk.violation.to_string();
    assert!(text.contains("every waiter is woken"), "{text}");
    let waiting: Vec<&str> = text.lines().filter(|line| line.contains("waits for another one, in")).collect();
    assert_eq!(waiting.len(), 2, "{text}");
    assert!(waiting.iter().all(|line| line.contains("step at ") && line.contains("race.rs")), "{text}");
}

/// A panic in the middle of a step is a violation with its place, and the next life of the tester is not disturbed.
#[test]
fn panic_in_a_thread_is_found_with_its_place() {
    #[derive(Clone)]
    struct Panics(u32, Arc<AtomicU32>);
    impl Connection for Panics {
        fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
            // ORDERING: it orders nothing.
            assert!(self.1.fetch_add(1, Ordering::Relaxed) < 100, "the hundredth step");
            Ok(Step::Ended)
        }
    }
    impl System for Panics {
        fn connections(&self) -> u32 {
            self.0
        }
        fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
            Connection::step(self, context)
        }
        fn connection(&mut self, _: u32) -> Option<Box<dyn Connection>> {
            Some(Box::new(self.clone()))
        }
        fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
            Ok(())
        }
    }
    let make = |connections| Panics(connections, Arc::default());
    let broken = Check::new("panics", make).threads(2).steps(500).search(0, 3).expect("it panics");
    let text = broken.shrunk.violation.to_string();
    assert!(text.contains("the hundredth step") && text.contains("race.rs"), "{text}");
}
