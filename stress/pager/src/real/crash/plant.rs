//! Bugs of a child, planted so that the campaign can be seen to find them.

/// A bug.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Plant {
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
    /// Every one.
    pub const ALL: [Plant; 4] = [Plant::Hasty, Plant::Stall, Plant::Error, Plant::Panic];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Plant::Hasty => "hasty-acknowledgement",
            Plant::Stall => "stall",
            Plant::Error => "error",
            Plant::Panic => "panic",
        }
    }
}

impl std::str::FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Plant, String> {
        let known = Plant::ALL.into_iter().find(|plant| plant.name() == text);
        known.ok_or_else(|| format!("it must be one of {}", Plant::ALL.map(Plant::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_bugs_are_read_as_they_are_typed() {
        for plant in Plant::ALL {
            assert_eq!(plant.name().parse(), Ok(plant));
        }
        assert!("haste".parse::<Plant>().unwrap_err().contains("hasty-acknowledgement, stall"));
    }
}
