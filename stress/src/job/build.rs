//! Which program runs, and on what machine.

use xxhash_rust::xxh3::xxh3_64;

/// The version of the tester and the hash of the program's bytes: another build gives a seed another meaning.
pub(super) fn name() -> String {
    let bytes = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), xxh3_64(&bytes))
}

/// The host's name, its kernel and its number of cores.
pub(super) fn machine() -> String {
    let uname = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (host, kernel) = (part(uname.nodename()), part(uname.release()));
    format!("{host}, {} {kernel}, {}, {cores} cores", part(uname.sysname()), part(uname.machine()))
}

/// Nanoseconds since 1970.
#[expect(clippy::disallowed_types, reason = "it only tells which sitting is the newest; no run sees it")]
pub(super) fn now_nanos() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds since 1970.
#[expect(clippy::disallowed_types, reason = "a person asks when; no run sees it")]
pub(super) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// A moment as a person reads it, in UTC.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) =
        (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_868_799), "2000-02-29 23:59:59 UTC");
        assert_eq!(date(1_795_876_384), "2026-11-28 14:33:04 UTC");
    }
}
