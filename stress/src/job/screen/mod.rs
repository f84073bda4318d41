//! Where a running job tells how it goes: a view that is drawn again and again on a terminal, lines elsewhere.

mod figures;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io::Write as _;
use std::time::{Duration, Instant};

pub(super) use self::figures::Figures;
use self::terminal::FullScreen;
pub(crate) use self::terminal::restore;
use self::view::View;

/// How often a terminal is drawn, and how often a line is told.
const DRAW: Duration = Duration::from_millis(500);
const TELL: Duration = Duration::from_secs(10);

/// Where a job tells how it goes.
pub(super) struct Screen {
    medium: Medium,
    /// When figures were told last.
    told: Option<Instant>,
}

enum Medium {
    /// Warnings only.
    Quiet,
    Lines,
    Live(Box<Live>),
}

/// A view on a terminal.
struct Live {
    view: View,
    /// Told again as lines when the terminal is given back: they are more than news.
    warnings: Vec<String>,
    terminal: FullScreen,
}

impl Screen {
    /// The one that fits stderr.
    pub(super) fn choose(is_quiet: bool) -> Screen {
        let medium = match is_quiet {
            true => Medium::Quiet,
            false => FullScreen::take().map_or(Medium::Lines, |terminal| {
                Medium::Live(Box::new(Live { view: View::default(), warnings: Vec::new(), terminal }))
            }),
        };
        Screen { medium, told: None }
    }

    /// Says what a person must know.
    pub(super) fn warn(&mut self, text: &str) {
        match &mut self.medium {
            Medium::Quiet | Medium::Lines => line(text),
            Medium::Live(live) => {
                live.warnings.push(text.to_owned());
                live.tell(text);
            }
        }
    }

    /// Says what happened.
    pub(super) fn tell(&mut self, text: &str) {
        match &mut self.medium {
            Medium::Quiet => {}
            Medium::Lines => line(text),
            Medium::Live(live) => live.tell(text),
        }
    }

    /// Shows the figures of `now`, if it is time.
    pub(super) fn show(&mut self, now: Instant, figures: impl FnOnce() -> Figures) {
        let pause = match self.medium {
            Medium::Quiet => return,
            Medium::Lines => TELL,
            Medium::Live(_) => DRAW,
        };
        let told = *self.told.get_or_insert(now);
        let is_first = told == now && matches!(self.medium, Medium::Live(_));
        if !is_first && now.duration_since(told) < pause {
            return;
        }
        self.told = Some(now);
        match &mut self.medium {
            Medium::Quiet => {}
            Medium::Lines => line(&figures().line()),
            Medium::Live(live) => {
                live.view.take(figures());
                live.draw();
            }
        }
    }
}

impl Live {
    fn tell(&mut self, text: &str) {
        self.view.tell(text);
        self.draw();
    }

    fn draw(&mut self) {
        self.terminal.draw(|frame| self.view.draw(frame));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        restore();
        self.warnings.iter().for_each(|warning| line(warning));
    }
}

/// A reader of stderr that has gone is no reason to end a job.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
