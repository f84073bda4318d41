//! The shared page cache.
//!
//! Eviction is S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023):
//! a page enters a small queue, moves on to the main queue when it has been used again before it came to the end, and
//! otherwise leaves nothing but its name in a list of ghosts, by which it enters the main queue the next time. A scan
//! so passes through a tenth of the cache. A hit counts up to 3 in the page's slot and moves nothing.
//!
//! A page is pinned as long as it is referred to from outside: the pin is the reference count itself, so it can't leak.
//! New references come from here, under the shard's lock, or from an old one; a count of 1 seen under that lock therefore
//! stays 1. Pinned pages are passed over, so the cache holds at most its capacity or what is
//! pinned, whichever is more.

mod counters;
mod hash;
mod queue;
mod shard;
mod shared;

pub use counters::CacheCounters;
pub(in crate::pager) use shard::{Evicted, Found, IN_DATABASE, Key, Load};
pub(in crate::pager) use shared::SharedCache;
