//! How far long work has come, for a person at a terminal. Draws nothing without the feature `cli`.

#[cfg(feature = "cli")]
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with a message.
#[derive(Debug)]
pub struct Progress {
    #[cfg(feature = "cli")]
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `length` `unit`s. It is drawn to stderr if it `is_shown` and stderr is a terminal.
    pub fn new(is_shown: bool, length: u64, unit: &str) -> Progress {
        #[cfg(feature = "cli")]
        {
            let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
            let bar = ProgressBar::with_draw_target(Some(length), target);
            let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}  {{msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            Progress { bar }
        }
        #[cfg(not(feature = "cli"))]
        {
            let _ = (is_shown, length, unit);
            Progress {}
        }
    }

    /// Moves to `position`.
    pub fn show(&self, position: u64, message: impl FnOnce() -> String) {
        #[cfg(feature = "cli")]
        if !self.bar.is_hidden() {
            self.bar.set_position(position);
            self.bar.set_message(message());
        }
        #[cfg(not(feature = "cli"))]
        let _ = (position, message);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        #[cfg(feature = "cli")]
        self.bar.finish_and_clear();
    }
}
