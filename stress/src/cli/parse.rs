//! Values of flags.

use std::time::Duration;

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

/// A duration: a number and its unit.
///
/// # Errors
///
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let right = || "it must be a number above 0 and a unit: 500ms, 30s, 5m, 8h".to_owned();
    let unit = text.find(|digit: char| !digit.is_ascii_digit() && digit != '.').ok_or_else(right)?;
    let (number, unit) = text.split_at(unit);
    let number: f64 = number.parse().map_err(|_| right())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(right()),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero()).ok_or_else(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(seed("42"), Ok(42));
        assert_eq!(seed("0xffff_ffff_ffff_ffff"), Ok(u64::MAX));
        assert!(seed("0x").is_err() && seed("-1").is_err() && seed("abc").is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["30", "0s", "s", "-3s", "3 days", "1e400s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
