//! Migrations at the terminal: what is to be done, how it goes, what came of it.

mod flags;
mod progress;
mod report;
mod watch;

pub use flags::MigrationFlags;
pub use progress::{Progress, Snapshot};
pub use report::Report;
pub use watch::{Watched, watch};
