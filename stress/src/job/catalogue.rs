//! Failures by signature, as they are kept.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::folder;
use super::row::Mode;
use super::signature::{self, Signature};
use super::triage::Case;
use crate::words::many;

/// What is known about a cause.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum State {
    /// Found, and not looked at again yet.
    New,
    /// It still failed when it was looked at last.
    Open,
    /// It did not fail when it was looked at last.
    Fixed,
    /// It was fixed, and failed again.
    Regressed,
}

impl State {
    /// Whether the cause is there, as far as is known.
    pub fn is_open(self) -> bool {
        self != State::Fixed
    }

    /// What it is after a look.
    pub(super) fn after(self, fails: bool) -> State {
        match (self, fails) {
            (_, false) => State::Fixed,
            (State::New | State::Open, true) => State::Open,
            (State::Fixed | State::Regressed, true) => State::Regressed,
        }
    }
}

/// One signature with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Cause {
    /// The oracle and a hash.
    pub signature: String,
    /// What is known about it.
    pub state: State,
    /// The oracle that fired.
    pub oracle: String,
    /// safety, liveness, panic or nondeterminism.
    pub class: String,
    /// The violation without its numbers.
    pub text: String,
    /// Kinds of operations in the last steps of the smallest run.
    pub operations: String,
    /// Seeds that failed so.
    pub count: u64,
    /// When the first did, in seconds since 1970.
    pub first_seen: u64,
    /// When the last did.
    pub last_seen: u64,
    /// The build that found it first.
    pub first_build: String,
    /// The build that found it last.
    pub last_build: String,
    /// The build that replayed it last, and when, if one did.
    pub looked: Option<(String, u64)>,
    /// Whether its folder has a tape.
    pub has_tape: bool,
    /// Choices of the smallest run that are not default.
    pub deviations: u64,
    /// Its steps.
    pub steps: u64,
    /// The seed that it comes from.
    pub seed: u64,
    /// What had to be, in the smallest run.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// What the seed of the smallest run drew.
    pub options: Vec<(String, String)>,
    /// The command that repeats the seed of the smallest run.
    pub command: String,
    /// Its part of the job.
    #[serde(skip)]
    pub(super) mode: Option<Mode>,
}

const QUERY: &str = "
SELECT s.signature, state, s.oracle, class, text, operations, has_tape, deviations, s.steps, s.seed, expected, seen,
    (SELECT build FROM builds WHERE id = looked), looked_at,
    (SELECT COUNT(*) FROM failures f WHERE f.signature = s.signature),
    (SELECT MIN(at) FROM failures f WHERE f.signature = s.signature),
    (SELECT MAX(at) FROM failures f WHERE f.signature = s.signature),
    (SELECT b.build FROM failures f JOIN builds b ON b.id = f.build WHERE f.signature = s.signature ORDER BY at, f.seed LIMIT 1),
    (SELECT b.build FROM failures f JOIN builds b ON b.id = f.build WHERE f.signature = s.signature ORDER BY at DESC, f.seed DESC LIMIT 1),
    f.options, f.command, f.mode
FROM signatures s LEFT JOIN failures f ON f.signature = s.signature AND f.seed = s.seed AND f.oracle = s.oracle
GROUP BY s.signature";

/// All causes: open ones first, the most frequent first.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Cause>> {
    let mut statement = connection.prepare_cached(QUERY)?;
    let causes = statement.query_map([], read)?;
    let mut causes = causes.collect::<rusqlite::Result<Vec<_>>>()?;
    causes.sort_by_key(|cause| {
        (!cause.state.is_open(), std::cmp::Reverse(cause.count), cause.signature.clone())
    });
    Ok(causes)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Cause> {
    let number = |column: usize| row.get::<_, Option<i64>>(column).map(|number| number.unwrap_or(0) as u64);
    let text = |column: usize| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    let state: String = row.get(1)?;
    let looked: Option<String> = row.get(12)?;
    let signature: String = row.get(0)?;
    if !signature::is_name(&signature) {
        let problem = "a signature's name is not one".into();
        return Err(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, problem));
    }
    Ok(Cause {
        signature,
        state: state.parse().unwrap_or(State::New),
        oracle: row.get(2)?,
        class: row.get(3)?,
        text: row.get(4)?,
        operations: row.get(5)?,
        has_tape: row.get(6)?,
        deviations: number(7)?,
        steps: number(8)?,
        seed: number(9)?,
        expected: row.get(10)?,
        seen: row.get(11)?,
        looked: looked.zip(Some(number(13)?)),
        count: number(14)?,
        first_seen: number(15)?,
        last_seen: number(16)?,
        first_build: text(17)?,
        last_build: text(18)?,
        options: serde_json::from_str(&text(19)?).unwrap_or_default(),
        command: text(20)?,
        mode: Mode::of(number(21)? as i64),
    })
}

/// How small a run is; the smallest is the lowest. The seed decides between runs of one size, so that their order never does.
type Rank = (bool, u64, u64, u64, u64);

/// Puts a failure in, and gives whether it is the smallest of its signature.
pub(super) fn insert(
    within: &Connection,
    mode: Mode,
    case: &Case,
    build: i64,
    at: u64,
) -> rusqlite::Result<bool> {
    let (failure, signature, small) = (&case.failure, &case.signature, &case.small);
    let json = |value: serde_json::Value| value.to_string();
    within
        .prepare_cached("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            mode as i64,
            failure.seed as i64,
            signature.oracle,
            signature.name,
            build,
            at as i64,
            failure.steps as i64,
            failure.trace_hash as i64,
            json(serde_json::json!(failure.finding)),
            json(serde_json::json!(failure.options)),
            failure.command,
        ])?;
    let rank: Rank = (
        !small.has_tape,
        small.size.choices as u64,
        small.size.steps,
        small.size.choices as u64,
        failure.seed,
    );
    offer(within, signature, rank, &small.expected, &small.seen)
}

/// Offers a run as the smallest of `signature`, and gives whether it is. A cause that was fixed has regressed.
pub(super) fn offer(
    within: &Connection,
    signature: &Signature,
    rank: Rank,
    expected: &str,
    seen: &str,
) -> rusqlite::Result<bool> {
    let before = of(within, &signature.name)?;
    let is_smallest = before.is_none_or(|(_, before)| rank <= before);
    let state: &'static str = before.map_or(State::New, |(state, _)| state.after_a_failure()).into();
    if is_smallest {
        let (has_no_tape, deviations, steps, choices, seed) = rank;
        let put = "INSERT OR REPLACE INTO signatures
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, (SELECT looked FROM signatures WHERE signature = ?1),
                (SELECT looked_at FROM signatures WHERE signature = ?1), ?7, ?8, ?9, ?10, ?11, ?12, ?13";
        within.prepare_cached(put)?.execute(params![
            signature.name,
            state,
            signature.oracle,
            signature.class,
            signature.text,
            signature.operations,
            !has_no_tape,
            deviations as i64,
            steps as i64,
            choices as i64,
            seed as i64,
            expected,
            seen,
        ])?;
    } else {
        let put = "UPDATE signatures SET state = ? WHERE signature = ?";
        within.prepare_cached(put)?.execute(params![state, signature.name])?;
    }
    Ok(is_smallest)
}

impl State {
    /// What it is after a seed has failed so. Only a look makes a new one open.
    fn after_a_failure(self) -> State {
        match self {
            State::Fixed => State::Regressed,
            other => other,
        }
    }
}

/// The state and the rank of the smallest run of a signature, if it is known.
pub(super) fn of(within: &Connection, signature: &str) -> rusqlite::Result<Option<(State, Rank)>> {
    let query =
        "SELECT state, has_tape, deviations, steps, choices, seed FROM signatures WHERE signature = ?";
    let mut statement = within.prepare_cached(query)?;
    let mut rows = statement.query([signature])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
    let state: String = row.get(0)?;
    let rank = (!row.get::<_, bool>(1)?, number(2)?, number(3)?, number(4)?, number(5)?);
    Ok(Some((state.parse().unwrap_or(State::New), rank)))
}

/// The one whose name is `signature`, or begins with it and is the only one that does.
pub(super) fn find(connection: &Connection, signature: &str) -> rusqlite::Result<Option<Cause>> {
    let mut found = all(connection)?;
    found.retain(|cause| cause.signature.starts_with(signature));
    if let Some(exact) = found.iter().position(|cause| cause.signature == signature) {
        return Ok(Some(found.swap_remove(exact)));
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}

impl Cause {
    /// What it is, in a line. Causes of one text differ in the operations.
    pub(super) fn what(&self) -> String {
        match self.operations.as_str() {
            "" => self.text.clone(),
            operations => format!("[{operations}] {}", self.text),
        }
    }

    /// How small its smallest run is.
    pub(super) fn size(&self) -> String {
        let steps = many(self.steps, "step");
        match self.has_tape {
            true => format!("{steps}, {} not default", many(self.deviations, "choice")),
            false => format!("{steps}, not shrunk"),
        }
    }

    /// The name of its folder below the job's.
    pub fn folder(&self) -> String {
        format!("{}/{}", folder::FAILURES, self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_goes_from_new_to_open_to_fixed_to_regressed() {
        assert_eq!(State::New.after(true), State::Open);
        assert_eq!(State::Open.after(false), State::Fixed);
        assert_eq!(State::Fixed.after(true), State::Regressed);
        assert_eq!(State::Regressed.after(true), State::Regressed);
        assert_eq!(State::Regressed.after(false), State::Fixed);
        assert_eq!(State::New.after_a_failure(), State::New);
        assert_eq!(State::Fixed.after_a_failure(), State::Regressed);
    }
}
