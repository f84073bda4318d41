//! Options that a person fixes instead of leaving them to the seed.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk::FaultKind;
use crate::race;
use crate::schedule::SchedulerKind;

/// More connections than this are a mistake: their fibers alone would fill the memory.
const MAX_CONNECTIONS: u32 = 1_000_000;
/// A run of more steps than this would take weeks.
const MAX_STEPS: u64 = 1_000_000_000_000;

/// What a command line can parse. Any type, in a library that has no command line.
#[cfg(feature = "cli")]
pub trait Flags: clap::Args {}
#[cfg(feature = "cli")]
impl<T: clap::Args> Flags for T {}
/// What a command line can parse. Any type, in a library that has no command line.
#[cfg(not(feature = "cli"))]
pub trait Flags {}
#[cfg(not(feature = "cli"))]
impl<T> Flags for T {}

/// The options of one subject that a person may fix; the seed draws those that are left open.
///
/// A field is an `Option`. As a flag, in a state file and on a tape it has its own name, in kebab case as a flag; its value is
/// what serde makes of it: a number, a word, or a list of words.
pub trait Options:
    Flags + Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Whether every option is within its bounds.
    ///
    /// # Errors
    ///
    /// The first that is not.
    fn validate(&self) -> Result<(), OptionsError> {
        Ok(())
    }
}

/// What is fixed of the world, whatever the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct FixedWorld {
    /// Connections, from 1 to 1000000.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connections: Option<u32>,
    /// Steps of a run: a fiber stepped or an operation delivered.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub steps: Option<u64>,
    /// The scheduler: what chooses the next step.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SCHEDULER"))]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scheduler: Option<SchedulerKind>,
    /// The only kinds of fault to inject, separated by commas, or none.
    #[cfg_attr(feature = "cli", arg(long, value_name = "KINDS", value_parser = Kinds::<FaultKind>::parse))]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub faults: Option<Kinds<FaultKind>>,
    /// Threads, from 2 to 16, stopped at any synchronisation operation: one for each connection. In a build by `make race`.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threads: Option<u32>,
}

impl FixedWorld {
    fn validate(&self) -> Result<(), OptionsError> {
        if let Some(connections) = self.connections
            && !(1..=MAX_CONNECTIONS).contains(&connections)
        {
            return Err(OptionsError::new("--connections", connections, "from 1 to 1000000"));
        }
        if let Some(faults) = &self.faults
            && faults.contains(&FaultKind::CrashInRecovery)
            && !faults.iter().any(|kind| matches!(kind, FaultKind::PowerLoss | FaultKind::ProcessKilled))
        {
            let right = "given with power-loss or process-killed, which end a recovery";
            return Err(OptionsError::new("--faults", "crash-in-recovery alone", right));
        }
        self.validate_threads()?;
        match self.steps {
            Some(steps) if !(1..=MAX_STEPS).contains(&steps) => {
                Err(OptionsError::new("--steps", steps, "from 1 to 1000000000000"))
            }
            _ => Ok(()),
        }
    }

    fn validate_threads(&self) -> Result<(), OptionsError> {
        let needs_threads = self.scheduler == Some(SchedulerKind::Urw);
        match self.threads {
            None if needs_threads => Err(OptionsError::new(
                "--scheduler",
                "urw",
                "given with --threads, whose operations it counts",
            )),
            None => Ok(()),
            Some(threads) if !race::IS_BUILT => Err(OptionsError::new(
                "--threads",
                threads,
                "left out in this build; the build by `make race` has threads",
            )),
            Some(threads) if !(2..=race::MAX_THREADS).contains(&threads) => {
                Err(OptionsError::new("--threads", threads, "from 2 to 16"))
            }
            Some(threads) if self.connections.is_some_and(|connections| connections > threads) => {
                Err(OptionsError::new(
                    "--threads",
                    threads,
                    "at least --connections: each connection has a thread",
                ))
            }
            Some(_) => Ok(()),
        }
    }

    /// With threads there are as many connections, unless fewer are fixed.
    pub(crate) fn with_threads(&self) -> FixedWorld {
        let connections = self.connections.or(self.threads);
        FixedWorld { connections, ..self.clone() }
    }
}

/// Everything that is fixed: of the world, and of the system's own options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(bound = "O: Options")]
pub struct Fixed<O: Options> {
    /// Of the world.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub world: FixedWorld,
    /// Of the system.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub own: O,
}

impl<O: Options> Fixed<O> {
    /// Whether every option is within its bounds.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.world.validate()?;
        self.own.validate()
    }

    /// Reads what was written by serde.
    ///
    /// # Errors
    ///
    /// When it is not understood whole: with flattened fields serde passes over those that it does not know, and a run without
    /// an option is another run.
    pub(crate) fn read(value: serde_json::Value) -> Result<Self, String> {
        let fixed: Self = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        let known = serde_json::to_value(&fixed).map_err(|error| error.to_string())?;
        let unknown = value
            .as_object()
            .into_iter()
            .flatten()
            .find(|(name, value)| !value.is_null() && known.get(name.as_str()).is_none());
        match unknown {
            Some((name, _)) => Err(format!("there is no option '{name}'")),
            None => Ok(fixed),
        }
    }

    /// The flags that say the same, each with a space before it.
    pub fn flags(&self) -> String {
        use serde_json::Value;
        let fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            other => panic!("options are a struct of options, and serde makes of them {other:?}"),
        };
        let word = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let flag = |(name, value): (&String, &Value)| {
            let value = match value {
                Value::Null => return None,
                Value::Array(items) if items.is_empty() => "none".to_owned(),
                Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(","),
                single => word(single),
            };
            Some(format!(" --{} {}", name.replace('_', "-"), quoted(&value)))
        };
        fields.iter().filter_map(flag).collect()
    }
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".,:/_+-".contains(letter);
    match value.chars().all(is_plain) && !value.is_empty() {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

/// No options of your own.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct NoOptions {}

impl Options for NoOptions {}

/// An option out of its bounds: what, its value, what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} is {value}: it must be {right}")]
pub struct OptionsError {
    flag: &'static str,
    value: String,
    right: &'static str,
}

impl OptionsError {
    /// The flag, the value that it has, and what it must be.
    pub fn new(flag: &'static str, value: impl std::fmt::Display, right: &'static str) -> OptionsError {
        OptionsError { flag, value: value.to_string(), right }
    }
}

/// Something that has a name on the command line and can be listed: an enum that derives `strum::VariantArray` and
/// `strum::IntoStaticStr`, with names in kebab case.
pub trait Kind: strum::VariantArray + Copy + Into<&'static str> {}

impl<K: strum::VariantArray + Copy + Into<&'static str>> Kind for K {}

/// A list that is given with commas, or as "none".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kinds<K>(pub Vec<K>);

impl<K: Kind> Kinds<K> {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// The name that there is not, and those that there are.
    pub fn parse(text: &str) -> Result<Kinds<K>, String> {
        if text == "none" {
            return Ok(Kinds(Vec::new()));
        }
        let find = |wanted: &str| {
            let names = || K::VARIANTS.iter().map(|&kind| kind.into()).collect::<Vec<_>>().join(",");
            let found = K::VARIANTS.iter().copied().find(|&kind| kind.into() == wanted);
            found.ok_or_else(|| format!("there is no '{wanted}': it must be some of {}", names()))
        };
        text.split(',').map(find).collect::<Result<_, _>>().map(Kinds)
    }
}

impl<K> std::ops::Deref for Kinds<K> {
    type Target = [K];

    fn deref(&self) -> &[K] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broke: every number of threads was accepted, and a build without threads ignored it.
    #[test]
    fn threads_that_cannot_be_are_refused_with_what_would_be_right() {
        let refused = |threads, connections| {
            let world = FixedWorld { threads: Some(threads), connections, ..FixedWorld::default() };
            world.validate().map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        if race::IS_BUILT {
            assert_eq!([2, 16].map(|threads| refused(threads, None)), ["", ""]);
            assert!([1, 17].into_iter().all(|threads| refused(threads, None).contains("from 2 to 16")));
            assert!(refused(2, Some(3)).contains("at least --connections"));
        } else {
            assert!(refused(4, None).contains("`make race`"), "{}", refused(4, None));
        }
    }

    /// Broke: it was accepted, and drew like another scheduler.
    #[test]
    fn scheduler_of_threads_is_refused_without_threads() {
        let world = FixedWorld { scheduler: Some(SchedulerKind::Urw), ..FixedWorld::default() };
        assert!(world.validate().unwrap_err().to_string().contains("--threads"));
    }

    #[test]
    fn values_are_one_word_for_a_shell() {
        assert_eq!(quoted("power-loss,read-error"), "power-loss,read-error");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
