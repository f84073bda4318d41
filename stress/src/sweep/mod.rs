//! Sweeps: one operation at a time, exhaustively, in place of many operations at random.
//!
//! An operation begins from a state that is prepared without faults. It is run once undisturbed; that run says how much
//! I/O it does, what it comes to, and what it leaves. Then it is run once for each [`Case`]: every subset of its I/O
//! pending instead of done at once, up to a bound; other connections at work at each yield; each fault on each I/O; the
//! machine dropped or its I/O cancelled at each yield; a call given up at each yield while its transaction continues; another
//! operation run at each yield, to each yield of its own or to its end, and the power lost or the process killed before the two have
//! ended; the power lost between any two I/Os, with each sector that was not synced surviving or not.
//!
//! No case ends with the operation: a fault may leave something in memory or in a file that shows only when a later change builds on
//! it. The process dies, and the files are opened again; or the power is lost at once, with all or some of the unsynced writes;
//! or the next change is made, in several ways, before or after the operation's I/O has ended, and then the
//! power is lost. After each restart, those after a power loss included, another change is made, and a restart is itself cut
//! off before each of its changes. After a write that failed, a restart is killed, or its sync fails, and the next one is cut off.
//!
//! What must hold is the contract of a re-entrant machine: which of its yields fired, and what others did meanwhile, shows
//! neither in what it comes to nor in what it leaves; and however it ends, it leaves all of its effects or none, and no
//! lock, pin or count.
//!
//! Nothing is sampled: where a bound cuts a dimension, the report says so.

mod aftermath;
mod case;
mod golden_run;
mod harness;
mod operation;
mod pair;
mod plan;
mod report;
mod restart;
mod simple;

pub use self::case::{BadCase, Case};
pub use self::operation::{Ending, Operation, Stage};
pub use self::plan::Bounds;
pub use self::report::{Count, OperationReport};
pub use self::simple::operation;
use crate::violation::Violation;

/// A case in which an operation broke its promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The operation.
    pub subject: String,
    /// What was done to it.
    pub case: Case,
    /// What was wrong.
    pub violation: Violation,
}

/// Runs `subject` through every case within `bounds`; stops at the first failure.
pub fn sweep(subject: &dyn Operation, bounds: Bounds) -> Result<OperationReport, Box<Failure>> {
    let fail = |case: &Case, violation: Box<Violation>| {
        Box::new(Failure { subject: subject.name(), case: case.clone(), violation: *violation })
    };
    let golden =
        golden_run::GoldenRun::of(subject).map_err(|violation| fail(&Case::Undisturbed, violation))?;
    let mut report = OperationReport::new(subject.name(), golden.extent());
    golden.judge(&Case::Undisturbed).map_err(|violation| fail(&Case::Undisturbed, violation))?;
    for case in plan::cases(&golden, bounds, &mut report) {
        if golden.judge(&case).map_err(|violation| fail(&case, violation))? {
            report.count(&case);
        }
    }
    // One more than there are I/Os: after the end of the operation.
    for delivered in 0..=golden.extent().pending.len() as u32 {
        let crashes = plan::crashes(&golden, delivered, bounds, &mut report);
        let crashes = crashes.map_err(|violation| fail(&Case::Crash(delivered, Vec::new()), violation))?;
        for case in crashes {
            golden.judge(&case).map_err(|violation| fail(&case, violation))?;
            report.count(&case);
        }
    }
    report.runs = golden.runs();
    Ok(report)
}

/// Why one case did not go well.
#[derive(Debug)]
pub enum Objection {
    /// The operation has no such case: what it has instead.
    NoSuchCase(String),
    /// It breaks its promise.
    Failure(Box<Failure>),
}

/// Runs `subject` through one case.
pub fn replay(subject: &dyn Operation, case: &Case) -> Result<(), Objection> {
    let judged = golden_run::GoldenRun::of(subject).and_then(|golden| golden.judge(case));
    match judged {
        Ok(true) => Ok(()),
        Ok(false) => Err(Objection::NoSuchCase("the fault never strikes there".into())),
        Err(violation) if violation.oracle == golden_run::NO_SUCH_CASE => {
            Err(Objection::NoSuchCase(violation.seen))
        }
        Err(violation) => {
            let failure = Failure { subject: subject.name(), case: case.clone(), violation: *violation };
            Err(Objection::Failure(Box::new(failure)))
        }
    }
}
