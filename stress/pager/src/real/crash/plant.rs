//! Bugs of a child, planted so that the campaign can be seen to find them.

/// A bug.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// It acknowledges commits before they are asked for.
    Hasty,
    /// After a few commits each of its connections waits for something that does not come.
    Stall,
    /// Its last connection ends with an error that nothing explains; the others go on.
    Error,
    /// Its last connection panics; the others go on.
    Panic,
}

impl Plant {
    const ALL: [Plant; 4] = [Plant::Hasty, Plant::Stall, Plant::Error, Plant::Panic];

    /// Every one, as it is typed.
    pub(super) const NAMES: [&'static str; 4] = ["hasty-acknowledgement", "stall", "error", "panic"];

    /// The one with that name.
    pub(super) fn named(name: &str) -> Option<Plant> {
        let place = Plant::NAMES.iter().position(|known| *known == name)?;
        Some(Plant::ALL[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_bugs_are_read_as_they_are_typed() {
        assert_eq!(Plant::NAMES.map(Plant::named), Plant::ALL.map(Some));
        assert_eq!(Plant::named("haste"), None);
    }
}
