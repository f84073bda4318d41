//! A ring that is dropped while the kernel writes to its buffers, among callbacks that panic.
//!
//! Broke once: the drop unwound at the first panic, the wait for the kernel was skipped, and the buffers went back to their
//! callbacks. Of 190 buffers the kernel wrote to 48 after that, and after a panic whose payload panics when it is dropped,
//! to 55 of 64. Now all panics are kept until the kernel has let go.
#![cfg(target_os = "linux")]

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, mpsc};

use tempfile::TempDir;
use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission, UringIO};
use tenterhook_runtime::{Completion, CompletionError};

const MIB: usize = 1 << 20;
const READS: usize = 96;
/// What a buffer is filled with as soon as it has come back.
const MARK: u8 = 0xa5;
/// What the file is full of.
const CONTENT: u8 = 0x17;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload's own drop");
    }
}

/// A file that is on the device and can be read past the page cache.
fn file_on_the_device(io: &UringIO) -> (TempDir, Arc<dyn File>) {
    let folder =
        tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let path = folder.path().join("file");
    std::fs::write(&path, vec![CONTENT; 32 * MIB]).unwrap();
    std::fs::File::open(&path).unwrap().sync_all().unwrap();
    let file = io.open(&path, OpenOptions { direct: true, ..OpenOptions::default() }).expect("direct I/O");
    (folder, file)
}

/// Reads that the kernel is busy with for a while. Their callbacks mark the buffers and hand them over.
fn reads(file: &Arc<dyn File>, returned: &mpsc::Sender<Buffer>) -> Vec<Completion> {
    let read = |number: usize| {
        let returned = returned.clone();
        let offset = number % 32 * MIB;
        file.start(Submission::read(offset as u64, Buffer::zeroed(MIB), move |_, mut buffer| {
            buffer.fill(MARK);
            returned.send(buffer).expect("the test listens");
        }))
    };
    (0..READS).map(read).collect()
}

/// Drops the ring with `panicking` in its backlog; every byte of every buffer stays what its callback made it.
fn dropped_with(panicking: impl Fn() + Send + 'static) {
    let io = UringIO::stepped(NonZero::new(READS as u32).unwrap()).expect("io_uring");
    let (folder, file) = file_on_the_device(&io);
    let (sender, returned) = mpsc::channel();
    let reads = reads(&file, &sender);
    let bad = file.start(Submission::sync(move |_| panicking()));
    io.step().expect("the kernel takes them");
    drop(file);
    let panic = catch_unwind(AssertUnwindSafe(|| drop(io))).expect_err("the callback's panic continues");
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    // As long again as the kernel was busy, should it still be at it.
    for _ in 0..3 {
        let again = std::fs::File::open(folder.path().join("file")).unwrap();
        again.sync_all().unwrap();
        rustix::fs::fadvise(&again, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap().len(), 32 * MIB);
    }
    assert_eq!(bad.result(), Some(Err(CompletionError::CallbackPanicked)));
    assert!(reads.iter().all(Completion::finished), "the drop returns when all have ended");
    let buffers: Vec<Buffer> = returned.try_iter().collect();
    assert_eq!(buffers.len(), READS);
    let overwritten = buffers.iter().filter(|buffer| buffer.iter().any(|byte| *byte != MARK)).count();
    assert_eq!(overwritten, 0, "buffers that the kernel wrote to after their callbacks had them");
}

#[test]
fn panic_in_the_backlog_does_not_cut_the_wait_short() {
    dropped_with(|| panic!("on purpose"));
}

#[test]
fn payload_whose_drop_panics_does_not_cut_the_wait_short() {
    dropped_with(|| panic_any(Bomb));
}

/// The callbacks of what is in flight panic, too, all of them.
#[test]
fn each_callback_panics_and_each_operation_ends() {
    let io = UringIO::stepped(NonZero::new(8).unwrap()).expect("io_uring");
    let (_folder, file) = file_on_the_device(&io);
    let read = |number: usize| {
        let offset = (number % 32 * MIB) as u64;
        file.start(Submission::read(offset, Buffer::zeroed(MIB), |_, _| panic_any(Bomb)))
    };
    let reads: Vec<_> = (0..32).map(read).collect();
    // The drop waits for the eight that the kernel has, and abandons the others.
    let panic = catch_unwind(AssertUnwindSafe(|| drop(io))).expect_err("a callback's panic continues");
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    assert!(reads.iter().all(|read| read.result() == Some(Err(CompletionError::CallbackPanicked))));
}

/// A sandbox that forbids entering the ring. Broke once: the thread of the ring panicked, and all who waited hung.
#[test]
fn kernel_that_refuses_to_be_entered_aborts_with_a_message() {
    if std::env::var_os("TENTERHOOK_FORBID_IO_URING").is_some() {
        return wait_behind_a_filter();
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kernel_that_refuses_to_be_entered_aborts_with_a_message", "--nocapture"])
        .env("TENTERHOOK_FORBID_IO_URING", "1")
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stderr);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.status), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("cannot enter io_uring: permission denied (os error 1)"), "{text}");
}

fn wait_behind_a_filter() {
    let io = UringIO::new(NonZero::<u32>::MIN).expect("io_uring");
    let (_folder, file) = file_on_the_device(&io);
    forbid_entering();
    let read = file.start(Submission::read(0, Buffer::zeroed(MIB), |_, _| {}));
    let _ = read.wait();
}

/// Has io_uring_enter answer EPERM in all threads of this process.
fn forbid_entering() {
    let statement = |code, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let forbidden = libc::SYS_io_uring_enter as u32;
    let mut filter = [
        // The number of the system call is the first word of what a filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: forbidden,
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls only restrict this process; the program is alive for the call, which copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        let done =
            libc::syscall(libc::SYS_seccomp, mode, libc::SECCOMP_FILTER_FLAG_TSYNC, &raw const program);
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}
