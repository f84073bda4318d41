//! SQLite's mutexes, replaced: a thread that finds one taken gives the token away.
//!
//! Some of SQLite's mutexes guard what the whole process shares, other runs in other threads included. Whether one is held by
//! another run is a matter of real time, and is waited for in real time. It decides nothing: SQLite holds no such mutex over a
//! call of the VFS, and what it guards is the same afterwards, see [`enter`] for the one exception.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use libsqlite3_sys as ffi;
use parking_lot::{Condvar, Mutex};
use tenterhook_runtime::{Completer, Completion};
use tenterhook_stress::blocking::Call;

use crate::kernel::Kernel;

/// A mutex, as SQLite knows it by its address.
#[derive(Default)]
struct SqlMutex {
    is_prng: bool,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Default)]
struct Held {
    by: Option<Owner>,
    depth: u32,
    waiting: Vec<Completer>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
struct Owner {
    thread: u64,
    /// The life that the thread works for: the kernel's address, compared and never shown.
    life: usize,
}

thread_local! {
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // ORDERING: only that no two are alike; no partner.
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
    static RESEEDING: Cell<bool> = const { Cell::new(false) };
}

fn me() -> Owner {
    let life = Kernel::here().map_or(0, |kernel| Arc::as_ptr(&kernel) as usize);
    Owner { thread: THREAD.with(|&thread| thread), life }
}

/// The methods for `SQLITE_CONFIG_MUTEX`.
pub(crate) fn methods() -> ffi::sqlite3_mutex_methods {
    ffi::sqlite3_mutex_methods {
        xMutexInit: Some(init),
        xMutexEnd: Some(init),
        xMutexAlloc: Some(alloc),
        xMutexFree: Some(free),
        xMutexEnter: Some(enter),
        xMutexTry: Some(try_enter),
        xMutexLeave: Some(leave),
        xMutexHeld: None,
        xMutexNotheld: None,
    }
}

unsafe extern "C" fn init() -> c_int {
    ffi::SQLITE_OK
}

/// The mutexes that there is one of in the process, by their numbers.
fn fixed(kind: c_int) -> &'static SqlMutex {
    static FIXED: OnceLock<Vec<SqlMutex>> = OnceLock::new();
    let make =
        |kind: c_int| SqlMutex { is_prng: kind == ffi::SQLITE_MUTEX_STATIC_PRNG, ..SqlMutex::default() };
    &FIXED.get_or_init(|| (0..32).map(make).collect())[kind as usize % 32]
}

unsafe extern "C" fn alloc(kind: c_int) -> *mut ffi::sqlite3_mutex {
    if kind == ffi::SQLITE_MUTEX_FAST || kind == ffi::SQLITE_MUTEX_RECURSIVE {
        return Box::into_raw(Box::<SqlMutex>::default()).cast();
    }
    std::ptr::from_ref(fixed(kind)).cast_mut().cast()
}

unsafe extern "C" fn free(mutex: *mut ffi::sqlite3_mutex) {
    // SAFETY: SQLite frees what `alloc` made for it, once, and never one of the fixed ones.
    drop(unsafe { Box::from_raw(mutex.cast::<SqlMutex>()) });
}

unsafe extern "C" fn enter(mutex: *mut ffi::sqlite3_mutex) {
    // SAFETY: made by `alloc` and not freed yet, or fixed.
    let mutex = unsafe { &*mutex.cast::<SqlMutex>() };
    mutex.acquire();
    // The generator's state is the whole process's. It is thrown away at each use, so that the next bytes come from the VFS, which
    // takes them from the tape.
    if mutex.is_prng && Call::here().is_some() && !RESEEDING.get() {
        RESEEDING.set(true);
        // SAFETY: no bytes are asked for, so no pointer is used: the generator forgets its state.
        unsafe { ffi::sqlite3_randomness(0, std::ptr::null_mut()) };
        RESEEDING.set(false);
    }
}

unsafe extern "C" fn try_enter(mutex: *mut ffi::sqlite3_mutex) -> c_int {
    // SAFETY: made by `alloc` and not freed yet, or fixed.
    let mutex = unsafe { &*mutex.cast::<SqlMutex>() };
    if mutex.held.lock().take(me()) { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn leave(mutex: *mut ffi::sqlite3_mutex) {
    // SAFETY: made by `alloc` and not freed yet, or fixed.
    let mutex = unsafe { &*mutex.cast::<SqlMutex>() };
    let mut held = mutex.held.lock();
    held.depth -= 1;
    if held.depth > 0 {
        return;
    }
    held.by = None;
    let waiting = std::mem::take(&mut held.waiting);
    drop(held);
    mutex.freed.notify_all();
    for completer in waiting {
        let _ = completer.complete(0);
    }
}

impl SqlMutex {
    fn acquire(&self) {
        let me = me();
        loop {
            let mut held = self.held.lock();
            if held.take(me) {
                return;
            }
            let is_of_my_run = held.by.is_some_and(|owner| owner.life == me.life) && me.life != 0;
            match Call::here().filter(|_| is_of_my_run) {
                Some(call) => {
                    let (freed, completer) = Completion::new(|_| {});
                    held.waiting.push(completer);
                    drop(held);
                    call.wait_for_peer(&freed);
                }
                None => self.freed.wait(&mut held),
            }
        }
    }
}

impl Held {
    fn take(&mut self, owner: Owner) -> bool {
        if self.by.is_some_and(|holder| holder.thread != owner.thread) {
            return false;
        }
        self.by = Some(owner);
        self.depth += 1;
        true
    }
}
