//! The report as Markdown, for `RESULTS.md`.

use std::io::{self, Write};

use super::table::describe_growth;
use super::text::number;
use crate::results::{Figure, Report, RowReport, growth_of};

/// The machine, the commit, and one table with a line for each contender.
pub(crate) fn markdown(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let host = &report.host;
    writeln!(
        out,
        "{}, {} cores. {}. Commit {}. {}.",
        host.cpu, host.cores, host.rustc, host.commit, host.peers
    )?;
    if let Some(load) = host.load {
        writeln!(out, "Load {load:.2} at the start.")?;
    }
    writeln!(
        out,
        "Medians of {} repetitions of {} ms; ratios round by round, with their 95 % interval.\n",
        report.repetitions, report.milliseconds_per_repetition
    )?;
    writeln!(out, "| work | contender | ratio | interval | median | unit | allocations | bytes |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for row in &report.rows {
        row.contenders.iter().try_for_each(|figure| line(out, row, figure))?;
    }
    growth(out, report)?;
    for skipped in &report.skipped {
        writeln!(out, "\nSkipped: {}: {}", skipped.row, skipped.reason)?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "\nWarning: {warning}"))
}

/// A second table: how cost grows.
fn growth(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let growths = growth_of(&report.rows);
    if growths.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| series | by | contender | growth |\n|---|---|---|---|")?;
    growths.iter().try_for_each(|growth| {
        let law = describe_growth(growth);
        writeln!(
            out,
            "| {}, {} | {} | {} | {law} |",
            growth.series, growth.unit, growth.axis, growth.contender
        )
    })
}

fn line(out: &mut impl Write, row: &RowReport, figure: &Figure) -> io::Result<()> {
    let ratio = &figure.ratio;
    let (ratio, interval) = match figure.contender == row.baseline {
        true => ("1".into(), "baseline".into()),
        false => (format!("{:.2}", ratio.median), format!("[{:.2}, {:.2}]", ratio.low, ratio.high)),
    };
    writeln!(
        out,
        "| {} | {} | {ratio} | {interval} | {} | {} | {} | {} |",
        row.name,
        figure.contender,
        number(figure.median),
        row.unit,
        number(figure.allocations),
        number(figure.bytes)
    )
}
