//! The report for people.

use std::io::{self, Write};

use super::{Figure, Judged, Report, RowReport};
use crate::goal::{Quantity, Verdict};
use crate::warning::Warning;

/// Where and with what, and how to read the rest.
pub(crate) fn header(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let host = &report.host;
    writeln!(out, "machine   {}, {} cores", host.cpu, host.cores)?;
    writeln!(out, "compiler  {}", host.rustc)?;
    writeln!(out, "commit    {}", host.commit)?;
    writeln!(out, "peers     {}", host.peers)?;
    writeln!(
        out,
        "method    median of {} repetitions of {} ms, contenders alternating; ratios are taken round by round,",
        report.repetitions, report.milliseconds_per_repetition
    )?;
    writeln!(
        out,
        "          in brackets the interval that holds the true median with 95 %; one allocator counts for all"
    )
}

/// A row and its goals.
pub(crate) fn row(out: &mut impl Write, row: &RowReport) -> io::Result<()> {
    let width = row.contenders.iter().map(|figure| figure.contender.len()).max().unwrap_or(0).max(36);
    writeln!(out, "\n{}: {}", row.name, row.about)?;
    writeln!(
        out,
        "  {:width$}  {:>12}  {:>8}  {:17}  {:>8}  {:>8}",
        "",
        row.unit.split(" per ").next().unwrap_or(""),
        "ratio",
        "",
        "allocs",
        "bytes",
    )?;
    for figure in &row.contenders {
        self::figure(out, row, figure, width)?;
    }
    row.goals.iter().try_for_each(|goal| self::goal(out, goal))
}

fn figure(out: &mut impl Write, row: &RowReport, figure: &Figure, width: usize) -> io::Result<()> {
    let ratio = &figure.ratio;
    let latency = figure.latency.as_ref().map(|latency| {
        let [p50, p99, p999] =
            [latency.p50, latency.p99, latency.p999].map(|nanos| number(nanos as f64 / 1e3));
        format!("p50/p99/p99.9 {p50}/{p99}/{p999} us")
    });
    let marks: Vec<_> = latency.into_iter().chain(figure.warnings.iter().map(Warning::mark)).collect();
    let marks = marks.join(", ");
    let is_baseline = figure.contender == row.baseline;
    let interval =
        if is_baseline { "baseline".to_owned() } else { format!("[{:.2}, {:.2}]", ratio.low, ratio.high) };
    writeln!(
        out,
        "{}",
        format!(
            "  {:width$}  {:>12}  {:>7.2}x  {:17}  {:>8}  {:>8}  {marks}",
            figure.contender,
            number(figure.median),
            ratio.median,
            interval,
            number(figure.allocations),
            number(figure.bytes),
        )
        .trim_end()
    )
}

fn goal(out: &mut impl Write, judged: &Judged) -> io::Result<()> {
    writeln!(out, "    {:10} {}", judged.verdict.word(), describe(judged))
}

/// The goal and the figure in words.
fn describe(judged: &Judged) -> String {
    let (goal, measured) = (&judged.goal, &judged.measured);
    let most = goal.at_most;
    match goal.quantity {
        Quantity::Ratio { against } => format!(
            "{} <= {most}x {against}: {:.2}x [{:.2}, {:.2}]",
            goal.contender, measured.median, measured.low, measured.high
        ),
        Quantity::Allocations => {
            format!("{} <= {most} allocations: {}", goal.contender, number(measured.median))
        }
        Quantity::Bytes => format!("{} <= {most} bytes: {}", goal.contender, number(measured.median)),
    }
}

/// How many goals were met, which were not, and what to doubt.
pub(crate) fn summary(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let count = |verdict| report.count(verdict);
    writeln!(
        out,
        "\ngoals: {} met, {} missed, {} unresolved (the interval spans the goal)",
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::Unresolved)
    )?;
    for row in &report.rows {
        for judged in row.goals.iter().filter(|judged| judged.verdict != Verdict::Met) {
            writeln!(out, "  {:10} {}: {}", judged.verdict.word(), row.name, describe(judged))?;
        }
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let figures = report.rows.iter().flat_map(|row| &row.contenders);
    let mut kinds: Vec<(std::mem::Discriminant<Warning>, &Warning, usize)> = Vec::new();
    for warning in figures.flat_map(|figure| &figure.warnings) {
        let kind = std::mem::discriminant(warning);
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((.., count)) => *count += 1,
            None => kinds.push((kind, warning, 1)),
        }
    }
    kinds.iter().try_for_each(|(_, warning, count)| writeln!(out, "warning: {count} figures are {warning}"))
}

/// Three significant places at least, thousands set apart, no trailing zeros for whole numbers.
pub(super) fn number(value: f64) -> String {
    let rounded = value.round();
    if value >= 99.95 {
        return thousands(rounded as u64);
    }
    if (value - rounded).abs() < 0.005 {
        return format!("{rounded:.0}");
    }
    if value >= 9.995 { format!("{value:.1}") } else { format!("{value:.2}") }
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (2.136, "2.14"),
            (33.27, "33.3"),
            (99.96, "100"),
            (520.4, "520"),
            (199_278.0, "199,278"),
            (1_000_000.0, "1,000,000"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
