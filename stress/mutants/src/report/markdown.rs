//! The table in the repository.

use std::fmt::Write;

use super::Report;

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a string takes everything");
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let found = report.rows.iter().filter(|row| row.is_found()).count();
    writeln!(out, "# What the detectors find\n")?;
    writeln!(
        out,
        "{found} of {} mutants are found. Commit {}, {}.\n",
        report.rows.len(),
        report.commit,
        report.machine
    )?;
    writeln!(
        out,
        "Each row is a patch in this folder that breaks the code in one known way; its header says why that is a bug. Each \
         column is a detector with its budget, each cell what it cost to find the mutant: a number, seconds where it counts \
         nothing, `hangs` where it did not end, `missed`, or nothing where it can't reach. {} `make mutants` makes this \
         table.\n",
        super::LEGEND
    )?;
    write!(out, "| mutant | breaks | from |")?;
    report.detectors.iter().try_for_each(|detector| write!(out, " {detector} |"))?;
    write!(out, "\n|---|---|---|")?;
    report.detectors.iter().try_for_each(|_| write!(out, "---|"))?;
    writeln!(out)?;
    for row in &report.rows {
        write!(out, "| {} | {} | {} |", row.id, row.breaks, row.source)?;
        for detector in &report.detectors {
            write!(out, " {} |", row.figures.get(detector).map_or(String::new(), super::Figure::text))?;
        }
        writeln!(out)?;
    }
    write!(out, "| **found** | | |")?;
    for detector in &report.detectors {
        let (found, all) = report.score(*detector);
        write!(out, " **{found} of {all}** |")?;
    }
    writeln!(
        out,
        "\n\n## The clean code\n\nThe same budgets without a patch. Every alarm here would be a false one.\n"
    )?;
    writeln!(out, "| detector | runs | in all | alarms |\n|---|---|---|---|")?;
    for figure in &report.clean {
        let unit = figure.detector.unit();
        writeln!(
            out,
            "| {} | {} | {} {unit} | {} |",
            figure.detector,
            figure.runs,
            figure.executions_in_all,
            figure.alarms()
        )?;
    }
    let objections = report.objections();
    if !objections.is_empty() {
        writeln!(out, "\n## Gates that are shut\n")?;
        objections.iter().try_for_each(|objection| writeln!(out, "- {objection}"))?;
    }
    Ok(())
}
