//! A live view of a server in the terminal: sessions, jobs with their chunks, pools, workers.
//!
//! Each frame is made as text and drawn over the one before; nothing is asked of the terminal but its size and its keys.

mod frame;
mod look;
mod screen;

use self::look::Looker;
use self::screen::Screen;
use crate::context::Context;
use crate::failure::Failure;
use clap::Args;
use std::time::Duration;

/// What to draw, and how often.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan top
  capstan top --every 5s
  capstan top --once
q or Ctrl-C ends it.")]
pub struct TopOptions {
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::input::duration)]
    every: Duration,
    /// Print one frame and end
    #[arg(long)]
    once: bool,
}

/// The shortest time between two looks.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// Lines of a frame that is printed and not drawn.
const LINES: usize = 200;

/// Draws until it is told to stop.
pub async fn run(options: TopOptions, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let mut looker = Looker::new(client);
    if options.once {
        let frame = looker.look().await?;
        return context
            .out
            .show_text(|| frame.document(), || frame.text(crate::render::columns(), LINES, context.out.has_colour()));
    }
    if !Screen::is_terminal() {
        return Err(Failure::Usage("top draws on a terminal; use --once to print one frame".into()));
    }
    let mut screen = Screen::open()?;
    loop {
        // A server that does not answer for a moment is said on the screen; its last frame stays.
        match looker.look().await {
            Ok(frame) => screen.draw(&frame)?,
            Err(failure) => screen.say(&failure.to_string())?,
        }
        tokio::select! {
            () = tokio::time::sleep(options.every.max(EVERY_MIN)) => {}
            () = screen.quit() => return Ok(()),
            signal = tokio::signal::ctrl_c() => return Ok(signal?),
        }
    }
}
