//! The terminal behind stderr, taken as a whole and given back as it was.

use std::io::{IsTerminal as _, Stderr, Write as _};

use parking_lot::Mutex;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{Frame, Terminal};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// What the terminal was before it was taken, while it is.
static TAKEN: Mutex<Option<Before>> = Mutex::new(None);

/// Modes of stdin, if it is a terminal.
struct Before(Option<Termios>);

/// The whole terminal, until [`restore`].
pub(super) struct FullScreen(Terminal<CrosstermBackend<Stderr>>);

impl FullScreen {
    /// Takes the terminal behind stderr; `None` if there is none that can be drawn on.
    pub(super) fn take() -> Option<FullScreen> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        if is_dumb || !std::io::stderr().is_terminal() || !is_in_front() {
            return None;
        }
        let mut drawn = Terminal::new(CrosstermBackend::new(std::io::stderr())).ok()?;
        let before = silence();
        execute!(std::io::stderr(), terminal::EnterAlternateScreen, cursor::Hide).ok()?;
        *TAKEN.lock() = Some(Before(before));
        // What another program has left there is not known.
        let _ = drawn.clear();
        Some(FullScreen(drawn))
    }

    /// Draws a frame. A terminal that has gone is no reason to end a job.
    pub(super) fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) {
        // The thread of a second Ctrl-C waits for the frame, so that nothing is drawn after the terminal was given back.
        let taken = TAKEN.lock();
        if taken.is_some() && is_in_front() {
            let _ = self.0.draw(frame);
        }
    }
}

/// Gives the terminal back, if it was taken. It may be called by any thread.
pub(crate) fn restore() {
    let Some(Before(modes)) = TAKEN.lock().take() else { return };
    let mut stderr = std::io::stderr();
    let _ = execute!(stderr, terminal::LeaveAlternateScreen, cursor::Show);
    let _ = stderr.flush();
    if let Some(modes) = modes
        && is_in_front()
    {
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
    }
}

/// Whether the shell lets this process have the terminal. One in the background that changes its modes is stopped, and the screen is
/// another program's.
fn is_in_front() -> bool {
    termios::tcgetpgrp(std::io::stderr()).is_ok_and(|front| front == rustix::process::getpgrp())
}

/// Keeps what a person types from being drawn into the view. Ctrl-C stays a signal, which raw mode would take away.
fn silence() -> Option<Termios> {
    let before = termios::tcgetattr(std::io::stdin()).ok()?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
    termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &silent).ok()?;
    Some(before)
}
