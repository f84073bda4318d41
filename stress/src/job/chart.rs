//! Curves over time, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 10.0;

/// A curve through `points`, of which each is seconds and a value, with its last value in its title.
pub(super) fn curve(title: &str, unit: &str, points: &[(f64, f64)]) -> String {
    let last = points.last().map_or(0.0, |&(_, value)| value);
    let mut text = format!(
        "<div class=\"card\"><b>{title}</b> <span class=\"soft\">now {} {unit}</span>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"100%\" role=\"img\" aria-label=\"{title} over time\">\n",
        short(last)
    );
    let most = round_up(points.iter().map(|&(_, value)| value).fold(0.0, f64::max));
    let end = points.last().map_or(1.0, |&(at, _)| at).max(1e-3);
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / most * (HEIGHT - BOTTOM - TOP);
    for part in 0..=2 {
        let value = most * f64::from(part) / 2.0;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{2:.1}\" y2=\"{2:.1}\"/><text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\">{1}</text>",
            WIDTH - RIGHT,
            short(value),
            y(value),
            LEFT - 5.0,
            y(value) + 4.0
        );
    }
    for (at, anchor) in [(0.0, "start"), (end, "end")] {
        let (place, low) = (x(at), HEIGHT - 6.0);
        let _ =
            writeln!(text, "<text x=\"{place:.1}\" y=\"{low}\" text-anchor=\"{anchor}\">{}</text>", time(at));
    }
    let path: Vec<String> =
        points.iter().map(|&(at, value)| format!("{:.1},{:.1}", x(at), y(value))).collect();
    if let [first, .., last] = path.as_slice() {
        let (from, to) = (first.split(',').next().unwrap_or(""), last.split(',').next().unwrap_or(""));
        let (path, low) = (path.join(" "), y(0.0));
        let _ = writeln!(text, "<polygon class=\"area\" points=\"{from},{low:.1} {path} {to},{low:.1}\"/>");
        let _ = writeln!(text, "<polyline class=\"curve\" points=\"{path}\"/>");
    } else {
        let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"70\">too short to draw</text>");
    }
    text + "</svg></div>\n"
}

/// The next number of 1, 2 or 5 and zeros.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|&step| step >= value).unwrap_or(value)
}

/// A number in at most five letters.
pub(super) fn short(value: f64) -> String {
    let scaled = |divisor: f64, unit: &str| {
        let value = value / divisor;
        if value < 10.0 && value.fract() > 0.04 {
            format!("{value:.1}{unit}")
        } else {
            format!("{value:.0}{unit}")
        }
    };
    match value {
        value if value >= 1e9 => scaled(1e9, "G"),
        value if value >= 1e6 => scaled(1e6, "M"),
        value if value >= 1e4 => scaled(1e3, "k"),
        _ => scaled(1.0, ""),
    }
}

/// Seconds as a person reads them.
pub(super) fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=119 => format!("{seconds:.0} s"),
        120..=7_199 => format!("{} min", whole / 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(
            [0.0, 9.5, 950.0, 12_000.0, 3.2e6, 7e10].map(short),
            ["0", "9.5", "950", "12k", "3.2M", "70G"]
        );
        assert_eq!([3.0, 600.0, 29_100.0].map(time), ["3 s", "10 min", "8 h 05 min"]);
        assert_eq!([0.3, 3.0, 7.0, 1_000.0, 0.0].map(round_up), [0.5, 5.0, 10.0, 1_000.0, 1.0]);
    }

    #[test]
    fn a_curve_of_no_points_is_a_picture_too() {
        assert!(curve("x", "y", &[]).contains("too short"));
        assert!(curve("x", "y", &[(0.0, 1.0), (2.0, 3.0)]).contains("<polyline"));
    }
}
