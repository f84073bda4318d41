//! A build without deterministic threads: every step runs in the world's thread.

use super::World;
use crate::schedule::FiberId;
use crate::system::System;
use crate::tape::Source;
use crate::violation::Violation;
use crate::world::{Keep, WorldOptions};

/// No threads.
#[derive(Default)]
pub(super) struct Raced;

impl Raced {
    pub(super) fn new(_: u32, _: &WorldOptions, _: &Source, _: Keep) -> Raced {
        Raced
    }

    pub(super) fn leave_tape(&mut self) {}

    #[inline(always)]
    pub(super) fn deliverable(&self, due: u32) -> u32 {
        due
    }

    pub(super) fn under_way(&self) -> Vec<String> {
        Vec::new()
    }

    pub(super) fn points(&self) -> u64 {
        0
    }

    pub(super) fn dismiss(&mut self) -> bool {
        false
    }

    pub(super) fn describe(&self, _: FiberId) -> Option<String> {
        None
    }

    pub(super) fn is_in_step(&self, _: FiberId) -> bool {
        false
    }
}

impl<S: System> World<S> {
    pub(super) fn make_connections(&mut self) -> Result<(), Box<Violation>> {
        Ok(())
    }

    pub(super) fn end_connections(&mut self) {}

    #[inline(always)]
    pub(super) fn go_on(&mut self, _: FiberId) -> Result<bool, Box<Violation>> {
        Ok(false)
    }

    #[inline(always)]
    pub(super) fn step_in_thread(&mut self, _: FiberId) -> Result<bool, Box<Violation>> {
        Ok(false)
    }

    #[inline(always)]
    pub(super) fn deliver_in_thread(&mut self, _: u32) -> Result<bool, Box<Violation>> {
        Ok(false)
    }

    #[inline(always)]
    pub(super) fn look_for_threads(&mut self) {}

    pub(super) fn settle_threads(&mut self) -> Result<(), Box<Violation>> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn threads_rest(&self) -> bool {
        true
    }
}
