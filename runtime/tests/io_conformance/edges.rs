//! Offsets, lengths and numbers at their limits; threads that end; signals.

use std::io::ErrorKind;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use parking_lot::Mutex;
use rustix::fs::{Advice, fadvise};
use tenterhook_runtime::io::{Buffer, IO, OpenOptions, Submission, ThreadsIO, UringIO};
use tenterhook_runtime::{Completion, CompletionError, Outcome};

use crate::rig::Rig;

/// The last offset plus one of every file.
const END: u64 = i64::MAX as u64;

/// Broke once: to the kernel the offset u64::MAX means "where this descriptor stands", and a write went to the head of the
/// file. Other offsets were refused in as many ways as there are backends.
pub(crate) fn beyond_the_end_of_all_files(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, b"warp and weft").unwrap();
    let read = |offset, len| rig.wait(&file.start(Submission::read(offset, Buffer::zeroed(len), |_, _| {})));
    let vectored = |offset| {
        let buffers = vec![Buffer::zeroed(3), Buffer::zeroed(3)];
        rig.wait(&file.start(Submission::write_vectored(offset, buffers, |_, _| {})))
    };
    let truncate = |len| rig.wait(&file.start(Submission::truncate(len, |_| {})));
    let refused: Outcome = Err(CompletionError::Io { kind: ErrorKind::InvalidInput, os_code: 0 });
    for offset in [u64::MAX, u64::MAX - 3, u64::MAX - 4, 1 << 63, END] {
        assert_eq!(rig.write(&file, offset, b"hem!"), refused, "a write to {offset}");
        assert_eq!(read(offset, 4), refused, "a read from {offset}");
        assert_eq!(vectored(offset), refused, "a vectored write to {offset}");
    }
    assert_eq!(rig.write(&file, u64::MAX, b""), refused);
    assert_eq!(read(END - 3, 4), refused);
    assert_eq!(vectored(END - 5), refused);
    assert_eq!(truncate(END + 1), refused);
    assert_eq!(truncate(u64::MAX), refused);
    // The last that are not refused; file systems have limits of their own.
    assert_eq!(read(END - 4, 4), Ok(0));
    assert_eq!(read(END, 0), Ok(0));
    assert!(matches!(rig.write(&file, END - 4, b"hem!"), Err(CompletionError::NoSpace)));
    assert_eq!(file.len(), Ok(13));
    assert_eq!(rig.read(&file, 0, 13), b"warp and weft");
}

/// More than one system call moves: 2 GiB less a page. The file is a hole, but for its last bytes.
pub(crate) fn a_read_of_more_than_one_call_moves(rig: &Rig) {
    const LEN: usize = (2 << 30) + 5;
    let file = rig.open("file");
    if !rig.backend.is_real() {
        // Its files are bounded, and it has no call that could be too short.
        return assert_eq!(rig.read(&file, 0, LEN), []);
    }
    rig.write(&file, LEN as u64 - 4, b"weft").unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&end);
    let read = Submission::read(0, Buffer::zeroed(LEN + 9), move |_, buffer| {
        flag.store(&buffer[LEN - 4..] == b"weft\0\0\0\0\0\0\0\0\0", SeqCst);
    });
    assert_eq!(rig.wait(&file.start(read)), Ok(LEN as u64));
    assert!(end.load(SeqCst), "the last bytes are where they belong");
}

/// Broke once: a read that misses the page cache is carried on by the thread that entered the kernel with it, and when that
/// thread had ended, the kernel answered EFAULT. Nearly all of these reads failed.
pub(crate) fn threads_end_with_cold_reads_in_flight(rig: &Rig) {
    const THREADS: usize = 100;
    const READS: usize = 16;
    const PAGE: usize = 4_096;
    let file = rig.open("file");
    let content: Vec<u8> = (0..THREADS * READS * PAGE).map(|place| (place / PAGE) as u8).collect();
    assert_eq!(rig.write(&file, 0, &content), Ok(content.len() as u64));
    assert_eq!(rig.wait(&file.start(Submission::sync(|_| {}))), Ok(0));
    if rig.backend.is_real() {
        let opened = std::fs::File::open(rig.path("file")).unwrap();
        fadvise(&opened, 0, None, Advice::DontNeed).expect("the page cache forgets a file that is synced");
    }
    let right = Arc::new(AtomicUsize::new(0));
    let start = |thread: usize, number: usize| {
        // Far apart, so that no read-ahead helps.
        let page = number * THREADS + thread;
        let right = Arc::clone(&right);
        file.start(Submission::read((page * PAGE) as u64, Buffer::zeroed(PAGE), move |_, buffer| {
            right.fetch_add(usize::from(buffer.iter().all(|byte| *byte == page as u8)), SeqCst);
        }))
    };
    let reads: Vec<Completion> = (0..THREADS)
        .flat_map(|thread| {
            let start = &start;
            let submit = move || {
                let reads: Vec<_> = (0..READS).map(|number| start(thread, number)).collect();
                rig.step();
                reads
            };
            std::thread::scope(|scope| scope.spawn(submit).join().expect("no panic"))
        })
        .collect();
    for read in &reads {
        assert_eq!(rig.wait(read), Ok(PAGE as u64));
    }
    assert_eq!(right.load(SeqCst), THREADS * READS, "each read has its page");
}

/// A thousand requests to cancel at once, for a ring of eight entries and pools of three threads.
pub(crate) fn more_cancels_than_fit(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &[7; 1 << 16]).unwrap();
    for _ in 0..10 {
        let returned = Arc::new(AtomicUsize::new(0));
        let reads: Vec<_> = (0..1_000_u64)
            .map(|number| {
                let returned = Arc::clone(&returned);
                let read = Submission::read(number % 16 * 4_096, Buffer::zeroed(4_096), move |_, _| {
                    returned.fetch_add(1, SeqCst);
                });
                file.start(read)
            })
            .collect();
        rig.step();
        reads.iter().for_each(Completion::cancel);
        reads.iter().for_each(Completion::cancel);
        for read in &reads {
            let outcome = rig.wait(read);
            assert!(matches!(outcome, Ok(4_096) | Err(CompletionError::Cancelled)), "{outcome:?}");
        }
        assert_eq!(returned.load(SeqCst), 1_000);
    }
}

/// The numbers of threads and entries that no system has are an error, and not a panic.
pub(crate) fn absurd_sizes_are_refused(_: &Rig) {
    for entries in [1 << 16, 1 << 31, u32::MAX] {
        let entries = NonZero::new(entries).unwrap();
        for refused in [UringIO::new(entries), UringIO::stepped(entries)] {
            assert_eq!(refused.err().map(|error| error.kind), Some(ErrorKind::InvalidInput), "{entries}");
        }
    }
    for threads in [1 << 20, usize::MAX] {
        let refused = ThreadsIO::new(NonZero::new(threads).unwrap()).expect_err("too many");
        assert_eq!(refused.kind, ErrorKind::InvalidInput, "{threads}");
        assert_eq!(refused.to_string(), "cannot start a pool of threads: invalid input parameter");
    }
}

/// One operation at a time is enough for all of them to end.
pub(crate) fn a_ring_of_one_entry_and_a_pool_of_one_thread(rig: &Rig) {
    let one = NonZero::<u32>::MIN;
    let io: Arc<dyn IO> = match rig.backend.name() {
        "uring" => Arc::new(UringIO::new(one).unwrap()),
        "uring-stepped" => Arc::new(UringIO::stepped(one).unwrap()),
        "threads" => Arc::new(ThreadsIO::new(NonZero::<usize>::MIN).unwrap()),
        "threads-stepped" => Arc::new(ThreadsIO::stepped(NonZero::<usize>::MIN).unwrap()),
        _ => Arc::clone(rig.io()),
    };
    let file = io.open(&rig.path("one"), OpenOptions::creating()).unwrap();
    let write = |number: u64| file.start(Submission::write(number, Buffer::copy_of(&[7]), |_, _| {}));
    let writes: Vec<_> = (0..500).map(write).collect();
    for (number, write) in writes.iter().enumerate() {
        if number % 3 == 1 {
            write.cancel();
        }
    }
    for (number, write) in writes.iter().enumerate() {
        let outcome = loop {
            rig.step();
            io.step().unwrap();
            match write.result() {
                Some(outcome) => break outcome,
                None => io.pause(write).unwrap(),
            }
        };
        let cancelled = number % 3 == 1 && outcome == Err(CompletionError::Cancelled);
        assert!(outcome == Ok(1) || cancelled, "{number}: {outcome:?}");
    }
}

/// Signals without SA_RESTART come all the time, in every thread that runs operations or enters the kernel.
pub(crate) fn signals_are_no_failure(rig: &Rig) {
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: an all-zero `sigaction` is a valid value of it: no flags, nothing masked.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as *const () as usize;
    // SAFETY: the handler does nothing, so it may run at any time.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
    let file = rig.open("file");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
                for task in tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<i64>().ok()) {
                    // SAFETY: no memory is touched; a thread that has ended is answered with ESRCH.
                    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), task, libc::SIGUSR1) };
                }
            }
        });
        for round in 0..200_u64 {
            let bytes = vec![round as u8; 1 << 16];
            let start =
                |place: u64| file.start(Submission::write(place << 16, Buffer::copy_of(&bytes), |_, _| {}));
            let writes: Vec<_> = (0..8).map(start).collect();
            let outcomes: Vec<_> = writes.iter().map(|write| rig.wait(write)).collect();
            over.store(round == 199 || outcomes.iter().any(Result::is_err), SeqCst);
            assert!(outcomes.iter().all(|outcome| *outcome == Ok(1 << 16)), "{outcomes:?}");
            if round % 20 == 0 {
                assert_eq!(rig.wait(&file.start(Submission::sync(|_| {}))), Ok(0));
            }
        }
    });
    assert_eq!(rig.read(&file, 0, 1 << 19), vec![199; 1 << 19]);
}

/// A callback that takes its time holds up no other operation while a thread is idle. Broke once: fifteen reads that its
/// thread had taken along waited behind it.
pub(crate) fn a_slow_callback_holds_up_nothing_else(rig: &Rig) {
    if rig.backend.name() != "threads" {
        // One thread calls all callbacks of these: it is documented.
        return;
    }
    let file = rig.open("file");
    rig.write(&file, 0, &[7; 4_096]).unwrap();
    // All three threads are kept busy until everything is queued, so that each takes several reads along.
    let gate = Arc::new(Barrier::new(4));
    let gates: Vec<_> = (0..3)
        .map(|_| {
            let gate = Arc::clone(&gate);
            file.start(Submission::sync(move |_| _ = (gate.wait(), gate.wait())))
        })
        .collect();
    gate.wait();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let reads: Vec<_> = (0..48)
        .map(|_| {
            let held = Arc::clone(&held);
            file.start(Submission::read(0, Buffer::zeroed(4_096), move |_, _| {
                // The first one waits until the others have ended.
                let first = held.lock().take();
                first.map(|others| others.recv());
            }))
        })
        .collect();
    gate.wait();
    let limit = std::time::Duration::from_secs(30);
    let ended = |reads: &[Completion]| reads.iter().filter(|read| read.finished()).count();
    let deadline = std::time::Instant::now() + limit;
    while ended(&reads) < 47 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    let others = ended(&reads);
    release.send(()).unwrap();
    assert_eq!(others, 47, "all but the one whose callback waits for them");
    assert!(reads.iter().chain(&gates).all(|operation| rig.wait(operation).is_ok()));
}
