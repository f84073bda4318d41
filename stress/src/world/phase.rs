//! Where a run is between the begin of a life and its end.

/// Stages of a life. Each says whether faults strike and whether the run's end has begun.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The control fiber boots the system.
    Booting(Boot),
    /// Connections run, and faults strike.
    Running,
    /// No operation begins any more; those under way end, without faults.
    Draining(Rest),
    /// The control fiber checks the system, without faults.
    Quiescing(Rest),
    /// The run is over.
    Over,
}

/// How a life boots.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    /// Faults strike.
    Struck,
    /// They have stopped: too many steps have passed for anything but a verdict.
    Calm,
    /// The run's budget is spent. They have stopped, and a check follows.
    Final,
}

/// Why connections rest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// For a check between two stretches of work.
    Pause,
    /// The run's budget is spent.
    Final,
}

impl Phase {
    /// What goes on in it, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Booting(_) => "while the system boots",
            Phase::Running => "while connections run",
            Phase::Draining(_) => "while operations end",
            Phase::Quiescing(_) => "while the system is looked over",
            Phase::Over => "after the run",
        }
    }

    /// Whether faults have stopped.
    pub(super) fn is_calm(self) -> bool {
        !matches!(self, Phase::Booting(Boot::Struck) | Phase::Running)
    }

    /// Whether the run's budget is spent: the system rests, loses power, comes back, and rests.
    pub(super) fn is_final(self) -> bool {
        matches!(
            self,
            Phase::Booting(Boot::Final) | Phase::Draining(Rest::Final) | Phase::Quiescing(Rest::Final)
        )
    }

    /// Whether an operation that has not begun must wait.
    pub(super) fn rests(self) -> bool {
        matches!(self, Phase::Draining(_) | Phase::Quiescing(_))
    }
}
