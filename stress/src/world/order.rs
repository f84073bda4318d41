//! Who goes next: as a scheduler draws it, or as a tape has it.

use crate::disk::{News, SimDisk};
use crate::schedule::{FiberId, Pick, Readiness, Scheduler, Transcript, Turns};
use crate::tape::{Address, Place, Stream, Tape};

/// Decides who goes next, and writes down what it decided if the run is recorded.
pub(super) struct Order {
    how: How,
    stream: Stream,
    transcript: Option<Transcript>,
    /// Choices belong to operations: the run is recorded or replayed.
    addressed: bool,
    /// Turns of the lives that are over.
    settled: Vec<(Place, u32)>,
    /// Scratch space.
    news: Vec<News>,
}

enum How {
    Drawn(Box<dyn Scheduler>),
    Turns(Turns),
}

/// A fiber that can run, with its step's place on a tape.
#[derive(Copy, Clone, Debug)]
pub(super) struct Ready {
    pub(super) fiber: FiberId,
    pub(super) why: Readiness,
    pub(super) place: Place,
    /// What the tape that is replayed has there.
    pub(super) recorded: u32,
}

impl Order {
    /// `scheduler` draws, or the tape's turns decide if there is none.
    pub(super) fn new(scheduler: Option<Box<dyn Scheduler>>, stream: Stream, record: bool) -> Order {
        Order {
            addressed: stream.has_memory(),
            how: scheduler.map_or_else(|| How::Turns(Turns::default()), How::Drawn),
            stream,
            transcript: record.then(Transcript::default),
            settled: Vec::new(),
            news: Vec::new(),
        }
    }

    /// A number that stands for all that the scheduler drew.
    pub(super) fn digest(&self) -> u64 {
        self.stream.digest()
    }

    /// What the scheduler draws from.
    #[cfg(tenterhook_shuttle)]
    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The present turn.
    pub(super) fn turn(&self) -> u32 {
        match &self.how {
            How::Drawn(_) => 0,
            How::Turns(turns) => turns.now(),
        }
    }

    /// A fiber can run.
    #[inline]
    pub(super) fn ready(&mut self, ready: Ready) {
        if let Some(transcript) = &mut self.transcript {
            transcript.possible(ready.place);
        }
        match &mut self.how {
            How::Drawn(scheduler) => scheduler.ready(ready.fiber, ready.why, &mut self.stream),
            How::Turns(turns) => turns.ready(ready.fiber, ready.why == Readiness::Yielded, ready.recorded),
        }
    }

    /// A fiber's next step is possible, although the scheduler is told later: after a stall, or after a crash or a rest that came
    /// before it was told.
    pub(super) fn possible(&mut self, place: Place) {
        if let Some(transcript) = &mut self.transcript {
            transcript.possible(place);
        }
    }

    /// Takes out what is next, if a scheduler draws; `due` operations could be delivered.
    #[inline]
    pub(super) fn pick(&mut self, due: u32) -> Option<Pick> {
        match &mut self.how {
            How::Drawn(scheduler) => scheduler.pick(due, &mut self.stream),
            How::Turns(_) => None,
        }
    }

    /// The turns, if they decide.
    pub(super) fn turns(&mut self) -> Option<&mut Turns> {
        match &mut self.how {
            How::Drawn(_) => None,
            How::Turns(turns) => Some(turns),
        }
    }

    /// The tape ends here: `scheduler` draws from here on.
    pub(super) fn leave_tape(&mut self, mut scheduler: Box<dyn Scheduler>) {
        self.stream.leave_tape();
        let How::Turns(turns) = &mut self.how else { return };
        for (fiber, has_yielded) in turns.take_ready() {
            // Fresh ones draw their priorities, where a scheduler has some.
            let why = if has_yielded { Readiness::Yielded } else { Readiness::Fresh };
            scheduler.ready(fiber, why, &mut self.stream);
        }
        self.how = How::Drawn(scheduler);
    }

    pub(super) fn follows_turns(&self) -> bool {
        matches!(self.how, How::Turns(_))
    }

    /// The step or the delivery at `place` happens.
    pub(super) fn happens(&mut self, place: impl FnOnce() -> Option<Place>) {
        if let Some(transcript) = &mut self.transcript
            && let Some(place) = place()
        {
            transcript.happens(place);
        }
    }

    /// A crash or a rest comes now, and these fibers were woken before it.
    pub(super) fn cut(&mut self, place: Place, woken: impl Iterator<Item = Place>) {
        if let Some(transcript) = &mut self.transcript {
            woken.for_each(|place| transcript.possible(place));
            transcript.cut(place);
        }
    }

    /// Learns what has been submitted, and delivered by the system itself.
    pub(super) fn learn(&mut self, disk: &SimDisk) {
        if !self.addressed {
            return;
        }
        disk.take_news(&mut self.news);
        if let Some(transcript) = &mut self.transcript {
            self.news.iter().for_each(|&news| match news {
                News::Begun(place) => transcript.possible(place),
                News::Ended(place) => transcript.gone(place),
            });
        }
        self.news.clear();
    }

    /// The disk learns which turn it is.
    #[inline]
    pub(super) fn tell_turn(&self, disk: &SimDisk) {
        if self.addressed {
            disk.set_turn(self.turn());
        }
    }

    /// The disk serves the step of `operation` from here on.
    #[inline]
    pub(super) fn serve(&self, disk: &SimDisk, operation: impl FnOnce() -> Address) {
        if self.addressed {
            disk.serve(operation(), self.turn());
        }
    }

    /// The life is over: no fiber is ready.
    pub(super) fn clear(&mut self) {
        match &mut self.how {
            How::Drawn(scheduler) => scheduler.clear(),
            How::Turns(turns) => turns.clear(),
        }
        self.settle();
    }

    fn settle(&mut self) {
        if let Some(transcript) = &mut self.transcript {
            self.settled.append(&mut transcript.settle());
        }
    }

    /// Between how many each choice of the exhaustive scheduler was.
    pub(super) fn branching(&mut self) -> Vec<u32> {
        match &mut self.how {
            How::Drawn(scheduler) => scheduler.branching().unwrap_or_default(),
            How::Turns(_) => Vec::new(),
        }
    }

    /// Puts the schedule on a tape, as it was drawn and in turns.
    pub(super) fn save(&mut self, tape: &mut Tape) {
        self.settle();
        if let Some(record) = self.stream.take_record() {
            tape.insert(record);
        }
        self.settled.drain(..).for_each(|(place, number)| tape.set(place, number));
    }
}
