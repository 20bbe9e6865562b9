//! Migrations at the terminal: what is to be done, how it goes, what came of it.

mod errand;
mod flags;
mod page;
mod progress;
mod report;
pub mod spec;
mod watch;

pub use errand::{ErrandFlags, report, run as run_errand};
pub use flags::{MigrationFlags, NeedsFlags, RepairFlags, SelectionFlags, VerifyFlag, pair};
pub use page::page;
pub use progress::{Progress, Snapshot};
pub use report::Report;
pub use watch::{Watched, watch};
