//! One HTML page with everything in it: no script, no other file, no network.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::plot;
use super::table::{describe, describe_growth};
use super::text::number;
use crate::goal::Verdict;
use crate::results::{Growth, Report, RowReport, growth_of};

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; border-top: 1px solid #ddd; padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.wide svg { display: block; max-width: 100%; min-width: 40rem; height: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.15rem 0.8rem 0.15rem 0; border-bottom: 1px solid #eee; vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; }
.ours { font-weight: 600; color: #0072b2; }
.met { color: #006b4f; } .missed { color: #a63b00; font-weight: 600; } .unresolved { color: #666; }
@media (max-width: 40rem) {
  .goals tr, .goals td { display: block; border: 0; padding: 0; }
  .goals tr { border-bottom: 1px solid #eee; padding: 0.3rem 0; }
}
nav a { display: inline-block; margin-right: 1rem; }
";

/// Writes the page.
pub(crate) fn page(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let title = "The runtime beside tokio";
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>"
    )?;
    writeln!(out, "{}", setting(report))?;
    let growths = growth_of(&report.rows);
    let mut scenarios: Vec<&str> = Vec::new();
    for row in &report.rows {
        if !scenarios.contains(&row.scenario.as_str()) {
            scenarios.push(&row.scenario);
        }
    }
    let links = scenarios.iter().map(|name| format!("<a href=\"#{0}\">{0}</a>", escape(name)));
    writeln!(out, "<nav>{}</nav>", links.collect::<String>())?;
    if !report.rows.is_empty() {
        writeln!(out, "{}", goals(report))?;
    }
    for scenario in scenarios {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.scenario == scenario).collect();
        writeln!(out, "{}", section(scenario, &rows, &growths))?;
    }
    writeln!(out, "</body></html>")
}

/// Text as HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What the figures belong to, and what to doubt.
fn setting(report: &Report) -> String {
    let host = &report.host;
    let load = host.load.map_or("unknown".into(), |load| format!("{load:.2} at the start"));
    let entries = [
        ("machine", format!("{}, {} cores", host.cpu, host.cores)),
        ("load", load),
        ("compiler", host.rustc.clone()),
        ("commit", host.commit.clone()),
        ("peers", host.peers.clone()),
        (
            "method",
            format!(
                "Medians of {} repetitions of {} ms. Contenders alternate in one process. A ratio is taken round by \
                 round; its interval holds the true median with 95 %. Below 1 is less than the peer.",
                report.repetitions, report.milliseconds_per_repetition
            ),
        ),
    ];
    let mut text = String::from("<dl>");
    for (name, value) in entries {
        let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    text.push_str("</dl>");
    if report.interrupted {
        text.push_str("<p class=\"missed\">The run was interrupted: rows are missing.</p>");
    }
    for warning in &report.warnings {
        let _ = write!(text, "<p class=\"missed\">Warning: {}</p>", escape(&warning.to_string()));
    }
    for skipped in &report.skipped {
        let _ = write!(text, "<p>Skipped: {}: {}</p>", escape(&skipped.row), escape(&skipped.reason));
    }
    text
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Unresolved => "unresolved",
    }
}

/// All goals by their verdicts; only the missed ones are open.
fn goals(report: &Report) -> String {
    let mut text = String::from("<h2>Goals</h2>");
    for (verdict, what) in [
        (Verdict::Missed, "missed"),
        (Verdict::Unresolved, "unresolved: the interval spans the goal"),
        (Verdict::Met, "met"),
    ] {
        let open = if verdict == Verdict::Missed { " open" } else { "" };
        let count = report.count(verdict);
        let _ = write!(text, "<details{open}><summary>{count} {what}</summary><table class=\"goals\">");
        for row in &report.rows {
            for judged in row.goals.iter().filter(|judged| judged.verdict == verdict) {
                let (class, name, words) = (class(verdict), escape(&row.name), escape(&describe(judged)));
                let _ = write!(text, "<tr><td class=\"{class}\">{name}<td>{words}");
            }
        }
        text.push_str("</table></details>");
    }
    text
}

/// One scenario: its ratios, its growth, its percentiles, its figures.
fn section(scenario: &str, rows: &[&RowReport], growths: &[Growth]) -> String {
    let mut text = format!("<h2 id=\"{0}\">{0}</h2>", escape(scenario));
    let _ =
        write!(text, "<h3>Ratios, with their intervals</h3><div class=\"wide\">{}</div>", plot::ratios(rows));
    let mut done: Vec<&str> = Vec::new();
    for place in rows.iter().filter_map(|row| row.place.as_ref()) {
        let series: Vec<_> = growths.iter().filter(|growth| growth.series == place.series).collect();
        if series.is_empty() || done.contains(&place.series.as_str()) {
            continue;
        }
        done.push(&place.series);
        let name = escape(&place.series);
        let _ = write!(text, "<h3>Growth: {name}</h3><div class=\"wide\">{}</div>", plot::growth(&series));
        text.push_str("<div class=\"wide\"><table>");
        for growth in series {
            let name = contender(&growth.contender, growth.ours);
            let _ = write!(text, "<tr><td>{name}<td>{}", escape(&describe_growth(growth)));
        }
        text.push_str("</table></div>");
    }
    for row in rows.iter().filter(|row| row.contenders.iter().any(|figure| figure.latency.is_some())) {
        let name = escape(&row.name);
        let plot = plot::percentiles(row);
        let _ = write!(text, "<h3>Percentiles: {name}</h3><div class=\"wide\">{plot}</div>");
    }
    text + &figures(rows)
}

fn contender(name: &str, ours: bool) -> String {
    let class = if ours { " class=\"ours\"" } else { "" };
    format!("<span{class}>{}</span>", escape(name))
}

/// The figures of a scenario, behind a line that opens them.
fn figures(rows: &[&RowReport]) -> String {
    let mut text = String::from("<details><summary>Figures</summary><div class=\"wide\"><table>");
    for row in rows {
        let _ = write!(
            text,
            "<tr><th colspan=\"6\">{}: {}<tr><th class=\"n\">ratio<th>interval<th class=\"n\">{}<th class=\"n\">allocations\
             <th class=\"n\">bytes<th>contender",
            escape(&row.name),
            escape(&row.about),
            escape(&row.unit)
        );
        for figure in &row.contenders {
            let ratio = &figure.ratio;
            let interval = match figure.contender == row.baseline {
                true => "baseline".to_owned(),
                false => format!("[{:.2}, {:.2}]", ratio.low, ratio.high),
            };
            let _ = write!(
                text,
                "<tr><td class=\"n\">{:.2}<td>{interval}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
                ratio.median,
                number(figure.median),
                number(figure.allocations),
                number(figure.bytes),
                contender(&figure.contender, figure.ours)
            );
        }
        for absent in &row.absent {
            let _ = write!(
                text,
                "<tr><td class=\"n\">absent<td colspan=\"5\">{}: {}",
                escape(&absent.contender),
                escape(&absent.reason)
            );
        }
    }
    text + "</table></div></details>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Latency, sample_report};

    fn written(report: &Report) -> String {
        let mut out = Vec::new();
        page(&mut out, report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_page_needs_nothing_else_and_has_a_plot_of_each_kind() {
        let mut report = sample_report();
        for figure in &mut report.rows[0].contenders {
            let curve = vec![(0.5, 1_000), (0.9, 5_000), (0.99, 20_000)];
            figure.latency = Some(Latency { p50: 1_000, p99: 20_000, p999: 20_000, max: 30_000, curve });
        }
        let page = written(&report);
        assert!(!page.contains("could not be drawn"), "{page}");
        // Ratios, growth and percentiles.
        assert_eq!(page.matches("<svg").count(), 3, "{page}");
        let addresses = page.matches("://").count();
        assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(), "{page}");
        assert!(!page.contains("<script") && !page.contains("<link"), "{page}");
        assert!(page.contains("work &lt;of&gt; two") && !page.contains("<of>"), "{page}");
        assert!(page.contains("it was refused") && page.contains("too big"), "{page}");
    }

    #[test]
    fn a_report_without_rows_is_a_page_too() {
        let mut report = sample_report();
        report.rows.clear();
        report.interrupted = true;
        assert!(written(&report).contains("interrupted"));
    }
}
