//! What a job wants of the work core, in words of its own.

use crate::name::UnitId;
use crate::spec::OnExhausted;
use capstan_ids::{GateName, GroupName, ItemId, Kind, LimitName, Millis, SessionName};
use std::fmt;
use std::str::FromStr;

/// Which of a job's items this is. Its text is the item's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Lists the source's units and looks at the target.
    Survey {
        /// 0 for the first; one more for each time that units are added while the job runs.
        round: u32,
    },
    /// Cuts a unit into chunks and prepares its target.
    Plan(UnitId),
    /// Reads a chunk into the spool.
    Dump {
        /// Its unit.
        unit: UnitId,
        /// Its index there.
        chunk: u32,
        /// How often it has been dumped before.
        generation: u32,
    },
    /// Writes a chunk from the spool to the target.
    Restore {
        /// Its unit.
        unit: UnitId,
        /// Its index there.
        chunk: u32,
        /// Which of its dumps this is.
        generation: u32,
    },
    /// Reads a chunk and writes it at once.
    Copy {
        /// Its unit.
        unit: UnitId,
        /// Its index there.
        chunk: u32,
    },
    /// Joins a unit's parts and builds its indexes.
    Index(UnitId),
    /// Makes the whole target complete.
    Finish,
    /// Compares both sides of a unit.
    Verify(UnitId),
    /// Removes what is left in the spool.
    Sweep,
    /// Removes what a cancelled job leaves behind.
    Abandon,
}

impl Stage {
    /// The id of its item.
    pub fn item(self) -> ItemId {
        ItemId::new(self.to_string()).expect("a stage's text is short")
    }

    /// The kind of its item, which names its pool.
    pub fn kind(self) -> Kind {
        let kind = match self {
            Self::Survey { .. } | Self::Plan(_) => "plan",
            Self::Dump { .. } => "dump",
            Self::Restore { .. } | Self::Copy { .. } => "restore",
            Self::Index(_) | Self::Finish | Self::Sweep | Self::Abandon => "index",
            Self::Verify(_) => "verify",
        };
        Kind::new(kind).expect("the kinds are plain words")
    }

    /// Which unit it is about, if it is about one.
    pub fn unit(self) -> Option<UnitId> {
        match self {
            Self::Plan(unit) | Self::Index(unit) | Self::Verify(unit) => Some(unit),
            Self::Dump { unit, .. } | Self::Restore { unit, .. } | Self::Copy { unit, .. } => Some(unit),
            Self::Survey { .. } | Self::Finish | Self::Sweep | Self::Abandon => None,
        }
    }

    /// Which chunk of its unit it is about, if it is about one.
    pub fn chunk(self) -> Option<u32> {
        match self {
            Self::Dump { chunk, .. } | Self::Restore { chunk, .. } | Self::Copy { chunk, .. } => Some(chunk),
            _ => None,
        }
    }

    /// Higher goes first: what frees the spool and ends units goes before what fills it and begins them.
    pub(crate) fn priority(self) -> i16 {
        match self {
            Self::Survey { .. } | Self::Plan(_) => 40,
            Self::Index(_) | Self::Finish => 30,
            Self::Sweep | Self::Abandon => 25,
            Self::Restore { .. } => 20,
            Self::Verify(_) => 10,
            Self::Dump { .. } | Self::Copy { .. } => 0,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = |f: &mut fmt::Formatter<'_>, generation: u32| match generation {
            0 => Ok(()),
            again => write!(f, ".g{again}"),
        };
        match *self {
            Self::Survey { round: 0 } => f.write_str("survey"),
            // The second survey is the first that adds to the job.
            Self::Survey { round } => write!(f, "survey.{}", u64::from(round) + 1),
            Self::Plan(unit) => write!(f, "plan:{unit}"),
            Self::Dump { unit, chunk, generation } => {
                write!(f, "dump:{unit}_{chunk}")?;
                again(f, generation)
            }
            Self::Restore { unit, chunk, generation } => {
                write!(f, "restore:{unit}_{chunk}")?;
                again(f, generation)
            }
            Self::Copy { unit, chunk } => write!(f, "copy:{unit}_{chunk}"),
            Self::Index(unit) => write!(f, "index:{unit}"),
            Self::Finish => f.write_str("finish"),
            Self::Verify(unit) => write!(f, "verify:{unit}"),
            Self::Sweep => f.write_str("sweep"),
            Self::Abandon => f.write_str("abandon"),
        }
    }
}

/// The text is no stage of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an item of a job is called survey, survey.N, finish, sweep, abandon, or STAGE:UNIT with a chunk behind it for dump, restore and copy"
)]
pub struct StageError;

impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        let stage = match text.split_once(':') {
            None => match text {
                "survey" => Some(Self::Survey { round: 0 }),
                "finish" => Some(Self::Finish),
                "sweep" => Some(Self::Sweep),
                "abandon" => Some(Self::Abandon),
                _ => text.strip_prefix("survey.").and_then(later_survey),
            },
            Some((word, rest)) => match word {
                "plan" => rest.parse().ok().map(Self::Plan),
                "index" => rest.parse().ok().map(Self::Index),
                "verify" => rest.parse().ok().map(Self::Verify),
                "dump" => place(rest).map(|(unit, chunk, generation)| Self::Dump { unit, chunk, generation }),
                "restore" => place(rest).map(|(unit, chunk, generation)| Self::Restore { unit, chunk, generation }),
                "copy" => place(rest).map(|(unit, chunk, _)| Self::Copy { unit, chunk }),
                _ => None,
            },
        };
        // Written again it must be the same: `dump:…_01` would be a second name for a chunk.
        stage.filter(|stage| stage.to_string() == text).ok_or(StageError)
    }
}

fn later_survey(number: &str) -> Option<Stage> {
    let round = number.parse::<u32>().ok()?.checked_sub(1)?;
    Some(Stage::Survey { round })
}

fn place(text: &str) -> Option<(UnitId, u32, u32)> {
    let (unit, rest) = text.split_once('_')?;
    let (chunk, generation) = match rest.split_once(".g") {
        Some((chunk, generation)) => (chunk, generation.parse().ok()?),
        None => (rest, 0),
    };
    Some((unit.parse().ok()?, chunk.parse().ok()?, generation))
}

/// What must happen in the work core, in the same commit as the decision's events.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkIntent {
    /// A session for a new job.
    OpenSession {
        /// Its name.
        session: SessionName,
        /// How its work is handed out.
        policy: WorkPolicy,
        /// What to begin with.
        items: Vec<WorkItem>,
        /// Gates to hold from the beginning.
        gates: Vec<(GroupName, GateName)>,
    },
    /// More items for a session there is.
    AddItems {
        /// Which.
        session: SessionName,
        /// What.
        items: Vec<WorkItem>,
    },
    /// What waits for a gate's group goes on.
    OpenGate {
        /// Which.
        session: SessionName,
        /// The group that the gate is held in.
        group: GroupName,
        /// Which gate.
        gate: GateName,
    },
    /// What has failed, and what waits for that, ends for good.
    GiveUpFailed {
        /// Which.
        session: SessionName,
    },
    /// Items move forward or back, those of them that are there and unfinished.
    SetPriorities {
        /// Which.
        session: SessionName,
        /// Each with its new priority.
        items: Vec<(ItemId, i16)>,
    },
    /// Nothing new starts; with `immediate` holders stop at once.
    Pause {
        /// Which.
        session: SessionName,
        /// Holders are told to stop.
        immediate: bool,
        /// For people.
        reason: Box<str>,
    },
    /// Work goes on; what failed has a fresh set of attempts.
    Resume {
        /// Which.
        session: SessionName,
    },
    /// What failed has a fresh set of attempts.
    Retry {
        /// Which.
        session: SessionName,
        /// Items; none means every failed one.
        items: Vec<ItemId>,
    },
    /// Unfinished work ends for good, then undo items open.
    Cancel {
        /// Which.
        session: SessionName,
        /// For people.
        reason: Box<str>,
    },
    /// A pool has another size; none lifts the limit.
    SetLimit {
        /// Which.
        session: SessionName,
        /// Of which kind.
        limit: LimitName,
        /// 1 to 4,096.
        value: Option<u32>,
    },
    /// The session and its items are forgotten.
    DeleteSession {
        /// Which.
        session: SessionName,
    },
}

/// How a job's work is handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkPolicy {
    /// Length of a lease.
    pub lease: Millis,
    /// Attempts before an item has failed.
    pub attempts: u32,
    /// First and longest wait between attempts; none is no wait.
    pub backoff: Option<(Millis, Millis)>,
    /// What an item that has failed does to the session.
    pub on_exhausted: OnExhausted,
    /// Sizes of the pools and other limits, each 1 to 4,096.
    pub limits: Vec<(LimitName, u32)>,
    /// A lease without progress for so long is stuck.
    pub stuck_after: Millis,
    /// A stuck lease is taken back, which counts as an attempt.
    pub revoke_stuck: bool,
}

/// An item of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkItem {
    /// A stage's text.
    pub id: ItemId,
    /// Names its pool.
    pub kind: Kind,
    /// The source's collection, where it is about one.
    pub collection: Box<str>,
    /// The chunk, where it is about one.
    pub part: u32,
    /// Documents expected.
    pub documents: u64,
    /// Bytes expected.
    pub bytes: u64,
    /// Higher goes first.
    pub priority: i16,
    /// Groups it belongs to, beside its parent's.
    pub groups: Vec<GroupName>,
    /// What must be done before it.
    pub waits_for: Vec<WorkWait>,
    /// Limits it counts against, beside its kind.
    pub limits: Vec<LimitName>,
    /// What its worker needs to know: JSON text.
    pub payload: Box<str>,
    /// Only handed out once the session is cancelled.
    pub undo: bool,
}

/// What an item can wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkWait {
    /// Every item of a group, and whatever came of them.
    Group(GroupName),
    /// One item, and whatever came of it.
    Item(ItemId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Namespace;

    #[test]
    fn every_stage_reads_back_from_its_items_id() {
        let unit = UnitId::of(&Namespace::new("shop", "orders"));
        for (stage, text) in [
            (Stage::Survey { round: 0 }, "survey"),
            (Stage::Survey { round: 1 }, "survey.2"),
            (Stage::Plan(unit), "plan:7458f44cdbf1d509"),
            (Stage::Dump { unit, chunk: 7, generation: 0 }, "dump:7458f44cdbf1d509_7"),
            (Stage::Dump { unit, chunk: 7, generation: 2 }, "dump:7458f44cdbf1d509_7.g2"),
            (Stage::Restore { unit, chunk: 0, generation: 1 }, "restore:7458f44cdbf1d509_0.g1"),
            (Stage::Copy { unit, chunk: 3 }, "copy:7458f44cdbf1d509_3"),
            (Stage::Index(unit), "index:7458f44cdbf1d509"),
            (Stage::Finish, "finish"),
            (Stage::Verify(unit), "verify:7458f44cdbf1d509"),
            (Stage::Sweep, "sweep"),
            (Stage::Abandon, "abandon"),
        ] {
            assert_eq!((stage.to_string().as_str(), text.parse()), (text, Ok(stage)));
        }
        for bad in [
            "",
            "survey.1",
            "survey.02",
            "dump:7458f44cdbf1d509",
            "dump:7458f44cdbf1d509_01",
            "dump:7458f44cdbf1d509_1.g0",
            "plan:x",
            "a:b",
        ] {
            assert!(bad.parse::<Stage>().is_err(), "{bad:?}");
        }
    }
}
