//! What a person at a terminal sees of a running job.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Sparkline};

use super::figures::Figures;
use crate::job::State;
use crate::job::catalogue::Cause;
use crate::report::grouped;
use crate::words::many;

/// News and rates that are kept; more than a screen shows.
const KEPT: usize = 400;
/// A seed is counted when it has ended, all its steps at once: a rate is of so much time at least.
const RATE: Duration = Duration::from_secs(5);
/// What is smaller has no room for boxes.
const SMALLEST: (u16, u16) = (60, 16);

/// The newest figures, and what changed while they came.
#[derive(Default)]
pub(super) struct View {
    figures: Option<Figures>,
    /// Time worked and steps of the figures of the last [`RATE`], and one before.
    steps: VecDeque<(Duration, u64)>,
    /// Steps a second of all workers, one for each figures.
    rates: VecDeque<u64>,
    /// Points in the order in which figures first had them, with the time worked then.
    reached: BTreeMap<String, Duration>,
    news: VecDeque<String>,
}

impl View {
    /// Takes newer figures.
    pub(super) fn take(&mut self, figures: Figures) {
        let now = (figures.worked, figures.totals.steps);
        self.steps.push_back(now);
        while self.steps.get(1).is_some_and(|(at, _)| now.0.saturating_sub(*at) >= RATE) {
            self.steps.pop_front();
        }
        let (at, steps) = self.steps[0];
        if now.0 > at {
            push(&mut self.rates, ((now.1.saturating_sub(steps)) as f64 / (now.0 - at).as_secs_f64()) as u64);
        }
        for (point, _) in figures.totals.reached.iter().filter(|&(_, &count)| count > 0) {
            if !self.reached.contains_key(point) {
                self.reached.insert(point.clone(), figures.worked);
            }
        }
        self.figures = Some(figures);
    }

    /// Takes news.
    pub(super) fn tell(&mut self, text: &str) {
        text.lines().for_each(|line| push(&mut self.news, line.to_owned()));
    }

    /// Draws all of it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let Some(figures) = &self.figures else { return self.draw_news(frame, area) };
        let (width, height) = SMALLEST;
        if area.width < width || area.height < height {
            let [line, news] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(area);
            let lines =
                [figures.progress(), format!("{}, {}", many(figures.failures, "failure"), figures.rate())];
            frame.render_widget(Paragraph::new(lines.map(Line::from).to_vec()), line);
            return self.draw_news(frame, news);
        }
        let causes = (figures.causes.len() as u16).clamp(1, 8) + 2;
        let [head, rates, middle, low, foot] = Layout::vertical([
            Constraint::Length(5),
            Constraint::Length(3),
            Constraint::Length(causes.min(area.height / 3)),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .areas(area);
        let [faults, right] =
            Layout::horizontal([Constraint::Percentage(40), Constraint::Min(20)]).areas(low);
        let [points, news] = Layout::vertical([Constraint::Percentage(50), Constraint::Min(3)]).areas(right);
        draw_head(frame, head, figures);
        self.draw_rates(frame, rates, figures.unkept);
        draw_causes(frame, middle, figures);
        draw_faults(frame, faults, figures);
        self.draw_points(frame, points, figures);
        self.draw_news(frame, news);
        let keys = "Ctrl-C ends within a second and keeps all; a second one ends at once";
        frame.render_widget(Paragraph::new(keys).dim(), foot);
    }

    fn draw_rates(&self, frame: &mut Frame<'_>, area: Rect, unkept: usize) {
        let last = self.rates.back().copied().unwrap_or(0);
        let mut title = format!(" {:.2} M steps/s, the last {} s ", last as f64 / 1e6, RATE.as_secs());
        if unkept > 0 {
            title.push_str(&format!("· {} not kept yet ", many(unkept as u64, "failing seed")));
        }
        let shown = usize::from(area.width.saturating_sub(2));
        let rates: Vec<u64> =
            self.rates.iter().copied().skip(self.rates.len().saturating_sub(shown)).collect();
        frame.render_widget(Sparkline::default().data(rates).block(Block::bordered().title(title)), area);
    }

    /// Those that were reached last come first.
    fn draw_points(&self, frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
        let all = figures.totals.reached.len();
        let mut reached: Vec<_> = self.reached.iter().collect();
        reached.sort_by_key(|&(point, &at)| (std::cmp::Reverse(at), point));
        let lines = reached.iter().map(|(point, at)| {
            Line::from(vec![
                Span::from(format!("{:>7.0} s ", at.as_secs_f64())).dim(),
                Span::from(point.as_str()),
            ])
        });
        let title = format!(" points: {} of {all} reached, the newest first ", reached.len());
        list(frame, area, title, lines.collect());
    }

    /// The newest come last.
    fn draw_news(&self, frame: &mut Frame<'_>, area: Rect) {
        let shown = usize::from(area.height.saturating_sub(2));
        let skipped = self.news.len().saturating_sub(shown);
        let lines = self.news.iter().skip(skipped).map(|text| Line::from(text.as_str()));
        list(frame, area, " news ".into(), lines.collect());
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let Figures { totals, .. } = figures;
    let title = format!(" {} · {} ", figures.subject, figures.folder.display());
    let block = Block::bordered().title(title.bold());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = [Constraint::Length(1); 3];
    let [progress, numbers, rest] = Layout::vertical(rows).areas(inner);
    match figures.share() {
        Some(share) => {
            let style = Style::new().fg(Color::Cyan);
            frame.render_widget(
                Gauge::default().ratio(share).label(figures.progress()).gauge_style(style),
                progress,
            );
        }
        None => frame.render_widget(Paragraph::new(figures.progress()), progress),
    }
    let failures = match figures.failures {
        0 => "no failure".green(),
        1 => "1 failure".to_owned().red().add_modifier(Modifier::BOLD),
        count => format!("{} failures", grouped(count)).red().add_modifier(Modifier::BOLD),
    };
    let counted = format!(
        "{} seeds · {} steps · {} crashes · ",
        grouped(totals.seeds),
        grouped(totals.steps),
        grouped(totals.crashes)
    );
    frame.render_widget(Paragraph::new(Line::from(vec![counted.into(), failures])), numbers);
    let (seeds, found) = figures.canary;
    let canary = format!("canary found in {found} of {seeds} seeds");
    let memory = format!("{} MiB resident", figures.resident / 1024);
    let others = figures.others.iter().map(|(mode, runs, time)| {
        format!("{} {} ({:.0} s)", mode.name(), grouped(*runs), time.as_secs_f64())
    });
    let all: Vec<String> = [canary, memory].into_iter().chain(others).collect();
    frame.render_widget(Paragraph::new(all.join(" · ")), rest);
}

/// The open ones first, as `failures` lists them.
fn draw_causes(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let line = |cause: &Cause| {
        let state: &'static str = cause.state.into();
        let style = match cause.state {
            State::Fixed => Style::new().fg(Color::Green),
            State::New | State::Open | State::Regressed => Style::new().fg(Color::Red),
        };
        Line::from(vec![
            Span::styled(format!("{state:<9} "), style),
            format!("{:<26} {:>6}  {}", cause.signature, grouped(cause.count), cause.what()).into(),
        ])
    };
    let lines = match figures.causes.is_empty() {
        true => vec![Line::from("none so far".dim())],
        false => figures.causes.iter().map(line).collect(),
    };
    list(frame, area, format!(" failures by signature: {} ", figures.causes.len()), lines);
}

/// Faults by how often they were delivered. One that was never delivered says so.
fn draw_faults(frame: &mut Frame<'_>, area: Rect, figures: &Figures) {
    let mut faults: Vec<_> = figures.totals.faults.iter().filter(|fault| fault.seeds > 0).collect();
    faults.sort_by_key(|fault| (std::cmp::Reverse(fault.delivered), fault.kind.name()));
    let lines = faults.iter().map(|fault| {
        let text = format!("{:>12} {}", grouped(fault.delivered), fault.kind.name());
        match fault.delivered {
            0 => Line::from(text.yellow()),
            _ => Line::from(text),
        }
    });
    list(frame, area, " faults delivered ".into(), lines.collect());
}

/// Lines in a box. Where there are more than fit, its title says how many are not shown.
fn list(frame: &mut Frame<'_>, area: Rect, title: String, mut lines: Vec<Line<'_>>) {
    let fit = usize::from(area.height.saturating_sub(2));
    let hidden = lines.len().saturating_sub(fit);
    lines.truncate(fit);
    let mut block = Block::bordered().title(title);
    if hidden > 0 {
        block = block.title_bottom(Line::from(format!(" {hidden} more ")).right_aligned());
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn push<T>(kept: &mut VecDeque<T>, newest: T) {
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(newest);
}
