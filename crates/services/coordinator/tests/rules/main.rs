//! The coordinator's promises, each with the case that breaks without it: over a journal that answers on command, a disk
//! in memory and a clock that is turned by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod hand_clock;
mod histories;
mod job_ways;
mod jobs;
mod journal_says_no;
mod lives;
mod pauses;
mod played;
mod registry_recovery;
mod room;
mod scripted;
mod snapshots;
mod stage;
mod stopping;
mod time;
mod unknown;
mod waiting;
mod watching;
