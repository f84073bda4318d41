//! What a real kernel does to a program that the program did not ask for, by name.
//!
//! One thread makes all of it, a little of each kind every millisecond or so, for as long as its [`Noise`] lives. What it has
//! delivered is told to a [`Report`]. A kind that this machine cannot make is named when it is asked for, with the reason.

mod cold;
mod direct;
mod full;
mod mortal;
mod signals;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenterhook_runtime::io::IO;

pub(in crate::real) use self::full::SizeLimit;
pub use self::mortal::in_mortal_thread;
use crate::panics::message;
use crate::violation::Violation;

/// Between two turns of the noise.
const PACE: Duration = Duration::from_millis(1);

/// A kind of noise.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum NoiseKind {
    /// Threads give up their processor before an operation.
    Yields,
    /// Every thread of the process gets a signal whose handler does not ask for calls to be restarted.
    Signals,
    /// The process is stopped for a while and continued, from outside.
    Stops,
    /// A machine is stepped by a thread of its own, which ends while the I/O is under way that it has submitted.
    EndedThreads,
    /// The page cache drops what it has of the files.
    ColdFiles,
    /// Another file is written and read past the page cache, through the backend of the system.
    Direct,
    /// No file may grow for a while: a file size limit stands in for a full disk.
    FullDisk,
}

impl NoiseKind {
    /// Every kind.
    pub const ALL: [NoiseKind; 7] = [
        NoiseKind::Yields,
        NoiseKind::Signals,
        NoiseKind::Stops,
        NoiseKind::EndedThreads,
        NoiseKind::ColdFiles,
        NoiseKind::Direct,
        NoiseKind::FullDisk,
    ];
    /// Those for one process: it can't be stopped by itself without its shell taking notice.
    pub const WITHIN: [NoiseKind; 6] = [
        NoiseKind::Yields,
        NoiseKind::Signals,
        NoiseKind::EndedThreads,
        NoiseKind::ColdFiles,
        NoiseKind::Direct,
        NoiseKind::FullDisk,
    ];
    /// Those for processes that are killed.
    pub const OF_CHILDREN: [NoiseKind; 5] = [
        NoiseKind::Signals,
        NoiseKind::Stops,
        NoiseKind::EndedThreads,
        NoiseKind::ColdFiles,
        NoiseKind::FullDisk,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for NoiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NoiseKind {
    type Err = String;

    fn from_str(text: &str) -> Result<NoiseKind, String> {
        let known = NoiseKind::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| format!("there is no noise '{text}'"))
    }
}

/// Why `kind` cannot be made for files in `directory`, which must exist, if it can't.
pub fn obstacle(kind: NoiseKind, directory: &std::path::Path) -> Option<String> {
    match kind {
        NoiseKind::ColdFiles => cold::obstacle(directory),
        NoiseKind::Direct => direct::obstacle(directory),
        _ => None,
    }
}

/// A kind that was asked for and cannot be made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// Its name.
    pub kind: String,
    /// Why not.
    pub reason: String,
}

/// Splits `kinds` into those that can be made for files in `directory`, which must exist, and the others.
pub fn available(kinds: &[NoiseKind], directory: &std::path::Path) -> (Vec<NoiseKind>, Vec<Unavailable>) {
    let (mut possible, mut unavailable) = (Vec::new(), Vec::new());
    for &kind in kinds {
        match obstacle(kind, directory) {
            None => possible.push(kind),
            Some(reason) => unavailable.push(Unavailable { kind: kind.to_string(), reason }),
        }
    }
    (possible, unavailable)
}

/// Hears how often a kind was delivered, and what came out of it that must not.
pub trait Report: Send + Sync + 'static {
    /// `times` more.
    fn delivered(&self, kind: NoiseKind, times: u64);
    /// Something is wrong.
    fn object(&self, violation: Violation);
}

/// Where noise is made.
pub struct Place {
    /// The backend, without what is around it.
    pub io: Arc<dyn IO>,
    /// The files in use.
    pub files: Vec<PathBuf>,
    /// A folder for files of the noise's own.
    pub directory: PathBuf,
}

/// Makes a little noise each time it is asked.
trait Source: Send {
    /// How often it was delivered since the last time.
    fn make(&mut self) -> Result<u64, Box<Violation>>;
}

/// Noise that is being made.
pub struct Noise {
    report: Arc<dyn Report>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Noise {
    /// Makes `kinds` from now on; those that others make are left out.
    ///
    /// # Errors
    ///
    /// When one of them can't be set up.
    pub fn start(kinds: &[NoiseKind], place: &Place, report: Arc<dyn Report>) -> std::io::Result<Noise> {
        let mut sources: Vec<(NoiseKind, Box<dyn Source>)> = Vec::new();
        for &kind in kinds {
            match kind {
                NoiseKind::Signals => sources.push((kind, Box::new(signals::Signals::start()?))),
                NoiseKind::ColdFiles => sources.push((kind, Box::new(cold::Cold::new(&place.files)))),
                NoiseKind::Direct => sources.push((kind, Box::new(direct::Direct::start(place)?))),
                NoiseKind::FullDisk => sources.push((kind, Box::new(full::Full::new(&place.files)))),
                NoiseKind::Yields | NoiseKind::Stops | NoiseKind::EndedThreads => {}
            }
        }
        Ok(Noise::of(sources, report))
    }

    fn of(mut sources: Vec<(NoiseKind, Box<dyn Source>)>, report: Arc<dyn Report>) -> Noise {
        let (stop, stopped) = mpsc::channel::<()>();
        let told = Arc::clone(&report);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                for (kind, source) in &mut sources {
                    match source.make() {
                        Ok(0) => {}
                        Ok(times) => told.delivered(*kind, times),
                        Err(violation) => told.object(*violation),
                    }
                }
            }
        });
        Noise { report, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            self.report.object(*Violation::panic(message(&*panic)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use tenterhook_runtime::io::Backend;

    use super::*;

    struct Told(Mutex<mpsc::Sender<NoiseKind>>);

    impl Report for Told {
        fn delivered(&self, kind: NoiseKind, _: u64) {
            // Without a receiver the test has seen enough.
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(kind);
        }

        fn object(&self, violation: Violation) {
            panic!("{violation}");
        }
    }

    /// Makes one kind until it has been delivered, ten seconds long at most.
    fn is_delivered(kind: NoiseKind) -> bool {
        let folder = tempfile::tempdir().unwrap();
        if obstacle(kind, folder.path()).is_some() {
            return true;
        }
        let file = folder.path().join("cloth");
        std::fs::write(&file, [7; 1 << 16]).unwrap();
        std::fs::File::open(&file).unwrap().sync_all().unwrap();
        let io = Backend::Threads.start().unwrap().io;
        let place = Place { io, files: vec![file], directory: folder.path().to_owned() };
        let (sender, receiver) = mpsc::channel();
        let told = Arc::new(Told(Mutex::new(sender)));
        let noise = Noise::start(&[kind], &place, told).unwrap();
        let delivered = receiver.recv_timeout(Duration::from_secs(10)) == Ok(kind);
        drop(noise);
        delivered
    }

    #[derive(Default)]
    struct Objections(Mutex<Vec<Violation>>);

    impl Report for Objections {
        fn delivered(&self, _: NoiseKind, _: u64) {}

        fn object(&self, violation: Violation) {
            self.0.lock().unwrap().push(violation);
        }
    }

    /// Broke: the noise ended with the panic, and only standard error said so.
    #[test]
    fn a_panic_of_the_noise_is_told() {
        struct Breaks(Option<mpsc::Sender<()>>);
        impl Source for Breaks {
            fn make(&mut self) -> Result<u64, Box<Violation>> {
                self.0 = None;
                panic!("the string broke")
            }
        }
        let (began, begins) = mpsc::channel();
        let objections = Arc::new(Objections::default());
        let sources: Vec<(NoiseKind, Box<dyn Source>)> =
            vec![(NoiseKind::Direct, Box::new(Breaks(Some(began))))];
        let noise = Noise::of(sources, Arc::clone(&objections) as Arc<dyn Report>);
        assert!(begins.recv().is_err(), "it sends nothing and drops its end");
        drop(noise);
        let seen: Vec<String> = objections.0.lock().unwrap().iter().map(|it| it.seen.clone()).collect();
        assert_eq!(seen, ["the string broke"]);
    }

    #[test]
    fn a_kind_that_cannot_be_made_is_named_with_the_reason() {
        let (possible, unavailable) =
            available(&[NoiseKind::Direct, NoiseKind::Yields], std::path::Path::new("/proc"));
        assert_eq!(possible, [NoiseKind::Yields]);
        let [Unavailable { kind, reason }] = &unavailable[..] else { panic!("{unavailable:?}") };
        assert_eq!(kind, "direct");
        assert!(reason.contains("past the page cache"), "{reason}");
    }

    #[test]
    fn signals_are_delivered_to_other_threads() {
        assert!(is_delivered(NoiseKind::Signals));
    }

    #[test]
    fn files_become_cold() {
        assert!(is_delivered(NoiseKind::ColdFiles));
    }

    #[test]
    fn what_is_written_past_the_cache_is_read_again() {
        assert!(is_delivered(NoiseKind::Direct));
    }
}
