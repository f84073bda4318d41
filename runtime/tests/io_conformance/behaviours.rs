//! What every backend does.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;

use tenterhook_runtime::io::{Buffer, DIRECT_ALIGNMENT, File, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError, CompletionGroup, Outcome};

use crate::rig::Rig;

/// A byte that depends on where it is.
fn byte_at(place: usize) -> u8 {
    (place.wrapping_mul(2_654_435_761) >> 7) as u8
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(byte_at).collect()
}

pub(crate) fn reads_back_what_was_written(rig: &Rig) {
    let file = rig.open("file");
    assert_eq!(rig.write(&file, 0, &pattern(0, 100_000)), Ok(100_000));
    assert_eq!(rig.write(&file, 50_000, &pattern(7, 10)), Ok(10));
    assert_eq!(file.len(), Ok(100_000));
    let mut expected = pattern(0, 100_000);
    expected[50_000..50_010].copy_from_slice(&pattern(7, 10));
    assert_eq!(rig.read(&file, 0, 100_000), expected);
    assert_eq!(rig.read(&file, 49_999, 12), expected[49_999..50_011]);
    // By another handle, too.
    assert_eq!(rig.read(&rig.try_open("file", OpenOptions::default()).unwrap(), 3, 5), expected[3..8]);
}

pub(crate) fn vectored_writes_arrive_in_order(rig: &Rig) {
    let file = rig.open("file");
    // More parts than one system call takes, some of them empty.
    let lens: Vec<usize> = (0..3_000).map(|part| part % 7 * 50).collect();
    let mut at = 0;
    let buffers = lens.iter().map(|len| {
        at += len;
        Buffer::copy_of(&pattern(at - len, *len))
    });
    let buffers: Vec<Buffer> = buffers.collect();
    let total: usize = lens.iter().sum();
    let (sender, receiver) = mpsc::channel();
    let write = Submission::write_vectored(10, buffers, move |outcome, buffers| {
        sender.send((outcome, buffers.len())).unwrap();
    });
    assert_eq!(rig.wait(&file.start(write)), Ok(total as u64));
    assert_eq!(receiver.recv(), Ok((Ok(total as u64), 3_000)), "the callback gets all buffers back");
    assert_eq!(rig.read(&file, 10, total + 1), pattern(0, total));
}

pub(crate) fn reads_end_at_the_end_of_the_file(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &pattern(0, 5_000)).unwrap();
    assert_eq!(rig.read(&file, 4_000, 4_096), pattern(4_000, 1_000));
    assert_eq!(rig.read(&file, 5_000, 10), []);
    assert_eq!(rig.read(&file, 1 << 40, 10), []);
}

pub(crate) fn zero_bytes_are_no_bytes(rig: &Rig) {
    let file = rig.open("file");
    assert_eq!(rig.write(&file, 1_000, &[]), Ok(0));
    assert_eq!(rig.wait(&file.start(Submission::write_vectored(7, Vec::new(), |_, _| {}))), Ok(0));
    let empty = vec![Buffer::default(), Buffer::default()];
    assert_eq!(rig.wait(&file.start(Submission::write_vectored(7, empty, |_, _| {}))), Ok(0));
    assert_eq!(file.len(), Ok(0));
    assert_eq!(rig.read(&file, 0, 0), []);
}

pub(crate) fn truncate_cuts_and_fills_with_zeros(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &pattern(0, 5_000)).unwrap();
    assert_eq!(rig.wait(&file.start(Submission::truncate(2_000, |_| {}))), Ok(0));
    assert_eq!(file.len(), Ok(2_000));
    assert_eq!(rig.wait(&file.start(Submission::truncate(3_000, |_| {}))), Ok(0));
    let mut expected = pattern(0, 2_000);
    expected.resize(3_000, 0);
    assert_eq!(rig.read(&file, 0, 5_000), expected);
}

pub(crate) fn sync_ends_well(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &pattern(0, 5_000)).unwrap();
    let (sender, receiver) = mpsc::channel();
    assert_eq!(rig.wait(&file.start(Submission::sync(move |outcome| sender.send(outcome).unwrap()))), Ok(0));
    assert_eq!(receiver.try_recv(), Ok(Ok(0)));
}

/// Where there is no cache to go past the option changes nothing.
pub(crate) fn direct_io_wants_alignment(rig: &Rig) {
    let options = OpenOptions { direct: true, ..OpenOptions::creating() };
    let file = rig.try_open("file", options).expect("a file system with direct I/O");
    let page = DIRECT_ALIGNMENT;
    assert_eq!(rig.write(&file, 0, &pattern(0, 4 * page)), Ok(4 * page as u64));
    assert_eq!(rig.read(&file, page as u64, 2 * page), pattern(page, 2 * page));
    // Across the end, and beyond it.
    assert_eq!(rig.read(&file, 3 * page as u64, 2 * page), pattern(3 * page, page));
    assert_eq!(rig.read(&file, 8 * page as u64, page), []);
    let refused = |outcome: Outcome| {
        if rig.backend.is_real() {
            assert!(
                matches!(outcome, Err(CompletionError::Io { kind: ErrorKind::InvalidInput, .. })),
                "{outcome:?}"
            );
        }
    };
    refused(rig.write(&file, 100, &pattern(0, page)));
    refused(rig.write(&file, 0, &pattern(0, 100)));
    refused(rig.wait(&file.start(Submission::read(7, Buffer::zeroed(page), |_, _| {}))));
}

/// Each callback submits the next operation on the same file, a thousand times.
pub(crate) fn callbacks_submit_on_the_same_backend(rig: &Rig) {
    fn next(file: Arc<dyn File>, left: u64, told: mpsc::Sender<u64>) {
        let again = Arc::clone(&file);
        file.submit(
            Submission::write(left, Buffer::copy_of(&[left as u8]), move |outcome, _| {
                assert_eq!(outcome, Ok(1));
                match left {
                    0 => told.send(0).unwrap(),
                    _ => next(again, left - 1, told),
                }
            })
            .1,
        );
    }
    let (told, hears) = mpsc::channel();
    let file = rig.open("file");
    next(Arc::clone(&file), 1_000, told);
    while hears.try_recv().is_err() {
        rig.step();
        std::thread::yield_now();
    }
    assert_eq!(rig.read(&file, 0, 2_000), (0..=1_000_u64).map(|byte| byte as u8).collect::<Vec<_>>());
}

/// In backends that start operations at once it is either: cancelled, or done.
pub(crate) fn cancelled_before_it_starts(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &pattern(0, 10)).unwrap();
    let returned = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&returned);
    let write = file.start(Submission::write(0, Buffer::copy_of(&[0; 10]), move |_, buffer| {
        counter.fetch_add(buffer.len(), SeqCst);
    }));
    write.cancel();
    let outcome = rig.wait(&write);
    let expected = match outcome {
        Ok(10) => vec![0; 10],
        Err(CompletionError::Cancelled) => pattern(0, 10),
        other => panic!("{other:?}"),
    };
    assert_eq!(returned.load(SeqCst), 10, "the callback gets its buffer once");
    assert_eq!(rig.read(&file, 0, 10), expected);
    if matches!(rig.backend.name(), "memory" | "yielding" | "threads-stepped") {
        assert_eq!(outcome, Err(CompletionError::Cancelled), "nothing has started it");
    }
}

/// Writes of many pieces and reads, cancelled from another thread as they run: each ends once, gives its buffer back,
/// and what was not reported as cancelled is there.
pub(crate) fn cancelled_at_any_time(rig: &Rig) {
    const LEN: usize = 64 << 10;
    let file = rig.open("file");
    let callbacks = Arc::new(AtomicUsize::new(0));
    for round in 0..20_usize {
        let writes: Vec<Completion> = (0..16)
            .map(|place| {
                let (callbacks, first) = (Arc::clone(&callbacks), place * LEN + round);
                let buffers =
                    (0..4).map(|part| Buffer::copy_of(&pattern(first + part * LEN / 4, LEN / 4))).collect();
                file.start(Submission::write_vectored((place * LEN) as u64, buffers, move |_, buffers| {
                    assert!((0..4).all(|part| buffers[part][..] == pattern(first + part * LEN / 4, LEN / 4)));
                    callbacks.fetch_add(1, SeqCst);
                }))
            })
            .collect();
        std::thread::scope(|scope| {
            let cancelling = &writes;
            scope.spawn(move || cancelling.iter().skip(round % 3).step_by(2).for_each(Completion::cancel));
            writes.iter().for_each(|write| {
                let _ = rig.wait(write);
            });
        });
        for (place, write) in writes.iter().enumerate() {
            match write.result().expect("waited for") {
                Ok(written) => {
                    assert_eq!(written, LEN as u64);
                    assert_eq!(rig.read(&file, (place * LEN) as u64, LEN), pattern(place * LEN + round, LEN));
                }
                Err(error) => assert_eq!(error, CompletionError::Cancelled),
            }
        }
        assert_eq!(callbacks.load(SeqCst), (round + 1) * 16, "each callback runs once");
    }
}

/// No read of a drained group that failed writes into its buffer after the group has ended.
pub(crate) fn a_group_of_reads_drained(rig: &Rig) {
    let file = rig.open("file");
    rig.write(&file, 0, &pattern(0, 1 << 20)).unwrap();
    for cancelled in 0..8 {
        let (returned, mut group) = (Arc::new(AtomicUsize::new(0)), CompletionGroup::drain(|_| {}));
        let reads: Vec<Completion> = (0..8_usize)
            .map(|place| {
                let returned = Arc::clone(&returned);
                let offset = place << 17;
                file.start(Submission::read(
                    offset as u64,
                    Buffer::zeroed(1 << 17),
                    move |outcome, buffer| {
                        assert!(outcome.is_err() || buffer[..] == pattern(offset, 1 << 17));
                        returned.fetch_add(1, SeqCst);
                    },
                ))
            })
            .collect();
        reads.iter().for_each(|read| group.add(read));
        reads[cancelled].cancel();
        let outcome = rig.wait(&group.build());
        assert!(matches!(outcome, Ok(_) | Err(CompletionError::Cancelled)), "{outcome:?}");
        assert_eq!(returned.load(SeqCst), 8, "all buffers are back when the group has ended");
    }
}

/// The descriptor is not given to the next file while an operation is in flight to it.
pub(crate) fn file_dropped_with_io_in_flight(rig: &Rig) {
    for round in 0..20 {
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        let file = rig.open(&old);
        let writes: Vec<_> = (0..50_u64)
            .map(|place| file.start(Submission::write(place * 512, Buffer::copy_of(&[1; 512]), |_, _| {})))
            .collect();
        drop(file);
        let reused: Vec<_> = (0..4).map(|number| rig.open(&format!("{new}-{number}"))).collect();
        for write in writes {
            assert_eq!(rig.wait(&write), Ok(512));
        }
        assert!(reused.iter().all(|file| file.len() == Ok(0)), "no byte went to another file");
        let file = rig.try_open(&old, OpenOptions::default()).unwrap();
        assert_eq!(rig.read(&file, 0, 30_000), [1; 50 * 512]);
    }
}

/// Whatever is submitted before and after, ends.
pub(crate) fn backend_dropped_with_io_in_flight(rig: &Rig) {
    let rig = Rig::new(rig.backend);
    let file = rig.open("file");
    let callbacks = Arc::new(AtomicUsize::new(0));
    let start = |file: &Arc<dyn File>| {
        let callbacks = Arc::clone(&callbacks);
        let buffer = Buffer::copy_of(&pattern(0, 100_000));
        file.start(Submission::write(0, buffer, move |_, buffer| {
            assert_eq!(buffer[..], pattern(0, 100_000));
            callbacks.fetch_add(1, SeqCst);
        }))
    };
    let before: Vec<_> = (0..100).map(|_| start(&file)).collect();
    if rig.backend.name() == "uring-stepped" {
        // So that some are with the kernel.
        rig.step();
    }
    let _folder = rig.drop_io();
    let after: Vec<_> = (0..10).map(|_| start(&file)).collect();
    for write in before.iter().chain(&after) {
        let outcome = write.result().expect("ended by the backend's drop");
        assert!(
            matches!(outcome, Ok(100_000) | Err(CompletionError::Abandoned | CompletionError::Cancelled)),
            "{outcome:?}"
        );
    }
    assert!(after.iter().all(|write| write.result() == Some(Err(CompletionError::Abandoned))));
    assert_eq!(callbacks.load(SeqCst), 110);
}

/// Far more operations than the ring has entries and the pool has threads.
pub(crate) fn more_in_flight_than_fits(rig: &Rig) {
    let file = rig.open("file");
    let writes: Vec<_> = (0..5_000_usize)
        .map(|place| {
            file.start(Submission::write(
                place as u64 * 16,
                Buffer::copy_of(&pattern(place * 16, 16)),
                |_, _| {},
            ))
        })
        .collect();
    for write in &writes {
        assert_eq!(rig.wait(write), Ok(16));
    }
    assert_eq!(rig.read(&file, 0, 5_000 * 16), pattern(0, 5_000 * 16));
}

/// Operations belong to the backend, not to the thread that happened to hand them to the system.
pub(crate) fn threads_end_with_io_in_flight(rig: &Rig) {
    const PAGE: usize = 1_024;
    let file = rig.open("file");
    for round in 0..100 {
        let start = |page: usize| {
            let buffer = Buffer::copy_of(&pattern(round + page * PAGE, PAGE));
            let write = file.start(Submission::write((page * PAGE) as u64, buffer, |_, _| {}));
            let _ = rig.io().step();
            write
        };
        let writes: Vec<_> = std::thread::scope(|scope| {
            let threads = [0, 16, 32, 48]
                .map(|first| scope.spawn(move || (first..first + 16).map(start).collect::<Vec<_>>()));
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        for write in &writes {
            assert_eq!(rig.wait(write), Ok(PAGE as u64), "round {round}");
        }
    }
}

/// Each thread writes and reads back its own pages, eight operations in flight; every byte is checked.
pub(crate) fn eight_threads_lose_nothing(rig: &Rig) {
    const THREADS: usize = 8;
    const PAGES: usize = 6_250;
    const PAGE: usize = 1_024;
    const DEPTH: usize = 8;
    let file = rig.open("file");
    let callbacks = AtomicUsize::new(0);
    let callbacks = Arc::new(callbacks);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (file, callbacks) = (&file, &callbacks);
            scope.spawn(move || {
                let place = move |page: usize| (page % 64 * THREADS + thread) * PAGE;
                for first in (0..PAGES).step_by(DEPTH) {
                    let pages = first..(first + DEPTH).min(PAGES);
                    let writes = pages.clone().map(|page| {
                        let buffer = Buffer::copy_of(&pattern(place(page) + page, PAGE));
                        let callbacks = Arc::clone(callbacks);
                        let count = move |_, _: Buffer| _ = callbacks.fetch_add(1, SeqCst);
                        file.start(Submission::write(place(page) as u64, buffer, count))
                    });
                    for write in writes.collect::<Vec<_>>() {
                        assert_eq!(rig.wait(&write), Ok(PAGE as u64));
                    }
                    let reads = pages.map(|page| {
                        let callbacks = Arc::clone(callbacks);
                        let check = move |outcome, buffer: Buffer| {
                            assert_eq!(outcome, Ok(PAGE as u64));
                            assert_eq!(buffer[..], pattern(place(page) + page, PAGE));
                            callbacks.fetch_add(1, SeqCst);
                        };
                        file.start(Submission::read(place(page) as u64, Buffer::zeroed(PAGE), check))
                    });
                    for read in reads.collect::<Vec<_>>() {
                        assert_eq!(
                            rig.wait(&read),
                            Ok(PAGE as u64),
                            "a callback that panicked is no success"
                        );
                    }
                }
            });
        }
    });
    assert_eq!(callbacks.load(SeqCst), THREADS * PAGES * 2, "100,000 operations");
}
