//! Buffers that are used again.

use std::fmt;
use std::sync::Arc;

use super::Buffer;
use crate::sync::Mutex;

/// A bounded stock of page buffers of one length: once warm, taking and giving back allocate nothing.
///
/// ```
/// use tenterhook_runtime::io::BufferPool;
/// let pool = BufferPool::new(4096, 2);
/// let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
/// assert!(pool.take().is_none());
/// pool.give_back(first);
/// assert!(pool.take().is_some());
/// # drop(second);
/// ```
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    len: usize,
    stock: Mutex<Stock>,
}

struct Stock {
    spare: Vec<Buffer>,
    /// How many are out.
    taken: usize,
    most: usize,
}

impl BufferPool {
    /// At most `most` buffers of `len` bytes each; allocated when they are first asked for.
    #[must_use]
    pub fn new(len: usize, most: usize) -> Self {
        let stock = Stock { spare: Vec::new(), taken: 0, most };
        Self { shared: Arc::new(Shared { len, stock: Mutex::new(stock) }) }
    }

    /// A buffer with whatever was in it last, or `None` when all are out.
    #[must_use]
    pub fn take(&self) -> Option<Buffer> {
        let mut stock = self.shared.stock.lock();
        if stock.taken == stock.most {
            return None;
        }
        stock.taken += 1;
        let spare = stock.spare.pop();
        drop(stock);
        Some(spare.unwrap_or_else(|| Buffer::zeroed(self.shared.len)))
    }

    /// Takes back a buffer that [`BufferPool::take`] gave.
    ///
    /// # Panics
    ///
    /// When its length is not the pool's, or no buffer of the pool is out. The pool counts its buffers and does not recognise
    /// them: a buffer from elsewhere is accepted in place of one that is out.
    #[track_caller]
    pub fn give_back(&self, buffer: Buffer) {
        let (len, pool) = (buffer.len(), self.shared.len);
        assert_eq!(len, pool, "a buffer of {len} bytes was given back to a pool of buffers of {pool} bytes");
        let mut stock = self.shared.stock.lock();
        let Some(taken) = stock.taken.checked_sub(1) else {
            drop(stock);
            panic!("a buffer was given back to a pool whose buffers are all in it");
        };
        stock.taken = taken;
        stock.spare.push(buffer);
    }

    /// How many bytes a buffer has.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        self.shared.len
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stock = self.shared.stock.lock();
        f.debug_struct("BufferPool")
            .field("buffer_len", &self.shared.len)
            .field("spare", &stock.spare.len())
            .field("taken", &stock.taken)
            .finish()
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;
    use crate::panics;

    /// Broke once: the room for `most` buffers was reserved, and that panicked.
    #[test]
    fn pool_without_a_bound_gives_a_buffer() {
        assert_eq!(BufferPool::new(8, usize::MAX).take().map(|buffer| buffer.len()), Some(8));
    }

    /// Broke once: a pool of 2 that was given 100 others gave out 102.
    #[test]
    fn more_buffers_than_are_out_are_not_taken_back() {
        let pool = BufferPool::new(8, 2);
        let taken = pool.take().expect("the first of two");
        pool.give_back(Buffer::zeroed(8));
        assert!(panics::catch(|| pool.give_back(taken)).is_err(), "one was out, and one came back");
        let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(all.len(), 2);
    }
}
