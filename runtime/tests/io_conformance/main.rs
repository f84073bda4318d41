//! One body for each behaviour, run on every backend. Prints the table; a name as argument runs what contains it.
//!
//! A program without the test harness: some behaviours need a process of their own, with a limit on it.

mod behaviours;
mod edges;
mod exclusive;
mod faults;
mod panics;
mod rig;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use rig::{Backend, Rig};

/// One thing that every backend does.
struct Behaviour {
    name: &'static str,
    body: fn(&Rig),
    /// Runs in a child, which sets limits on itself.
    alone: bool,
}

const fn shared(name: &'static str, body: fn(&Rig)) -> Behaviour {
    Behaviour { name, body, alone: false }
}

const fn alone(name: &'static str, body: fn(&Rig)) -> Behaviour {
    Behaviour { name, body, alone: true }
}

const BEHAVIOURS: &[Behaviour] = &[
    shared("reads back what was written", behaviours::reads_back_what_was_written),
    shared("vectored writes arrive in order", behaviours::vectored_writes_arrive_in_order),
    shared("reads end at the end of the file", behaviours::reads_end_at_the_end_of_the_file),
    shared("zero bytes are no bytes", behaviours::zero_bytes_are_no_bytes),
    shared("truncate cuts and fills with zeros", behaviours::truncate_cuts_and_fills_with_zeros),
    shared("sync ends well", behaviours::sync_ends_well),
    shared("direct I/O wants alignment", behaviours::direct_io_wants_alignment),
    shared("callbacks submit on the same backend", behaviours::callbacks_submit_on_the_same_backend),
    shared("a callback's panic is survived", panics::a_callback_s_panic_is_survived),
    shared("a panic abandons no neighbour", panics::a_panic_abandons_no_neighbour),
    shared("a payload whose drop panics", panics::a_payload_whose_drop_panics_is_survived),
    shared("backend dropped, callbacks panic", panics::backend_dropped_among_panicking_callbacks),
    shared("resubmitted though refused", panics::a_callback_resubmits_what_was_refused),
    shared("resubmitted to a backend that is gone", panics::a_callback_resubmits_to_a_backend_that_is_gone),
    shared("cancelled before it starts", behaviours::cancelled_before_it_starts),
    shared("cancelled at any time", behaviours::cancelled_at_any_time),
    shared("a group of reads, drained", behaviours::a_group_of_reads_drained),
    shared("file dropped with I/O in flight", behaviours::file_dropped_with_io_in_flight),
    shared("backend dropped with I/O in flight", behaviours::backend_dropped_with_io_in_flight),
    shared("more in flight than fits", behaviours::more_in_flight_than_fits),
    shared("threads end with I/O in flight", behaviours::threads_end_with_io_in_flight),
    shared("threads end with cold reads in flight", edges::threads_end_with_cold_reads_in_flight),
    shared("beyond the end of all files", edges::beyond_the_end_of_all_files),
    shared("a read of 2 GiB and more", edges::a_read_of_more_than_one_call_moves),
    shared("more cancels than fit", edges::more_cancels_than_fit),
    shared("one entry, one thread", edges::a_ring_of_one_entry_and_a_pool_of_one_thread),
    shared("a slow callback", edges::a_slow_callback_holds_up_nothing_else),
    shared("absurd sizes", edges::absurd_sizes_are_refused),
    alone("signals", edges::signals_are_no_failure),
    shared("eight threads, 100,000 operations", behaviours::eight_threads_lose_nothing),
    shared("missing file, directory, no permission", faults::refusals_name_the_file),
    shared("one opener at a time", exclusive::one_opener_at_a_time),
    shared("I/O in flight keeps the file", exclusive::io_in_flight_keeps_the_file),
    shared(
        "another process is named, a dead one not",
        exclusive::another_process_is_named_and_a_dead_one_holds_nothing,
    ),
    alone("disk full", faults::disk_full),
    alone("out of descriptors", faults::out_of_descriptors),
    alone("folder sync fails once", faults::folder_sync_is_made_up_for),
    alone("no memory may be locked", faults::no_memory_may_be_locked),
];

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [marker, behaviour, backend] = &arguments[..]
        && marker == "alone"
    {
        let behaviour = BEHAVIOURS.iter().find(|known| known.name == behaviour).expect("named by the parent");
        let backend =
            Backend::ALL.into_iter().find(|known| known.name() == backend).expect("named by the parent");
        (behaviour.body)(&Rig::new(backend));
        return ExitCode::SUCCESS;
    }
    let filter = arguments.first().map_or("", String::as_str);
    run(BEHAVIOURS.iter().filter(|behaviour| behaviour.name.contains(filter)))
}

fn run<'a>(behaviours: impl Iterator<Item = &'a Behaviour>) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    print!("{:<40}", "");
    Backend::ALL.iter().for_each(|backend| print!(" {:>15}", backend.name()));
    println!();
    for behaviour in behaviours {
        print!("{:<40}", behaviour.name);
        for backend in Backend::ALL {
            let outcome = catch_unwind(AssertUnwindSafe(|| attempt(behaviour, backend)));
            let ok = outcome.is_ok();
            print!(" {:>15}", if ok { "ok" } else { "FAILED" });
            if ok { passed += 1 } else { failed += 1 }
        }
        println!();
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn attempt(behaviour: &Behaviour, backend: Backend) {
    if !behaviour.alone {
        return (behaviour.body)(&Rig::new(backend));
    }
    let program = std::env::current_exe().expect("this program");
    let child =
        Command::new(program).args(["alone", behaviour.name, backend.name()]).output().expect("a child");
    assert!(child.status.success(), "{}\n{}", child.status, String::from_utf8_lossy(&child.stderr));
}
