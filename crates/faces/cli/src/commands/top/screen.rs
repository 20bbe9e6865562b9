//! The terminal: another page of it while frames are drawn, and keys as they are pressed.

use super::frame::Frame;
use crate::failure::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Read, Write};
use tokio::sync::mpsc;

/// Another page, without a cursor; and back.
const OPEN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const CLOSE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// What a terminal has that says nothing of its size.
const SIZE: (usize, usize) = (100, 30);

/// The terminal while it shows frames; it is as it was before once this is dropped.
pub struct Screen {
    before: Option<Termios>,
    keys: mpsc::Receiver<()>,
    colour: bool,
}

impl Screen {
    /// Whether there is one.
    pub fn is_terminal() -> bool {
        std::io::stdout().is_terminal()
    }

    /// Takes it over.
    pub fn open() -> Result<Self, Failure> {
        let before = tcgetattr(rustix::stdio::stdin()).ok();
        if let Some(before) = &before {
            // Keys come one by one and are not shown; Ctrl-C stays a signal.
            let mut raw = before.clone();
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw).map_err(std::io::Error::from)?;
        }
        let (pressed, keys) = mpsc::channel(1);
        // It waits for a key for as long as the process lives, so nobody waits for it.
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut key = [0];
            while stdin.read(&mut key).is_ok_and(|read| read == 1) {
                if matches!(key[0], b'q' | b'Q') {
                    let _ = pressed.blocking_send(());
                    return;
                }
            }
            // Without a keyboard there is Ctrl-C.
            std::mem::forget(pressed);
        });
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = Self { before, keys, colour };
        put(OPEN)?;
        Ok(screen)
    }

    /// Draws over what is there.
    pub fn draw(&mut self, frame: &Frame) -> Result<(), Failure> {
        let (width, height) = size();
        let text = frame.text(width, height.saturating_sub(1), self.colour);
        self.show(&text)
    }

    /// Says something in the place of a frame.
    pub fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.show(&format!("{text}\n"))
    }

    /// Each line clears what was behind it, so that nothing flickers.
    fn show(&self, text: &str) -> Result<(), Failure> {
        let lines = text.replace('\n', "\u{1b}[K\r\n");
        put(&format!("\u{1b}[H{lines}\u{1b}[J\u{1b}[2mq quits\u{1b}[0m"))
    }

    /// Resolves when somebody wants to see no more.
    pub async fn quit(&mut self) {
        if self.keys.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone away needs no tidying.
        let _ = put(CLOSE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn size() -> (usize, usize) {
    let size = tcgetwinsize(rustix::stdio::stdout()).ok();
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    size.filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(SIZE)
}

fn put(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
