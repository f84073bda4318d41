//! Placeholder crate root; replaced by the first commit of its owner.
