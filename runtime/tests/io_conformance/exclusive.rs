//! Files that one opener has to itself.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Command, Stdio};

use tenterhook_runtime::io::{Buffer, OpenOptions, Submission};

use crate::rig::Rig;

/// A second opener is refused in the same process, and an opener that does not ask for exclusion is admitted.
pub(crate) fn one_opener_at_a_time(rig: &Rig) {
    let alone = OpenOptions::creating().alone();
    let first = rig.try_open("file", alone).expect("the file is free");
    rig.try_open("file", OpenOptions::creating()).expect("asks for nothing");
    let refused = rig.try_open("file", alone).err().expect("another opener has it");
    assert!(refused.is_locked(), "{refused}");
    assert_eq!((refused.kind, &refused.path), (ErrorKind::ResourceBusy, &Some(rig.path("file"))));
    let holder = rig.backend.is_real().then(std::process::id);
    assert_eq!(rig.io().holder_of(&rig.path("file")), holder);
    rig.try_open("other", alone).expect("another file");
    drop(first);
    rig.try_open("file", alone).expect("it was closed");
    assert_eq!(rig.io().holder_of(&rig.path("file")), None);
}

/// Who drops a file with I/O in flight has it until that has ended.
pub(crate) fn io_in_flight_keeps_the_file(rig: &Rig) {
    let alone = OpenOptions::creating().alone();
    let file = rig.try_open("file", alone).expect("the file is free");
    let mut waits = Vec::new();
    for page in 0..64 {
        let write = Submission::write(page * 4096, Buffer::zeroed(4096), |_, _| {});
        waits.push(file.start(write));
    }
    drop(file);
    if !rig.backend.is_real() {
        // Nothing has run yet; on a real disk all of it may have.
        assert!(rig.try_open("file", alone).err().expect("it is in use").is_locked());
    }
    for wait in &waits {
        rig.wait(wait).expect("written");
    }
    let file = rig.try_open("file", alone).expect("all of it has ended");
    assert_eq!(file.len(), Ok(64 * 4096));
}

/// Another process is kept out, is named, and holds nothing once it has died.
pub(crate) fn another_process_is_named_and_a_dead_one_holds_nothing(rig: &Rig) {
    if !rig.backend.is_real() {
        return;
    }
    let path = rig.path("file");
    rig.open("file");
    let mut child = Command::new("flock")
        .args(["--no-fork", "--nonblock"])
        .arg(&path)
        .args(["sh", "-c", "echo locked; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux has flock");
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).expect("it speaks");
    assert_eq!(said, "locked\n");
    let alone = OpenOptions::creating().alone();
    assert!(rig.try_open("file", alone).err().expect("it is locked").is_locked());
    assert_eq!(rig.io().holder_of(&path), Some(child.id()));
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    rig.try_open("file", alone).expect("the dead hold nothing");
}
