//! loom's atomics, each operation of which knows where in the source it stands: one build runs every ordering weakened,
//! one at a time. Under `--cfg tenterhook_orderings`, beside `--cfg tenterhook_loom`; `make orderings` drives it.
//!
//! The environment variable [`WEAKEN`] selects one ordering and what it becomes. The methods are `#[track_caller]`, so an
//! operation is known by its caller's line and no call site differs from what ships.

pub(crate) mod atomic;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::str::FromStr;
use std::sync::OnceLock;

use loom::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Names the [`Weakening`] of this process: `runtime/src/completion/group/core.rs:218:43:rmw:AcqRel->Acquire`.
pub const WEAKEN: &str = "TENTERHOOK_WEAKEN";

/// Which of an operation's orderings: an exchange has two, and a `fetch_update` three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Of a load, or of the load with which a loop of exchanges begins.
    Load,
    /// Of a store.
    Store,
    /// Of a read-modify-write that can't fail.
    Exchange,
    /// Of a compare-exchange that succeeds.
    Success,
    /// Of one that fails.
    Failure,
}

/// One ordering in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From the workspace's root.
    pub file: &'static str,
    /// Of the call.
    pub line: u32,
    /// Of the call.
    pub column: u32,
    /// Which of the call's orderings.
    pub role: Role,
    /// What the source says.
    pub ordering: &'static str,
}

/// One ordering of the source, and what it is to be instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakening {
    file: String,
    line: u32,
    column: u32,
    role: Role,
    to: Ordering,
}

thread_local! {
    /// The places that this thread has reached, if that is wanted. A model runs on one thread of the system.
    static TOUCHED: RefCell<Option<BTreeSet<Place>>> = const { RefCell::new(None) };
}

/// From now on this thread notes the places that it reaches.
pub fn begin_to_note() {
    TOUCHED.set(Some(BTreeSet::new()));
}

/// The places since [`begin_to_note`].
pub fn noted() -> BTreeSet<Place> {
    TOUCHED.take().unwrap_or_default()
}

/// The weakening that the environment asks for, or what is wrong with it. Read once.
pub fn selected() -> &'static Result<Option<Weakening>, String> {
    static SELECTED: OnceLock<Result<Option<Weakening>, String>> = OnceLock::new();
    SELECTED.get_or_init(|| match std::env::var(WEAKEN) {
        Ok(text) => text.parse().map(Some).map_err(|problem| format!("{WEAKEN}={text}: {problem}")),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{WEAKEN}: {error}")),
    })
}

impl FromStr for Weakening {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or("not `file:line:column:role:from->to`");
        let file = part()?.to_owned();
        let line = part()?.parse().map_err(|_| "the line is no number")?;
        let column = part()?.parse().map_err(|_| "the column is no number")?;
        let role = part()?.parse()?;
        let to = match part()?.split_once("->").ok_or("no `->` between two orderings")?.1 {
            "Relaxed" => Relaxed,
            "Acquire" => Acquire,
            "Release" => Release,
            _ => return Err("no such ordering after the `->`"),
        };
        Ok(Self { file, line, column, role, to })
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Load, Self::Store, Self::Exchange, Self::Success, Self::Failure];
        all.into_iter().find(|role| role.to_string() == text).ok_or("no such role")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Load => "load",
            Self::Store => "store",
            Self::Exchange => "exchange",
            Self::Success => "success",
            Self::Failure => "failure",
        })
    }
}

fn name(ordering: Ordering) -> &'static str {
    match ordering {
        Relaxed => "Relaxed",
        Acquire => "Acquire",
        Release => "Release",
        AcqRel => "AcqRel",
        SeqCst => "SeqCst",
        _ => "unknown",
    }
}

/// What `role` of the operation that stands there is carried out with.
#[track_caller]
fn chosen(role: Role, ordering: Ordering) -> Ordering {
    let at = Location::caller();
    let (file, line, column) = (at.file(), at.line(), at.column());
    TOUCHED.with_borrow_mut(|touched| {
        if let Some(touched) = touched {
            touched.insert(Place { file, line, column, role, ordering: name(ordering) });
        }
    });
    match selected() {
        Ok(Some(weakening))
            if weakening.line == line
                && weakening.column == column
                && weakening.role == role
                && weakening.file == file =>
        {
            weakening.to
        }
        _ => ordering,
    }
}
