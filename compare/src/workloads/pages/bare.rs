//! What a read can't do without.

use std::hint::black_box;

use super::{BYTES, PAGES, Walk, fresh_page, mark_in, on_threads};
use crate::contender::{Contender, Evidence};

/// Pages in memory, copied out.
pub(super) struct Copies {
    connections: u64,
    pages: Vec<[u8; BYTES]>,
}

impl Copies {
    pub(super) fn new(connections: u64) -> Self {
        Self { connections, pages: (0..PAGES).map(fresh_page).collect() }
    }
}

impl Contender for Copies {
    fn run(&mut self, operations: u64) -> Evidence {
        let each = operations / self.connections;
        Evidence::results(on_threads(self.connections, |connections| {
            let mut copy = [0; BYTES];
            let mut sum = 0_u64;
            for page in connections.flat_map(|connection| Walk::new(connection).take(each as usize)) {
                copy.copy_from_slice(&self.pages[page as usize]);
                sum = sum.wrapping_add(mark_in(black_box(&copy)));
            }
            sum
        }))
    }
}
