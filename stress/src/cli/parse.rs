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

/// A duration above zero, with its units.
///
/// # Errors
///
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero());
    parsed.ok_or_else(|| "it must be whole numbers above 0 with their units: 500ms, 30s, 5m, 1h30m".into())
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
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["30", "0s", "s", "-3s", "1.5m", "1e400s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
