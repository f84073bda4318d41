//! Many completions folded into one.
//!
//! A [`CompletionGroup`] collects children; [`CompletionGroup::build`] turns it into a [`Completion`](super::Completion) that ends when
//! its children have decided it. How children find their groups, and why none is lost or counted twice, is part of
//! the protocol in [`completion`](super).

mod builder;
mod core;
mod members;

pub use builder::CompletionGroup;
pub(super) use core::GroupCore;
