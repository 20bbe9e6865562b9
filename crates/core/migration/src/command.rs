//! What people can ask of jobs.

use crate::event::JobEvent;
use crate::item::WorkIntent;
use crate::name::JobName;
use crate::spec::{Rates, Spec};
use capstan_ids::{Kind, Moment, Position, WallTime};

/// One request, decided in one step.
#[derive(Clone, Debug, PartialEq)]
pub enum JobCommand {
    /// Starts a job, or finds it going on: an unfinished job of that name and the same specification is left as it is.
    Submit {
        /// Its name; none derives one from the specification, so that the same command finds its job again.
        name: Option<JobName>,
        /// What it is to do.
        spec: Box<Spec>,
    },
    /// Nothing new starts; with `immediate`, what runs stops at once and keeps what it has.
    Pause {
        /// Which.
        job: JobName,
        /// Holders are told to stop.
        immediate: bool,
        /// For people.
        reason: Box<str>,
    },
    /// Goes on; what failed has a fresh set of attempts.
    Resume {
        /// Which.
        job: JobName,
    },
    /// Tries again what has failed, whether the job goes on or has ended with failures.
    Retry {
        /// Which.
        job: JobName,
    },
    /// Ends a job for good.
    Cancel {
        /// Which.
        job: JobName,
        /// What the target has of unfinished units goes too.
        drop_partial: bool,
        /// For people.
        reason: Box<str>,
    },
    /// Makes a pool larger or smaller, now and live.
    SetPool {
        /// Which.
        job: JobName,
        /// `plan`, `dump`, `restore`, `index` or `verify`.
        kind: Kind,
        /// 1 to 4,096; none lifts the limit.
        size: Option<u32>,
    },
    /// Adds collections to a job that is going on: one more survey finds them. Those that it has already stay as they are.
    AddUnits {
        /// Which.
        job: JobName,
        /// `db.coll` with wildcards, 1 to 1,000 of them. They stand in for what is included; what is excluded stays so.
        collections: Vec<String>,
    },
    /// Makes a job faster or slower, now and live.
    SetRates {
        /// Which.
        job: JobName,
        /// What holds from now on; what is not given is not limited any more.
        rates: Rates,
    },
    /// Moves collections of a job forward or back, now and live.
    SetPriority {
        /// Which.
        job: JobName,
        /// `db.coll` with wildcards.
        collection: String,
        /// -100 to 100; higher goes first.
        priority: i16,
    },
    /// Forgets a job that has ended, and its session with it.
    Forget {
        /// Which.
        job: JobName,
    },
}

/// What a decision may know of the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Both clocks.
    pub moment: Moment,
    /// Cores of the machine: pools without a size are sized by them; 0 counts as 1.
    pub cores: u32,
}

/// Where and when an event came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Its place in the journal.
    pub position: Position,
    /// The wall time of its commit.
    pub wall: WallTime,
}

/// What an accepted command does: both lists in one commit, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The job it is about: of a submission, the one that was started or found.
    pub job: JobName,
    /// What happens here.
    pub events: Vec<JobEvent>,
    /// What happens in the work core.
    pub work: Vec<WorkIntent>,
}
