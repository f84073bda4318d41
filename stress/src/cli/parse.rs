//! Values of flags.

use std::time::Duration;

use crate::real::noise::NoiseKind;

/// A seed: decimal, or hexadecimal after `0x`.
///
/// # Errors
///
/// What would be right.
pub fn seed(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| "it must be a number below 2^64, decimal or hexadecimal after 0x".into())
}

/// A number of steps above zero; `k`, `M` or `G` behind it stands for thousands, millions or billions.
///
/// # Errors
///
/// What would be right.
pub fn steps(text: &str) -> Result<u64, String> {
    let units = [('k', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)];
    let parts = units.into_iter().find_map(|(unit, of)| Some((text.strip_suffix(unit)?, of)));
    let (number, unit) = parts.unwrap_or((text, 1));
    let is_number =
        number.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let number: Option<u64> = number.replace('_', "").parse().ok().filter(|_| is_number);
    let steps = number.and_then(|number| number.checked_mul(unit)).filter(|steps| *steps > 0);
    steps.ok_or_else(|| {
        "it must be a number above 0, with k, M or G behind it or not: 24000000, 24M, 500k".into()
    })
}

/// A duration above zero, with its units.
///
/// # Errors
///
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero());
    parsed.ok_or_else(|| "it must be a number above 0 and a unit, or several: 500ms, 30s, 5m, 1h30m".into())
}

/// A list: `all`, `none`, or names with commas, each the name of one of `known`. `what` says what they are, in the singular.
///
/// # Errors
///
/// In one line, which name is wrong and which ones there are.
pub fn names<K: Copy>(
    text: &str,
    what: &str,
    known: &[K],
    name_of: impl Fn(K) -> String,
) -> Result<Vec<K>, String> {
    let one = |name: &str| {
        known.iter().copied().find(|kind| name_of(*kind) == name).ok_or_else(|| {
            let names: Vec<String> = known.iter().map(|kind| name_of(*kind)).collect();
            format!("there is no {what} '{name}' here: it must be one of {}", names.join(", "))
        })
    };
    match text {
        "all" => Ok(known.to_vec()),
        "none" => Ok(Vec::new()),
        names => names.split(',').map(one).collect(),
    }
}

/// Kinds of kernel noise, each one of `known`.
///
/// # Errors
///
/// In one line, which name is wrong and which ones there are.
pub fn noise(text: &str, known: &[NoiseKind]) -> Result<Vec<NoiseKind>, String> {
    let kinds = names(text, "noise", known, |kind| kind.to_string());
    kinds.map_err(|problem| format!("--noise {text}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed_and_only_where_they_are_known() {
        for kind in NoiseKind::ALL {
            assert_eq!(noise(kind.name(), &NoiseKind::ALL), Ok(vec![kind]));
        }
        assert_eq!(noise("all", &NoiseKind::WITHIN), Ok(NoiseKind::WITHIN.to_vec()));
        assert_eq!(noise("none", &NoiseKind::WITHIN), Ok(Vec::new()));
        let refused = noise("signals,stops", &NoiseKind::WITHIN).unwrap_err();
        assert!(refused.contains("'stops'") && refused.contains("signals, ended-threads"), "{refused}");
    }

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(seed("42"), Ok(42));
        assert_eq!(seed("0xffff_ffff_ffff_ffff"), Ok(u64::MAX));
        assert!(seed("0x").is_err() && seed("-1").is_err() && seed("abc").is_err());
    }

    #[test]
    fn steps_may_have_a_unit() {
        assert_eq!(steps("24000000"), Ok(24_000_000));
        assert_eq!(steps("24_000k"), Ok(24_000_000));
        assert_eq!(steps("24M"), Ok(24_000_000));
        assert_eq!(steps("2G"), Ok(2_000_000_000));
        for wrong in
            ["", "0", "0M", "M", "-1", "+5", "_5", "5_k", "1__0", "1.5M", "24m", "24 M", "99999999999G"]
        {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["30", "0s", "s", "-3s", "1e400s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
