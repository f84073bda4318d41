//! What the first program needs: `use tenterhook_stress::prelude::*;`
//!
//! It has the runtime's prelude too, so that an engine and its test need one `use` between them.

pub use tenterhook_runtime::prelude::*;

pub use crate::check::Check;
pub use crate::disk::FaultKind;
pub use crate::subject::{Drawn, Fixed, NoOptions, Options, Subject};
pub use crate::sweep::{Operation, operation};
pub use crate::system::{Context, Crash, Step, System};
pub use crate::tape::{Chance, ChoicePoint, Stream};
pub use crate::violation::Violation;
pub use crate::{simulate, sometimes};
