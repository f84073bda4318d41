//! The same table with colours, evidence and bugs under the pointer. One file, nothing from outside.

use std::fmt::Write;

use super::{Figure, Report};

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:110em;padding:0 1em;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{padding:.3em .6em;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}\
thead th{position:sticky;top:0;background:#fff;border-bottom:2px solid #888}td.found{background:#d9f2dd}td.part{background:#fff3c9}\
td.missed{background:#f6d5d5}td.out{background:#f6f6f6}code{font-size:.93em}.small{color:#666;font-size:.88em}\
@media(prefers-color-scheme:dark){body,thead th{background:#181a1c;color:#ddd}td.found{background:#1f4a2a}td.part{background:#57471a}\
td.missed{background:#5a2424}td.out{background:#222}th,td{border-color:#444}.small{color:#aaa}}";

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a string takes everything");
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let found = report.rows.iter().filter(|row| row.is_found()).count();
    write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
    )?;
    write!(out, "<title>Tenterhook: what the detectors find</title><style>{STYLE}</style>")?;
    write!(out, "<h1>What the detectors find</h1><p>{found} of {} mutants are found. ", report.rows.len())?;
    writeln!(out, "Commit <code>{}</code>, {}.</p>", escape(&report.commit), escape(&report.machine))?;
    write!(out, "<p class=small>{} ", code_in(&escape(super::LEGEND)))?;
    writeln!(
        out,
        "Point at a cell for the evidence, at a mutant for the bug.</p><table><thead><tr><th>mutant"
    )?;
    report.detectors.iter().try_for_each(|detector| write!(out, "<th>{detector}"))?;
    writeln!(out, "</thead><tbody>")?;
    for row in &report.rows {
        write!(out, "<tr><td title=\"{}\"><code>{}</code>", escape(&row.bug), escape(&row.id))?;
        write!(out, "<div class=small>{} ({})</div>", escape(&row.breaks), escape(&row.source))?;
        for detector in &report.detectors {
            cell(out, row.figures.get(detector))?;
        }
        writeln!(out)?;
    }
    write!(out, "<tr><th>found")?;
    for detector in &report.detectors {
        let (found, all) = report.score(*detector);
        write!(out, "<th>{found} of {all}")?;
    }
    writeln!(
        out,
        "</tbody></table><h2>The clean code</h2><table><thead><tr><th>detector<th>runs<th>in all<th>alarms</thead><tbody>"
    )?;
    for figure in &report.clean {
        let class = if figure.found + figure.inconclusive == 0 { "found" } else { "missed" };
        let (detector, unit) = (figure.detector, figure.detector.unit());
        writeln!(
            out,
            "<tr><td>{detector}<td>{}<td>{} {unit}<td class={class} title=\"{}\">{}",
            figure.runs,
            figure.executions_in_all,
            escape(&figure.evidence),
            figure.alarms()
        )?;
    }
    writeln!(out, "</tbody></table></html>")
}

fn cell(out: &mut String, figure: Option<&Figure>) -> std::fmt::Result {
    let Some(figure) = figure else { return write!(out, "<td class=out>") };
    let class = match figure.found {
        0 => "missed",
        found if found < figure.runs => "part",
        _ => "found",
    };
    write!(out, "<td class={class} title=\"{}\">{}", escape(&figure.evidence), escape(&figure.text()))
}

/// What Markdown marks as code, marked for the web.
fn code_in(text: &str) -> String {
    let part =
        |(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { String::from(part) };
    text.split('`').enumerate().map(part).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_markdown_is_code_on_the_web() {
        assert_eq!(
            code_in(&escape("more (`>300`), or `x`")),
            "more (<code>&gt;300</code>), or <code>x</code>"
        );
    }

    #[test]
    fn what_a_panic_says_does_not_become_markup() {
        assert_eq!(escape("a < b && \"c\""), "a &lt; b &amp;&amp; &quot;c&quot;");
    }
}
