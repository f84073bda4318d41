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
    /// How many more may be allocated.
    unborn: usize,
}

impl BufferPool {
    /// At most `most` buffers of `len` bytes each; allocated when they are first asked for.
    #[must_use]
    pub fn new(len: usize, most: usize) -> Self {
        let stock = Stock { spare: Vec::with_capacity(most), unborn: most };
        Self { shared: Arc::new(Shared { len, stock: Mutex::new(stock) }) }
    }

    /// A buffer with whatever was in it last, or `None` when all are out.
    #[must_use]
    pub fn take(&self) -> Option<Buffer> {
        let mut stock = self.shared.stock.lock();
        if let Some(buffer) = stock.spare.pop() {
            return Some(buffer);
        }
        stock.unborn = stock.unborn.checked_sub(1)?;
        drop(stock);
        Some(Buffer::zeroed(self.shared.len))
    }

    /// Takes back a buffer that [`BufferPool::take`] gave.
    ///
    /// # Panics
    ///
    /// When it has another length: it is not one of this pool's.
    #[track_caller]
    pub fn give_back(&self, buffer: Buffer) {
        let (len, pool) = (buffer.len(), self.shared.len);
        assert_eq!(len, pool, "a buffer of {len} bytes was given back to a pool of buffers of {pool} bytes");
        self.shared.stock.lock().spare.push(buffer);
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
            .field("unborn", &stock.unborn)
            .finish()
    }
}
