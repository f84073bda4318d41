//! What is counted, small enough to be kept for each seed.

use std::collections::BTreeMap;

/// What a count is of.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// A counter of the system.
    Counter = 1,
    /// A point of `sometimes!`: how often it was reached.
    Point = 2,
    /// A kind of fault: seeds in which it could strike.
    FaultSeeds = 3,
    /// A kind of fault: how often the tape asked for it.
    Requested = 4,
    /// A kind of fault: how often it had its effect.
    Delivered = 5,
    /// A kind of fault: how often an error was told that it accounts for.
    Noticed = 6,
    /// `option=value`: seeds that drew it.
    Option = 7,
}

impl Kind {
    pub(super) fn of(number: u8) -> Option<Kind> {
        let all = [
            Kind::Counter,
            Kind::Point,
            Kind::FaultSeeds,
            Kind::Requested,
            Kind::Delivered,
            Kind::Noticed,
            Kind::Option,
        ];
        all.into_iter().find(|&kind| kind as u8 == number)
    }
}

/// A count by name, before the name has a number.
pub(super) type Named = (Kind, String, u64);

/// Counts by the number of their name. Adding them in any order gives the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(pub(super) BTreeMap<u32, u64>);

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        for (&name, &count) in &other.0 {
            let sum = self.0.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Pairs of LEB128 numbers: the distance to the name before, and the count. Zeros are left out.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 3);
        let mut last = 0;
        for (&name, &count) in self.0.iter().filter(|&(_, &count)| count > 0) {
            put(&mut bytes, u64::from(name - last));
            put(&mut bytes, count);
            last = name;
        }
        bytes
    }

    /// `None` if the bytes are no counts.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Counts> {
        let mut counts = BTreeMap::new();
        let mut last = 0_u32;
        while !bytes.is_empty() {
            last = last.checked_add(u32::try_from(take(&mut bytes)?).ok()?)?;
            // Names are counted from 1.
            if last == 0 {
                return None;
            }
            counts.insert(last, take(&mut bytes)?);
        }
        Some(Counts(counts))
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// An option with its value as it is counted. A job draws thousands of values of one option: a number above 16 becomes its range
/// of powers of two, and the numbers of a value that has more than two of them are left out.
pub(super) fn option(name: &str, value: &str) -> String {
    let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let mut parts: Vec<String> = Vec::new();
    for letter in value.chars() {
        match parts.last_mut() {
            Some(part) if is_number(part) == letter.is_ascii_digit() => part.push(letter),
            _ => parts.push(letter.into()),
        }
    }
    let many = parts.iter().filter(|part| is_number(part)).count() > 2;
    let range = |part: &str| match part.parse::<u64>() {
        _ if many => "#".to_owned(),
        Ok(number @ 0..=16) => number.to_string(),
        Ok(number) => {
            let low = 1_u64 << (63 - number.leading_zeros());
            format!("{low}..{}", low.saturating_mul(2) - 1)
        }
        Err(_) => "#".to_owned(),
    };
    let words = parts.iter().map(|part| if is_number(part) { range(part) } else { part.clone() });
    let value: String = words.collect();
    format!("{name}={}", value.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_as_they_were_kept_and_half_of_them_is_an_error() {
        let counts = Counts(BTreeMap::from([(1, 7), (2, 1), (900, u64::MAX), (70_000, 300)]));
        let bytes = counts.encode();
        assert_eq!(Counts::decode(&bytes), Some(counts));
        assert_eq!(Counts::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Counts::decode(&[0, 1]), None);
    }

    #[test]
    fn values_of_an_option_are_few_however_many_seeds_draw_it() {
        assert_eq!(option("steps", "12"), "steps=12");
        assert_eq!(option("steps", "3000"), "steps=2048..4095");
        assert_eq!(option("scheduler", "pct with d = 5"), "scheduler=pct with d = 5");
        assert_eq!(option("delay", "up to 300 ticks, 5% at once"), "delay=up to 256..511 ticks, 5% at once");
        assert_eq!(option("mix", "a=1 b=2 c=3"), "mix=a=# b=# c=#");
        assert_eq!(option("size", "99999999999999999999999"), "size=#");
    }
}
