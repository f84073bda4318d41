//! The report as Markdown, for `RESULTS.md`.

use std::io::{self, Write};

use super::table::number;
use super::{Figure, Report, RowReport};

/// The machine, the commit, and one table with a line for each contender.
pub(crate) fn markdown(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let host = &report.host;
    writeln!(
        out,
        "{}, {} cores. {}. Commit {}. {}.",
        host.cpu, host.cores, host.rustc, host.commit, host.peers
    )?;
    writeln!(
        out,
        "Medians of {} repetitions of {} ms; ratios round by round, with their 95 % interval.\n",
        report.repetitions, report.milliseconds_per_repetition
    )?;
    writeln!(out, "| work | contender | median | unit | ratio | interval | allocations | bytes |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for row in &report.rows {
        row.contenders.iter().try_for_each(|figure| line(out, row, figure))?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "\nWarning: {warning}"))
}

fn line(out: &mut impl Write, row: &RowReport, figure: &Figure) -> io::Result<()> {
    let ratio = &figure.ratio;
    let (ratio, interval) = match figure.contender == row.baseline {
        true => ("1".into(), "baseline".into()),
        false => (format!("{:.2}", ratio.median), format!("[{:.2}, {:.2}]", ratio.low, ratio.high)),
    };
    writeln!(
        out,
        "| {} | {} | {} | {} | {ratio} | {interval} | {} | {} |",
        row.name,
        figure.contender,
        number(figure.median),
        row.unit,
        number(figure.allocations),
        number(figure.bytes)
    )
}
