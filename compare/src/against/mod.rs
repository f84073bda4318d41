//! Two builds side by side: this one, and the runtime of an earlier revision under today's rows.

mod pairs;
mod revision;
mod worker;

pub(crate) use pairs::compare;
pub(crate) use worker::serve;
