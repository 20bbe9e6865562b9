//! The one owner of the state: decides, applies, makes durable, answers.
//!
//! One thread owns every core's state and the journal. It takes what has queued up, decides and applies each command,
//! makes all their events durable with one flush, and only then gives the answers, so speed comes from many commands
//! sharing a flush and not from weaker promises.
//!
//! # Promises
//! - C1 No answer is given before everything it saw and did is durable: rejections, repeats and reads too.
//! - C2 What a command does is one commit: a crash leaves all of it or nothing.
//! - C3 Where the journal does not say *committed* to what memory has applied, memory is thrown away and read again
//!   from the log before anything else is decided or read.
//! - C4 No queue is without a limit; a full one is answered at once, with when to try again.
//! - C5 A change is refused before it is decided where the journal has no room for it.
//!
//! # Never
//! Knows what moves: it has heard of neither MongoDB nor HTTP. Never guesses after a failed flush.

mod acquiring;
mod adapting;
mod admission;
mod alerting;
mod backup;
mod briefing;
mod clock;
mod cluster;
mod coordination;
mod coordinator;
mod ending;
mod failure;
mod feed;
mod handle;
mod history;
mod housekeeping;
mod job_status;
mod jobs;
mod message;
mod owner;
mod recovery;
mod reporting;
mod settling;
mod state;
mod status;
mod streams;
mod waiters;
mod watch;

pub use alerting::AlertWatch;
pub use backup::{Backup, StartBackupError, audited_streams};
pub use clock::{Clock, SystemClock};
pub use cluster::{Cluster, ClusterError, Leadership, SharedStore, StoreError, Term, Turn};
pub use coordinator::{Coordinator, EndError, Options, StartError};
pub use failure::Failure;
pub use handle::{Acquired, COMMANDS_MAX, Handle, Outcome, PipelineOutcome, WAIT_MAX};
pub use history::{FACTS_MAX, FactFilter, FactPage, HistoryError};
pub use housekeeping::Retention;
pub use job_status::{JobStatus, PoolStatus, StageStatus};
pub use recovery::RecoveryError;
pub use state::{State, StateEvent};
pub use status::{Role, Status};
pub use watch::{Change, Watch, WatchError};
