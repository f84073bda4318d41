//! Which errors turso_core may return, and when.

use tenterhook_stress::system::{Complaint, Context};
use tenterhook_stress::violation::Violation;
use turso_core::LimboError;

use crate::db::SqlError;

/// Whether the engine says that another transaction stands in the way. The transaction was not committed then.
pub(crate) fn is_refusal(error: &LimboError) -> bool {
    matches!(
        error,
        LimboError::Busy
            | LimboError::BusySnapshot
            | LimboError::TableLocked
            | LimboError::SchemaUpdated
            | LimboError::SchemaConflict
            | LimboError::TxTerminated
            | LimboError::WriteWriteConflict
            | LimboError::CommitDependencyAborted
            | LimboError::Conflict(_)
    )
}

/// What comes of an error: `Ok` with whether it was one of I/O, or the violation that it is.
pub(crate) fn judge(error: &SqlError, context: &mut Context<'_>) -> Result<bool, Box<Violation>> {
    context.remark(|| error.to_string());
    if is_refusal(&error.error) {
        return Ok(false);
    }
    let broken = |oracle: &str, expected: &str| {
        Err(Violation::safety(oracle, expected, error.error.to_string()).note(error.to_string()))
    };
    match &error.error {
        LimboError::Corrupt(_) | LimboError::NotADB => broken("corruption", "a database that is whole"),
        LimboError::ParseError(_) | LimboError::SqlError(_) => {
            broken("schema", "a statement that is understood")
        }
        LimboError::Constraint(_) => broken("constraint", "a statement that breaks no constraint"),
        _ if context.explained(Complaint::AnyIo).is_some() => Ok(true),
        _ => broken("error", "an error that a fault of this life explains"),
    }
}
