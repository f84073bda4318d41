//! The contract's table of patterns that go wrong before a yield: for each a machine that does it, which the sweep finds,
//! and the same machine put right, in which it finds nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_runtime::{
    Completion, CompletionError, IOCompletions, IOResult, Outcome, io_yield_one, return_if_io,
};
use tenterhook_stress::sweep::{Bounds, Case, Ending, Failure, Operation, OperationReport, Stage, sweep};

/// Numbers in a file, one in each block.
const NUMBERS: [u8; 3] = [10, 20, 30];
const BLOCK: u64 = 512;

/// What machines have in common.
#[derive(Default)]
struct Shop {
    list: RefCell<Vec<u8>>,
    index: RefCell<BTreeMap<usize, u8>>,
    sum: Cell<u64>,
    pins: Cell<u32>,
    /// Others make this grow.
    visitors: Cell<u64>,
}

impl Shop {
    fn describe(&self) -> String {
        format!("{:?} {:?} {}", self.list.borrow(), self.index.borrow(), self.sum.get())
    }
}

/// Reads blocks: the same one, until it has been read.
struct Reader {
    file: Arc<dyn File>,
    under_way: Option<(Completion, Arc<Mutex<Option<Buffer>>>)>,
}

impl Reader {
    fn read(&mut self, block: usize) -> Result<IOResult<u8>, CompletionError> {
        let (completion, slot) = self.under_way.get_or_insert_with(|| {
            let slot = Arc::new(Mutex::new(None));
            let landing = Arc::clone(&slot);
            let land = move |_: Outcome, buffer| *landing.lock().unwrap() = Some(buffer);
            let (completion, submission) =
                Submission::read(block as u64 * BLOCK, Buffer::zeroed(BLOCK as usize), land);
            self.file.submit(submission);
            (completion, slot)
        });
        let outcome = match completion.result() {
            None => io_yield_one!(completion.clone()),
            Some(outcome) => outcome,
        };
        let buffer = slot.lock().unwrap().take();
        self.under_way = None;
        match (outcome?, buffer) {
            (BLOCK, Some(buffer)) => Ok(IOResult::Done(buffer[0])),
            (read, _) => Err(CompletionError::ShortRead { expected: BLOCK as u32, actual: read as u32 }),
        }
    }
}

/// A step of a machine, in the way that is wrong or in the one that is right.
type Step = fn(&mut Machine, &Rc<Shop>, Kind) -> Stepped;
type Stepped = Result<IOResult<String>, CompletionError>;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Wrong,
    Right,
}

struct Machine {
    reader: Reader,
    got: Vec<u8>,
    next: usize,
    visitors: Option<u64>,
    pin: Option<Pin>,
}

/// Counted while it exists.
struct Pin(Rc<Shop>);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.pins.set(self.0.pins.get() - 1);
    }
}

fn push_then_yield(machine: &mut Machine, shop: &Rc<Shop>, kind: Kind) -> Stepped {
    while machine.next < NUMBERS.len() {
        if kind == Kind::Wrong {
            shop.list.borrow_mut().push(NUMBERS[machine.next]);
        }
        let number = return_if_io!(machine.reader.read(machine.next));
        machine.got.push(number);
        machine.next += 1;
    }
    if kind == Kind::Right {
        shop.list.borrow_mut().extend(&machine.got);
    }
    Ok(IOResult::Done(format!("{:?}", machine.got)))
}

fn count_then_yield(machine: &mut Machine, shop: &Rc<Shop>, kind: Kind) -> Stepped {
    while machine.next < NUMBERS.len() {
        let block = machine.next;
        if kind == Kind::Wrong {
            machine.next += 1;
        }
        let number = return_if_io!(machine.reader.read(block));
        machine.got.push(number);
        if kind == Kind::Right {
            machine.next += 1;
        }
    }
    let sum = machine.got.iter().map(|&number| u64::from(number)).sum();
    shop.sum.set(sum);
    Ok(IOResult::Done(sum.to_string()))
}

fn insert_then_yield(machine: &mut Machine, shop: &Rc<Shop>, kind: Kind) -> Stepped {
    while machine.next < NUMBERS.len() {
        if kind == Kind::Wrong {
            let key = shop.index.borrow().len();
            shop.index.borrow_mut().insert(key, NUMBERS[machine.next]);
        }
        let number = return_if_io!(machine.reader.read(machine.next));
        machine.got.push(number);
        machine.next += 1;
    }
    if kind == Kind::Right {
        shop.index.borrow_mut().extend(machine.got.iter().copied().enumerate());
    }
    Ok(IOResult::Done(format!("{:?}", machine.got)))
}

fn pin_then_yield(machine: &mut Machine, shop: &Rc<Shop>, kind: Kind) -> Stepped {
    match kind {
        Kind::Wrong => shop.pins.set(shop.pins.get() + 1),
        Kind::Right => {
            machine.pin.get_or_insert_with(|| {
                shop.pins.set(shop.pins.get() + 1);
                Pin(Rc::clone(shop))
            });
        }
    }
    let number = return_if_io!(machine.reader.read(0));
    match kind {
        Kind::Wrong => shop.pins.set(shop.pins.get() - 1),
        Kind::Right => machine.pin = None,
    }
    Ok(IOResult::Done(number.to_string()))
}

fn look_then_yield(machine: &mut Machine, shop: &Rc<Shop>, kind: Kind) -> Stepped {
    let visitors = match kind {
        Kind::Wrong => shop.visitors.get(),
        Kind::Right => *machine.visitors.get_or_insert(shop.visitors.get()),
    };
    let number = return_if_io!(machine.reader.read(1));
    shop.sum.set(u64::from(number) + visitors);
    Ok(IOResult::Done(format!("{number} for visitor {visitors}")))
}

struct Toy {
    name: &'static str,
    kind: Kind,
    step: Step,
}

struct ToyStage {
    shop: Rc<Shop>,
    machine: Option<Machine>,
    kind: Kind,
    step: Step,
}

impl Operation for Toy {
    fn name(&self) -> String {
        format!("{} ({:?})", self.name, self.kind)
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let file = io.open(Path::new("numbers"), options).map_err(|error| error.to_string())?;
        for (block, number) in (0..).zip(NUMBERS) {
            let buffer = Buffer::copy_of(&[number; BLOCK as usize]);
            file.submit(Submission::write(block * BLOCK, buffer, |_, _| {}).1);
        }
        let reader = Reader { file, under_way: None };
        let machine = Machine { reader, got: Vec::new(), next: 0, visitors: None, pin: None };
        let (shop, kind, step) = (Rc::default(), self.kind, self.step);
        Ok(Box::new(ToyStage { shop, machine: Some(machine), kind, step }))
    }
}

impl Stage for ToyStage {
    fn step(&mut self) -> IOResult<Ending> {
        let Some(machine) = &mut self.machine else { panic!("it has ended") };
        match (self.step)(machine, &self.shop, self.kind) {
            Ok(IOResult::IO(io)) => IOResult::IO(io),
            Ok(IOResult::Done(ending)) => {
                self.machine = None;
                IOResult::Done(Ok(ending))
            }
            Err(error) => {
                self.machine = None;
                IOResult::Done(Err(error.to_string()))
            }
        }
    }

    fn drop_operation(&mut self) {
        self.machine = None;
    }

    fn disturb(&mut self) {
        self.shop.visitors.set(self.shop.visitors.get() + 1);
    }

    fn state(&mut self) -> Result<String, String> {
        match self.shop.pins.get() {
            0 => Ok(self.shop.describe()),
            pins => Err(format!("{pins} pins")),
        }
    }
}

const PATTERNS: [(&str, Step); 5] = [
    ("push, then yield", push_then_yield),
    ("count, then yield", count_then_yield),
    ("insert, then yield", insert_then_yield),
    ("pin, then yield", pin_then_yield),
    ("look, then yield", look_then_yield),
];

fn swept(pattern: usize, kind: Kind) -> Result<OperationReport, Box<Failure>> {
    let (name, step) = PATTERNS[pattern];
    sweep(&Toy { name, kind, step }, Bounds::default())
}

#[test]
fn every_machine_that_is_wrong_in_one_way_of_the_table_is_found() {
    let found = [0, 1, 2, 3, 4].map(|pattern| {
        let failure = swept(pattern, Kind::Wrong).expect_err("it is wrong");
        (failure.case.clone(), failure.violation.oracle)
    });
    let expected = [
        // Grown twice, skipped ahead, inserted under two keys: one pending read is enough.
        (Case::Pending(vec![0]), "state"),
        (Case::Pending(vec![0]), "re-entrancy"),
        (Case::Pending(vec![0]), "state"),
        (Case::Pending(vec![0]), "leaks"),
        // Harmless until another machine changes what was read.
        (Case::Disturbed(0), "re-entrancy"),
    ];
    assert_eq!(found, expected.map(|(case, oracle)| (case, oracle.to_owned())));
}

#[test]
fn the_same_machines_put_right_raise_nothing() {
    for pattern in 0..PATTERNS.len() {
        let report = swept(pattern, Kind::Right).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert!(report.cases() > 15, "{report}");
    }
}

#[test]
fn a_machine_that_leaks_only_when_it_is_dropped_is_found() {
    /// Lets go of its pin at the end, and only there.
    fn step(machine: &mut Machine, shop: &Rc<Shop>, _: Kind) -> Stepped {
        if machine.visitors.is_none() {
            shop.pins.set(shop.pins.get() + 1);
            machine.visitors = Some(0);
        }
        let read = machine.reader.read(0);
        if !matches!(read, Ok(IOResult::IO(_))) {
            shop.pins.set(shop.pins.get() - 1);
        }
        Ok(read?.map(|number| number.to_string()))
    }
    let toy = Toy { name: "pins until its end", kind: Kind::Wrong, step };
    let failure = sweep(&toy, Bounds::default()).expect_err("it is wrong");
    assert_eq!((failure.case, &*failure.violation.oracle), (Case::Dropped(0), "leaks"));
}

#[test]
fn a_machine_that_waits_for_nothing_is_found() {
    fn step(machine: &mut Machine, _: &Rc<Shop>, _: Kind) -> Stepped {
        if let Ok(IOResult::IO(_)) = machine.reader.read(0) {
            // Waits for a completion of its own that never finishes.
            let (completion, completer) = Completion::new(|_| {});
            std::mem::forget(completer);
            return Ok(IOResult::IO(IOCompletions::Single(completion)));
        }
        Ok(IOResult::Done(String::new()))
    }
    let toy = Toy { name: "waits for nothing", kind: Kind::Wrong, step };
    let failure = sweep(&toy, Bounds::default()).expect_err("it is wrong");
    assert_eq!(failure.violation.oracle, "liveness");
}
