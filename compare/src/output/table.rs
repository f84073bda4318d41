//! The report for people: the ratio first, within 100 columns.

use std::io::{self, Write};

use super::text::{number, wrap};
use crate::goal::{Quantity, Verdict};
use crate::results::{Figure, Growth, Judged, Report, RowReport, UNCLEAR};
use crate::warning::Warning;

/// Where and with what, and how to read the rest.
pub(crate) fn header(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let host = &report.host;
    let load = host.load.map_or("unknown".into(), |load| format!("{load:.2}"));
    let method = format!(
        "median of {} repetitions of {} ms, contenders alternating; ratios are taken round by round, in brackets the \
         interval that holds the true median with 95 %; below 1 is less than the peer; one allocator counts for all",
        report.repetitions, report.milliseconds_per_repetition
    );
    let lines = [
        ("machine   ", format!("{}, {} cores, load {load} at the start", host.cpu, host.cores)),
        ("compiler  ", host.rustc.clone()),
        ("commit    ", host.commit.clone()),
        ("peers     ", host.peers.clone()),
        ("method    ", method),
    ];
    lines.iter().try_for_each(|(name, text)| writeln!(out, "{}", wrap(name, 10, text)))
}

/// A row and its goals.
pub(crate) fn row(out: &mut impl Write, row: &RowReport) -> io::Result<()> {
    writeln!(out, "\n{}", wrap("", 2, &format!("{}: {}", row.name, row.about)))?;
    let unit = row.unit.split(" per ").next().unwrap_or("");
    writeln!(out, "{:>9}  {:17}{unit:>12}{:>9}{:>10}  contender", "ratio", "[95 %]", "allocs", "bytes")?;
    row.contenders.iter().try_for_each(|figure| self::figure(out, row, figure))?;
    for absent in &row.absent {
        writeln!(out, "{}", wrap("   absent  ", 11, &format!("{}: {}", absent.contender, absent.reason)))?;
    }
    row.goals.iter().try_for_each(|goal| self::goal(out, goal))
}

fn figure(out: &mut impl Write, row: &RowReport, figure: &Figure) -> io::Result<()> {
    let ratio = &figure.ratio;
    let interval = match figure.contender == row.baseline {
        true => "baseline".to_owned(),
        false => format!("[{:.2}, {:.2}]", ratio.low, ratio.high),
    };
    writeln!(
        out,
        "{:>8.2}x  {interval:17}{:>12}{:>9}{:>10}  {}",
        ratio.median,
        number(figure.median),
        number(figure.allocations),
        number(figure.bytes),
        figure.contender,
    )?;
    let latency = figure.latency.as_ref().map(|latency| {
        let [p50, p99, p999, max] =
            [latency.p50, latency.p99, latency.p999, latency.max].map(|nanos| number(nanos as f64 / 1e3));
        format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max} us")
    });
    let marks: Vec<_> = latency.into_iter().chain(figure.warnings.iter().map(Warning::mark)).collect();
    if marks.is_empty() { Ok(()) } else { writeln!(out, "{}", wrap(&" ".repeat(11), 11, &marks.join(", "))) }
}

fn goal(out: &mut impl Write, judged: &Judged) -> io::Result<()> {
    let word = judged.verdict.word();
    writeln!(out, "{}", wrap(&format!("{word:>9}  "), 11, &describe(judged)))
}

/// The goal and the figure in words.
pub(super) fn describe(judged: &Judged) -> String {
    let (goal, measured) = (&judged.goal, &judged.measured);
    // A goal may be a quotient, like 1/1.8.
    let most = (goal.at_most * 1e3).round() / 1e3;
    match &goal.quantity {
        Quantity::Ratio { against } => format!(
            "{:.2}x [{:.2}, {:.2}]: {} <= {most}x {against}",
            measured.median, measured.low, measured.high, goal.contender
        ),
        Quantity::Allocations => {
            format!("{} allocations: {} <= {most}", number(measured.median), goal.contender)
        }
        Quantity::Bytes => format!("{} bytes: {} <= {most}", number(measured.median), goal.contender),
    }
}

/// How the cost of each contender of each series grows.
pub(crate) fn growth(out: &mut impl Write, growths: &[Growth]) -> io::Result<()> {
    if growths.is_empty() {
        return Ok(());
    }
    let text = "growth: least squares of relative errors over base + slope * law(n); the slowest law that fits about \
                as well as the best; a knee is the size from which on the cost is beyond what smaller sizes foretell";
    writeln!(out, "\n{}", wrap("", 2, text))?;
    let mut series = "";
    for growth in growths {
        if growth.series != series {
            series = &growth.series;
            let least = growth.points.first().map_or(0.0, |point| point.size);
            let most = growth.points.last().map_or(0.0, |point| point.size);
            writeln!(
                out,
                "{series}, {} by {}, {} to {}",
                growth.unit,
                growth.axis,
                number(least),
                number(most)
            )?;
        }
        writeln!(out, "  {:36}{}", growth.contender, describe_growth(growth))?;
    }
    Ok(())
}

/// The law, its error and the knee in words.
pub(super) fn describe_growth(growth: &Growth) -> String {
    let fit = &growth.fit;
    let formula = match (fit.slope, fit.law.term()) {
        (0.0, _) | (_, "") => number(fit.base),
        (slope, term) => format!("{} + {} {term}", number(fit.base), number(slope)),
    };
    let knee = growth.knee.map_or(String::new(), |knee| format!(", knee at {}", number(knee)));
    let error = fit.error * 100.0;
    if fit.error > UNCLEAR {
        return format!("no law fits; {}, the nearest, is off by {error:.0} %{knee}", fit.law.word());
    }
    format!("{:11}{formula}, off by {error:.0} %{knee}", fit.law.word())
}

/// How many goals were met, which were not, what is missing, and what to doubt.
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
            let text = format!("{}: {}", row.name, describe(judged));
            writeln!(out, "{}", wrap(&format!("  {:10} ", judged.verdict.word()), 13, &text))?;
        }
    }
    if !report.skipped.is_empty() {
        writeln!(out, "skipped: {} rows", report.skipped.len())?;
        for skipped in &report.skipped {
            writeln!(out, "{}", wrap("  ", 4, &format!("{}: {}", skipped.row, skipped.reason)))?;
        }
    }
    for warning in &report.warnings {
        writeln!(out, "{}", wrap("warning: ", 9, &warning.to_string()))?;
    }
    for (warning, count) in kinds(report) {
        writeln!(out, "{}", wrap("warning: ", 9, &format!("{count} figures are {warning}")))?;
    }
    Ok(())
}

/// Doubts about figures, each kind once, with how many figures it concerns.
fn kinds(report: &Report) -> Vec<(&Warning, usize)> {
    let figures = report.rows.iter().flat_map(|row| &row.contenders);
    let mut kinds: Vec<(&Warning, usize)> = Vec::new();
    for warning in figures.flat_map(|figure| &figure.warnings) {
        let kind = std::mem::discriminant(warning);
        match kinds.iter_mut().find(|(known, _)| std::mem::discriminant(*known) == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((warning, 1)),
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::super::text::WIDTH;
    use super::*;
    use crate::results::{Latency, growth_of, sample_report};
    use crate::row::Extent;

    /// The report with the longest names that any row has, and figures as long as they get.
    fn longest() -> Report {
        let mut report = sample_report();
        let names: Vec<String> = crate::workloads::ALL
            .iter()
            .flat_map(|workload| (workload.plans)())
            .filter(|plan| plan.extent <= Extent::Full)
            .map(|plan| plan.name)
            .collect();
        let longest = names.iter().max_by_key(|name| name.len()).expect("rows");
        for row in &mut report.rows {
            row.name.clone_from(longest);
            for figure in &mut row.contenders {
                (figure.median, figure.allocations, figure.bytes) = (123_456_789.0, 12_345.0, 12_345_678.0);
                figure.ratio.high = 1234.5;
                let (p50, p99, p999, max) = (123_456, 1_234_567_890, 1_234_567_890, 12_345_678_900);
                figure.latency = Some(Latency { p50, p99, p999, max, curve: Vec::new() });
            }
        }
        report
    }

    #[test]
    fn every_line_fits_a_hundred_columns_and_begins_with_the_ratio() {
        let (report, mut out) = (longest(), Vec::new());
        header(&mut out, &report).unwrap();
        report.rows.iter().for_each(|row| self::row(&mut out, row).unwrap());
        growth(&mut out, &growth_of(&report.rows)).unwrap();
        summary(&mut out, &report).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        }
        let rows = text.split("growth: ").next().unwrap();
        let figures: Vec<_> = rows.lines().filter(|line| line.contains("123,456,789")).collect();
        assert!(!figures.is_empty());
        assert!(
            figures.iter().all(|line| line.split_whitespace().next().is_some_and(|word| word.ends_with('x')))
        );
    }

    #[test]
    fn what_was_skipped_and_who_was_absent_is_named_with_the_reason() {
        let (report, mut out) = (sample_report(), Vec::new());
        row(&mut out, &report.rows[0]).unwrap();
        summary(&mut out, &report).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("absent  absent one: it was refused"), "{text}");
        assert!(text.contains("skipped: 1 rows") && text.contains("big row: too big"), "{text}");
    }
}
