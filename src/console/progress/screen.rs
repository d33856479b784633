//! Lines at the end of a terminal that are drawn again and again.
//!
//! While the lines are shown, the cursor waits on the first cell of the first of them. A window that
//! becomes narrower breaks lines on some terminals and cuts them on others, so the number of rows that
//! they take is unknown afterwards; but all of them are below the cursor, and "erase to the end of the
//! screen" removes them. (indicatif parks the cursor behind lines that it fills up with blanks, counts
//! rows, and leaves broken ones behind.) The width is asked for at each draw, so a resize needs no signal.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::console::interrupt;
use crate::console::safe::Safe;
use crate::console::{Stream, stderr_size};

/// Time between two draws.
const INTERVAL: Duration = Duration::from_millis(100);

/// Erases everything from the cursor to the end of the screen (ECMA-48, ED).
const ERASE_BELOW: &str = "\r\x1b[J";

/// Room for a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Window {
    /// Columns that can be written without reaching the last one, where terminals differ.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
    /// Whether colours are shown.
    pub color: bool,
}

/// Gives the lines to show now.
type Region = Arc<dyn Fn(Window) -> Vec<Safe> + Send + Sync>;

/// See the module text.
pub(in crate::console) struct Screen {
    stderr: Arc<Mutex<Stream>>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    regions: Vec<(u64, Region)>,
    next: u64,
    /// Lines stand below the cursor.
    is_drawn: bool,
    /// A thread draws. Without one, [`Screen::touch`] does.
    has_thread: bool,
    last_draw: Option<Instant>,
    /// Signals that would end the process clear the screen first.
    covered: Option<interrupt::Cover>,
}

/// A region while it is shown.
pub(in crate::console) struct Shown {
    screen: Arc<Screen>,
    id: u64,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.screen.remove(self.id);
    }
}

impl Screen {
    /// Nothing is shown yet.
    pub fn new(stderr: Arc<Mutex<Stream>>) -> Arc<Self> {
        Arc::new(Screen {
            stderr,
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a region below the others until the answer is dropped.
    pub fn show(
        self: &Arc<Self>,
        region: impl Fn(Window) -> Vec<Safe> + Send + Sync + 'static,
    ) -> Shown {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.regions.push((id, Arc::new(region)));
        if !state.has_thread {
            let screen = Arc::clone(self);
            let thread = std::thread::Builder::new().spawn(move || screen.animate());
            state.has_thread = thread.is_ok();
            state.covered = thread.is_ok().then(interrupt::cover);
        }
        self.draw(&mut state);
        Shown {
            screen: Arc::clone(self),
            id,
        }
    }

    fn remove(&self, id: u64) {
        let mut state = self.state();
        state.regions.retain(|(other, _)| *other != id);
        self.draw(&mut state);
        if state.regions.is_empty() {
            state.covered = None;
            self.ended.notify_all();
        }
    }

    /// Removes all regions: the command is over, whatever still holds one.
    pub fn close(&self) {
        let mut state = self.state();
        state.regions.clear();
        self.draw(&mut state);
        state.covered = None;
        self.ended.notify_all();
    }

    /// Draws when it is time to and no thread does.
    pub fn touch(&self) {
        if let Ok(mut state) = self.state.try_lock()
            && !state.has_thread
            && state
                .last_draw
                .is_none_or(|last| last.elapsed() >= INTERVAL)
        {
            self.draw(&mut state);
        }
    }

    /// Does something while nothing is shown, so that text does not mix with the lines.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        self.clear(&mut state);
        let done = work();
        self.draw(&mut state);
        done
    }

    fn animate(&self) {
        let mut state = self.state();
        while !state.regions.is_empty() {
            if let Some(cover) = &state.covered {
                if let Some(code) = cover.ending() {
                    self.clear(&mut state);
                    interrupt::exit(code);
                }
                if cover.is_stopped() {
                    self.clear(&mut state);
                    interrupt::stop();
                }
            }
            self.draw(&mut state);
            let waited = self.ended.wait_timeout(state, INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.has_thread = false;
    }

    fn clear(&self, state: &mut State) {
        if std::mem::take(&mut state.is_drawn) {
            self.write(&Safe::default(), true);
        }
    }

    fn draw(&self, state: &mut State) {
        state.last_draw = Some(Instant::now());
        if state.regions.is_empty() || !interrupt::is_in_foreground() {
            return self.clear(state);
        }
        let Some((columns, rows)) = stderr_size() else {
            return self.clear(state);
        };
        let color = self.stderr.lock().unwrap().color;
        let mut window = Window {
            columns: columns.saturating_sub(1).max(1),
            rows: rows.saturating_sub(1).max(1),
            color,
        };
        let mut lines = Vec::new();
        for (_, region) in &state.regions {
            let shown = region(window);
            window.rows = window.rows.saturating_sub(shown.len());
            lines.extend(shown);
        }
        lines.truncate(rows.saturating_sub(1).max(1));
        if lines.is_empty() {
            return self.clear(state);
        }
        state.is_drawn = true;
        self.write(&Safe::frame(&lines), false);
    }

    fn write(&self, frame: &Safe, erase: bool) {
        let mut stderr = self.stderr.lock().unwrap();
        if erase {
            stderr.write_bytes(ERASE_BELOW.as_bytes());
        }
        stderr.write(frame);
    }
}
