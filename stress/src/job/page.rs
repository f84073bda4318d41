//! The report of a job as one HTML file.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::catalogue::Cause;
use super::chart::{curve, short, time};
use super::totals::{Canary, Drawn, Whole, read};
use super::{JobError, build, folder};
use crate::report::page::{self, escaped};
use crate::subject::Subject;

/// Values of options that are listed.
const OPTIONS: usize = 16;
/// Seeds that must have drawn a value before it says anything.
const ENOUGH: u64 = 8;

/// The report of the job in `folder` as a page that needs no network.
///
/// # Errors
///
/// When there is no job of `S` that can be read.
pub fn page<S: Subject>(folder: &Path) -> Result<String, JobError> {
    let whole = read::<S>(folder)?;
    let mut body = format!("<h1>Job of {}</h1>\n", escaped(S::NAME));
    head(&whole, &mut body);
    failures(folder, &whole.causes, &mut body);
    charts(&whole, &mut body);
    correlation(&whole.drawn, &mut body);
    coverage(&whole, &mut body);
    Ok(page::page(&format!("{}: {}", S::NAME, whole.verdict().0), &body))
}

fn head<S: Subject>(whole: &Whole<S>, body: &mut String) {
    let totals = &whole.summary.totals;
    let seeds = totals.seeds;
    let (open, said) = (whole.open().count(), whole.verdict().0);
    let (class, advice) = match (open, &whole.summary.internal, seeds) {
        (1.., ..) => ("bad", "Each cause below has the command that repeats it.".to_owned()),
        (0, Some(_), _) => ("warn", "Mend the tester first: what it does not find says nothing.".into()),
        (0, None, 0) => ("warn", "There is no seed in the database.".into()),
        (0, None, _) if whole.newest.rate().is_some() => {
            let rate = format!("1 in {}", short(whole.newest.seeds as f64 / 3.0));
            (
                "good",
                format!(
                    "Residual risk: with 95 % fewer than {rate} seeds fail (3/n), for what these seeds test: see the coverage below."
                ),
            )
        }
        (0, None, _) => (
            "good",
            "No cause is open. The newest build has not run enough seeds to tell a rate of failures.".into(),
        ),
    };
    let _ =
        writeln!(body, "<div class=\"verdict {class}\"><b>{}</b>{}</div>", escaped(&said), escaped(&advice));
    if whole.canary != (Canary::Lost { seeds: 0 }) {
        let class = if matches!(whole.canary, Canary::Found { .. }) { "soft" } else { "never" };
        let _ = writeln!(
            body,
            "<p class=\"{class}\">Canary, a bug of ours that the job must find: {}.</p>",
            whole.told_canary()
        );
    }
    for warning in &whole.summary.warnings {
        let _ = writeln!(body, "<div class=\"verdict warn\">{}</div>", escaped(warning));
    }
    let elapsed = whole.summary.elapsed.as_secs_f64();
    let reached = totals.reached.values().filter(|&&count| count > 0).count();
    // A merged job has no samples of it.
    let memory = whole.samples.last().map(|sample| format!("{:.0} MiB", sample.resident_kib as f64 / 1024.0));
    let figures = [
        ("seeds", grouped(seeds)),
        ("steps", short(totals.steps as f64)),
        ("time worked", time(elapsed)),
        ("seeds/s", short(seeds as f64 / elapsed.max(1e-3))),
        ("failing seeds", grouped(whole.failing_seeds)),
        ("causes open / all", format!("{open} / {}", whole.causes.len())),
        ("points reached", format!("{reached} / {}", totals.reached.len())),
        ("crashes", grouped(totals.crashes)),
        ("memory", memory.unwrap_or_default()),
        ("sittings", whole.sittings.to_string()),
    ];
    let known = figures.iter().filter(|(_, value)| !value.is_empty());
    let cells: String = known
        .map(|(name, value)| {
            format!("<div class=\"figure\"><span class=\"soft\">{name}</span><b>{value}</b></div>")
        })
        .collect();
    let _ = writeln!(body, "<div class=\"figures\">{cells}</div>");
}

fn failures(job: &Path, causes: &[Cause], body: &mut String) {
    let _ = writeln!(body, "<h2>Failures, one a cause</h2>");
    if causes.is_empty() {
        body.push_str("<p class=\"soft\">None.</p>\n");
    }
    for (index, cause) in causes.iter().enumerate() {
        let state: &'static str = cause.state.into();
        let open = if index == 0 { " open" } else { "" };
        let _ = writeln!(
            body,
            "<details class=\"card\"{open}><summary><span class=\"badge {state}\">{state}</span><b>{}</b> <span class=\"soft\">{}</span><br>{}</summary>",
            escaped(&cause.signature),
            seeds(cause.count),
            escaped(&cause.what())
        );
        let seen = |at: u64, build: &str| format!("{}, build {}", build::date(at), escaped(build));
        let mut facts = vec![
            ("expected", escaped(&cause.expected)),
            ("seen", escaped(&cause.seen)),
            ("last operations", escaped(&cause.operations)),
            ("first seen", seen(cause.first_seen, &cause.first_build)),
            ("last seen", seen(cause.last_seen, &cause.last_build)),
            ("smallest run", cause.size()),
            ("folder", escaped(&cause.folder())),
        ];
        if let Some((build, at)) = &cause.looked {
            facts.push(("looked at", seen(*at, build)));
        }
        facts.retain(|(_, value)| !value.is_empty());
        let facts: String =
            facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>")).collect();
        let _ = writeln!(body, "<dl>{facts}</dl>\n<pre>{}</pre>", escaped(&cause.command));
        let run = std::fs::read_to_string(folder::of(job, &cause.signature).join("lanes.json")).ok();
        if let Some(run) = run.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            let _ = writeln!(body, "<h3>The smallest run</h3>\n{}", page::lanes(&run));
        }
        let options = cause
            .options
            .iter()
            .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value)));
        let _ = writeln!(
            body,
            "<details><summary class=\"soft\">what the seed drew</summary><dl>{}</dl></details>\n</details>",
            options.collect::<String>()
        );
    }
}

fn charts<S: Subject>(whole: &Whole<S>, body: &mut String) {
    let samples = &whole.samples;
    if samples.is_empty() {
        body.push_str("<h2>Over time</h2>\n<p class=\"soft\">A merged job has no course over time: its parts have.</p>\n");
        return;
    }
    let rate = samples.windows(2).map(|pair| {
        let time = (pair[1].at - pair[0].at).max(1e-3);
        (pair[1].at, pair[1].seeds.saturating_sub(pair[0].seeds) as f64 / time)
    });
    let steps = samples.windows(2).map(|pair| {
        let time = (pair[1].at - pair[0].at).max(1e-3);
        (pair[1].at, pair[1].steps.saturating_sub(pair[0].steps) as f64 / time)
    });
    let over = |value: &dyn Fn(&super::totals::Sample) -> f64| -> Vec<(f64, f64)> {
        samples.iter().map(|sample| (sample.at, value(sample))).collect()
    };
    let charts = [
        curve("Seeds a second", "seeds/s", &rate.collect::<Vec<_>>()),
        curve("Steps a second", "steps/s", &steps.collect::<Vec<_>>()),
        curve("Memory", "MiB", &over(&|sample| sample.resident_kib as f64 / 1024.0)),
        curve("Points reached", "points", &over(&|sample| sample.points as f64)),
        curve("Kinds of fault delivered", "kinds", &over(&|sample| sample.fault_kinds as f64)),
        curve("Failing seeds", "seeds", &over(&|sample| sample.failures as f64)),
    ];
    let _ = writeln!(body, "<h2>Over time</h2>\n<div class=\"charts\">{}</div>", charts.concat());
}

/// Which options failing seeds drew more often than others.
fn correlation(drawn: &[Drawn], body: &mut String) {
    let rates = lifts(drawn);
    if rates.is_empty() {
        return;
    }
    let _ = writeln!(
        body,
        "<h2>Options against failures</h2>\n<p class=\"soft\">How often a seed failed that drew the value, beside seeds that did not. The further apart, the more the value has to do with it. Numbers are ranges of powers of two.</p>\n<div class=\"scroll\"><table><tr><th>option</th><th class=\"right\">seeds</th><th class=\"right\">failed</th><th>rate with it</th><th>rate without it</th></tr>"
    );
    for (drawn, with, without) in rates.iter().take(OPTIONS) {
        let bar = |rate: f64, class: &str| {
            format!(
                "<span class=\"bar {class}\" style=\"width:{:.0}px\"></span> {:.2} %",
                rate * 110.0,
                rate * 100.0
            )
        };
        let (name, value) = drawn.option.split_once('=').unwrap_or((&drawn.option, ""));
        let _ = writeln!(
            body,
            "<tr><td>{} = <b>{}</b></td><td class=\"right\">{}</td><td class=\"right\">{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            escaped(value),
            grouped(drawn.seeds),
            grouped(drawn.failed),
            bar(*with, if with > without { "red" } else { "" }),
            bar(*without, "")
        );
    }
    body.push_str("</table></div>\n");
}

/// Values with the rates of failure with and without them, those first whose difference is least likely to be chance.
fn lifts(drawn: &[Drawn]) -> Vec<(&Drawn, f64, f64)> {
    // All seeds draw each option once: the values of one option add up to all.
    let mut all: std::collections::BTreeMap<&str, (u64, u64)> = std::collections::BTreeMap::new();
    for value in drawn {
        let sum = all.entry(value.option.split('=').next().unwrap_or_default()).or_default();
        *sum = (sum.0 + value.seeds, sum.1 + value.failed);
    }
    let mut rates: Vec<(f64, (&Drawn, f64, f64))> = Vec::new();
    for value in drawn {
        let (seeds, failed) = all[value.option.split('=').next().unwrap_or_default()];
        let (others, others_failed) = (seeds - value.seeds, failed.saturating_sub(value.failed));
        if value.seeds < ENOUGH || others < ENOUGH || failed == 0 {
            continue;
        }
        let (with, without) =
            (value.failed as f64 / value.seeds as f64, others_failed as f64 / others as f64);
        let mean = failed as f64 / seeds as f64;
        let spread =
            (mean * (1.0 - mean) * (1.0 / value.seeds as f64 + 1.0 / others as f64)).sqrt().max(1e-9);
        let surprise = (with - without).abs() / spread;
        // Three standard deviations.
        if surprise >= 3.0 {
            rates.push((surprise, (value, with, without)));
        }
    }
    rates.sort_by(|one, other| other.0.total_cmp(&one.0));
    rates.into_iter().map(|(_, rate)| rate).collect()
}

fn coverage<S: Subject>(whole: &Whole<S>, body: &mut String) {
    let totals = &whole.summary.totals;
    let most = totals.faults.iter().map(|fault| fault.delivered).max().unwrap_or(0).max(1) as f64;
    let _ = writeln!(
        body,
        "<h2>Coverage</h2>\n<h3>Faults</h3>\n<p class=\"soft\">Delivered: it had its effect. Noticed: errors of the system that it may account for; one fault may account for many.</p>\n<div class=\"scroll\"><table><tr><th>kind</th><th class=\"right\">seeds</th><th class=\"right wide\">requested</th><th class=\"right\">delivered</th><th class=\"right wide\">noticed</th><th class=\"wide\">delivered, log scale</th></tr>"
    );
    for fault in totals.faults.iter().filter(|fault| fault.seeds > 0 || fault.requested > 0) {
        let class = if fault.delivered == 0 { " class=\"never\"" } else { "" };
        let width = (fault.delivered as f64 + 1.0).ln() / (most + 1.0).ln() * 140.0;
        let _ = writeln!(
            body,
            "<tr{class}><td>{}</td><td class=\"right\">{}</td><td class=\"right wide\">{}</td><td class=\"right\">{}</td><td class=\"right wide\">{}</td><td class=\"wide\"><span class=\"bar\" style=\"width:{width:.0}px\"></span></td></tr>",
            fault.kind.name(),
            grouped(fault.seeds),
            grouped(fault.requested),
            grouped(fault.delivered),
            grouped(fault.noticed),
        );
    }
    body.push_str("</table></div>\n<h3>Points</h3>\n<div class=\"scroll\"><table><tr><th>what a good job sees now and then</th><th class=\"right\">times</th></tr>\n");
    let mut points: Vec<_> = totals.reached.iter().collect();
    points.sort_by_key(|&(name, &count)| (count, name.clone()));
    for (name, &count) in points {
        let (class, times) =
            if count == 0 { (" class=\"never\"", "never".to_owned()) } else { ("", grouped(count)) };
        let _ = writeln!(body, "<tr{class}><td>{}</td><td class=\"right\">{times}</td></tr>", escaped(name));
    }
    body.push_str("</table></div>\n<h3>Operations and other counts</h3>\n<div class=\"scroll\"><table>\n");
    for (mode, totals) in &whole.totals_by_mode {
        for (name, value) in &totals.counters {
            let _ = writeln!(
                body,
                "<tr><td class=\"soft\">{}</td><td>{}</td><td class=\"right\">{}</td></tr>",
                mode.name(),
                escaped(name),
                grouped(*value)
            );
        }
    }
    let lists = |names: &[String]| escaped(&names.join("; "));
    let _ = writeln!(
        body,
        "</table></div>\n<h3>Where it ran</h3>\n<dl><dt>first seed</dt><dd class=\"mono\">{:#x}</dd><dt>trace hash</dt><dd class=\"mono\">{:#018x}</dd><dt>builds</dt><dd class=\"mono\">{}</dd><dt>machines</dt><dd>{}</dd><dt>fixed</dt><dd class=\"mono\">{}</dd></dl>",
        whole.summary.first_seed,
        totals.trace_digest,
        lists(&whole.builds),
        lists(&whole.machines),
        escaped(match whole.options.fixed.flags().trim() {
            "" => "nothing; the seed draws everything",
            flags => flags,
        }),
    );
}

fn seeds(count: u64) -> String {
    if count == 1 { "1 seed".into() } else { format!("{} seeds", grouped(count)) }
}

fn grouped(number: u64) -> String {
    crate::report::grouped(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_fails_more_often_is_first_and_one_that_does_not_is_left_out() {
        let drawn = |option: &str, seeds, failed| Drawn { option: option.into(), seeds, failed };
        let all = [
            drawn("cache=1", 500, 90),
            drawn("cache=2", 500, 10),
            drawn("color=red", 500, 52),
            drawn("color=blue", 500, 48),
            drawn("steps=1", 3, 3),
            drawn("steps=2", 997, 97),
        ];
        let found: Vec<&str> = lifts(&all).into_iter().map(|(drawn, ..)| drawn.option.as_str()).collect();
        assert_eq!(found, ["cache=1", "cache=2"]);
    }
}
