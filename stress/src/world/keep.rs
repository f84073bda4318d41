/// What a run remembers; each level has what those before it have. Levels cost, so each caller asks for what it needs.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// What it came to, and the hash of its events.
    Hash,
    /// Every choice, and the schedule in turns: what a shrinker edits.
    Tape,
    /// Besides, what each life began with, for a shrinker that cuts the past off. Only this level has it. What a run has left whose
    /// process is killed ([`BranchEnd::KilledAfter`](crate::tape::BranchEnd::KilledAfter)) is a beginning, too.
    Beginnings,
    /// Every event: what shows where two runs differ.
    Events,
    /// In words, what each fiber was doing at each of its steps: what a timeline shows.
    Story,
}
