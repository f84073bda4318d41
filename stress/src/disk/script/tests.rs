use std::sync::Arc;

use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError};

use super::*;

fn file(disk: &SimDisk) -> Arc<dyn File> {
    let options = OpenOptions { create: true, ..OpenOptions::default() };
    disk.io().open(Path::new("x"), options).expect("nothing fails")
}

fn write(file: &Arc<dyn File>, sector: u64, byte: u8) -> Completion {
    let (completion, submission) =
        Submission::write(sector * SECTOR, Buffer::copy_of(&[byte; 512]), |_, _| {});
    file.submit(submission);
    completion
}

#[test]
fn what_is_written_down_happens_and_nothing_else() {
    let disk = SimDisk::obliging();
    let file = file(&disk);
    assert!(write(&file, 0, 1).succeeded(), "an obliging disk ends everything at once");
    let mut script = Script::default();
    script.at_once(0);
    assert!(script.fault(1, OperationKind::Write, FaultKind::WriteError, 0));
    assert!(!script.fault(2, OperationKind::Write, FaultKind::ReadError, 0), "it can't hit a write");
    disk.follow(script);
    assert!(write(&file, 0, 2).succeeded());
    let [failing, pending] = [3, 4].map(|byte| write(&file, 0, byte));
    assert!(!failing.finished() && !pending.finished());
    disk.io().step().expect("delivers");
    assert!(matches!(failing.get_error(), Some(CompletionError::Io { .. })) && pending.succeeded());
    disk.oblige();
    assert!(write(&file, 0, 5).succeeded());
}

#[test]
fn each_effect_of_a_fault_leaves_something_else() {
    let after = |kind, fault, effect| {
        let disk = SimDisk::obliging();
        let file = file(&disk);
        write(&file, 0, 1);
        write(&file, 1, 1);
        let syncs = kind == OperationKind::Sync;
        if !syncs {
            file.start(Submission::sync(|_| {}));
        }
        let mut script = Script::default();
        assert!(script.fault(0, kind, fault, effect));
        script.at_once(0);
        disk.follow(script);
        let buffer = Buffer::copy_of(&[2; 1024]);
        let completion = match syncs {
            true => file.start(Submission::sync(|_| {})),
            false => file.start(Submission::write(0, buffer, |_, _| {})),
        };
        assert!(completion.failed());
        let read = disk.content(Path::new("x")).expect("it was linked");
        drop(disk.cut_power());
        disk.lose_unsynced();
        let durable = disk.content(Path::new("x")).expect("it was linked");
        (read.get(..1024).map(|read| [read[0], read[599], read[1023]]), durable.len())
    };
    let written = [0, 1, 2, 3].map(|effect| after(OperationKind::Write, FaultKind::WriteError, effect).0);
    assert_eq!(written, [Some([1, 1, 1]), Some([2, 1, 1]), Some([2, 2, 1]), Some([2, 2, 2])]);
    let dropped = [0, 1, 2, 3, 4, 5].map(|effect| after(OperationKind::Sync, FaultKind::SyncDropped, effect));
    let (first, second, both) = (None, Some([0, 1, 1]), Some([1, 1, 1]));
    assert_eq!(dropped, [(None, 0), (both, 0), (second, 1024), (both, 1024), (first, 512), (both, 512)]);
    let mut script = Script::default();
    assert!(!script.fault(0, OperationKind::Write, FaultKind::WriteError, 4), "it has no such effect");
}

#[test]
fn after_a_power_loss_each_file_has_what_its_fate_says() {
    // Two writes of one sector each over a synced sector of 1.
    let fates = [
        (Fate::Nothing, [1, 1]),
        (Fate::Everything, [2, 3]),
        (Fate::UpTo(1), [2, 1]),
        (Fate::AllBut(0), [1, 3]),
        (Fate::Only(0), [2, 1]),
    ];
    for (fate, expected) in fates {
        let disk = SimDisk::obliging();
        let file = file(&disk);
        write(&file, 0, 1);
        write(&file, 1, 1);
        file.submit(Submission::sync(|_| {}).1);
        write(&file, 0, 2);
        // One that was in flight counts, too.
        disk.follow(Script::default());
        let in_flight = write(&file, 1, 3);
        drop(disk.cut_power());
        assert!(in_flight.failed());
        assert_eq!(disk.unsynced(), [Unsynced { changes: 2, sectors: 2 }]);
        disk.fall(&[fate]);
        let content = disk.content(Path::new("x")).expect("it was synced");
        assert_eq!([content[0], content[512]], expected, "{fate:?}");
    }
}

/// What is taken out of the middle of the queue must not bring an older one to its end.
#[test]
fn newest_that_is_due_is_the_one_that_was_submitted_last() {
    let disk = SimDisk::obliging();
    let file = file(&disk);
    disk.follow(Script::default());
    let mut writes: Vec<Completion> = (0..4).map(|sector| write(&file, sector, 1)).collect();
    disk.begin_step(1, &mut crate::trace::Trace::new(false));
    while let Some(newest) = writes.pop() {
        assert!(disk.deliver_newest() && newest.finished());
        assert!(!writes.iter().any(Completion::finished));
    }
    assert!(!disk.deliver_newest());
}

#[test]
fn a_torn_sector_is_half_new_and_of_a_head_a_few_bytes_are() {
    let fates = [
        (Fate::Torn(0), [2, 2, 1, 3]),
        (Fate::Torn(1), [2, 2, 2, 3]),
        (Fate::Head(0), [2, 1, 1, 1]),
        (Fate::Head(1), [1, 1, 1, 3]),
    ];
    for (fate, expected) in fates {
        let disk = SimDisk::obliging();
        let file = file(&disk);
        write(&file, 0, 1);
        write(&file, 1, 1);
        file.submit(Submission::sync(|_| {}).1);
        write(&file, 0, 2);
        write(&file, 1, 3);
        assert_eq!(disk.unsynced_starts(), [[0, 1]]);
        drop(disk.cut_power());
        disk.fall(&[fate]);
        let content = disk.content(Path::new("x")).expect("it was synced");
        assert_eq!([0, 64, 511, 512].map(|at| content[at]), expected, "{fate:?}");
    }
}
