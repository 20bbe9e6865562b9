//! What has happened to jobs. Fields are numbered and never renumbered: what is added later is optional.

use crate::facts::{Cut, Dumped, Landed, SetAside, Verdict};
use crate::name::{JobName, Namespace, UnitId};
use crate::phase::Phase;
use crate::result::ScanTime;
use crate::spec::{Priority, Rates, Spec};
use crate::state::End;
use capstan_ids::Kind;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Encode};

/// One fact about one job.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum JobEvent {
    /// There is a job.
    #[n(0)]
    JobSubmitted {
        /// Its name.
        #[n(0)]
        job: JobName,
        /// What it is to do.
        #[n(1)]
        spec: Box<Spec>,
    },
    /// A collection is to be moved.
    #[n(1)]
    UnitFound {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Where it is read from.
        #[n(1)]
        source: Namespace,
        /// Where it goes.
        #[n(2)]
        target: Namespace,
        /// All that defines it: JSON text of the source's endpoint.
        #[n(3)]
        definition: Box<str>,
        /// It has no documents of its own.
        #[n(4)]
        view: bool,
        /// Documents, where the source has a guess.
        #[n(5)]
        documents: Option<u64>,
        /// Bytes, where the source has a guess.
        #[n(6)]
        bytes: Option<u64>,
        /// Which survey found it.
        #[n(7)]
        #[cbor(default)]
        round: u32,
    },
    /// All units are known, or all of those that were added.
    #[n(2)]
    SourceSurveyed {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// When the target can be read back.
        #[n(1)]
        scan: ScanTime,
        /// Found, and left out.
        #[n(2)]
        set_aside: Vec<SetAside>,
        /// Which survey it was.
        #[n(3)]
        #[cbor(default)]
        round: u32,
        /// Documents of collections that only the target has.
        #[n(4)]
        #[cbor(default)]
        extra: u64,
    },
    /// The job cannot be done, or units that were added cannot be; nothing was written.
    #[n(3)]
    JobRefused {
        /// Which.
        #[n(0)]
        job: JobName,
        /// Every reason.
        #[n(1)]
        reasons: Vec<SetAside>,
        /// Which survey found that out.
        #[n(2)]
        #[cbor(default)]
        round: u32,
    },
    /// A unit is cut into chunks; a large one in several events.
    #[n(4)]
    ChunksPlanned {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which.
        #[n(1)]
        unit: UnitId,
        /// The index of the first of these.
        #[n(2)]
        first: u32,
        /// The chunks.
        #[n(3)]
        chunks: Vec<Cut>,
    },
    /// All chunks of a unit are known, and its target is prepared.
    #[n(5)]
    UnitPlanned {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which.
        #[n(1)]
        unit: UnitId,
        /// What the target refused of its definition.
        #[n(2)]
        set_aside: Vec<SetAside>,
    },
    /// A chunk lies in the spool.
    #[n(6)]
    ChunkDumped {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Of which unit.
        #[n(1)]
        unit: UnitId,
        /// Which.
        #[n(2)]
        chunk: u32,
        /// What was found and where it lies.
        #[n(3)]
        dumped: Dumped,
    },
    /// A chunk is at the target; its parts in the spool are not needed any more.
    #[n(7)]
    ChunkRestored {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Of which unit.
        #[n(1)]
        unit: UnitId,
        /// Which.
        #[n(2)]
        chunk: u32,
        /// What has arrived.
        #[n(3)]
        landed: Landed,
    },
    /// What was dumped of a chunk is lost: it is dumped again.
    #[n(8)]
    PartsMissed {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Of which unit.
        #[n(1)]
        unit: UnitId,
        /// Which.
        #[n(2)]
        chunk: u32,
        /// The generation of the next dump.
        #[n(3)]
        generation: u32,
        /// What was wrong.
        #[n(4)]
        reason: Box<str>,
    },
    /// A unit is complete at the target.
    #[n(9)]
    UnitFinished {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which.
        #[n(1)]
        unit: UnitId,
        /// What the target refused.
        #[n(2)]
        set_aside: Vec<SetAside>,
    },
    /// The whole target is complete.
    #[n(10)]
    TargetFinished {
        /// Of which job.
        #[n(0)]
        job: JobName,
    },
    /// Both sides of a unit were compared.
    #[n(11)]
    UnitVerified {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which.
        #[n(1)]
        unit: UnitId,
        /// What was found.
        #[n(2)]
        verdict: Verdict,
        /// Some of what is not the same.
        #[n(3)]
        examples: Vec<SetAside>,
    },
    /// Somebody ended the job.
    #[n(12)]
    JobCancelled {
        /// Which.
        #[n(0)]
        job: JobName,
        /// What the target has of unfinished units goes too.
        #[n(1)]
        drop_partial: bool,
        /// Why.
        #[n(2)]
        reason: Box<str>,
    },
    /// Nothing more happens by itself.
    #[n(13)]
    JobEnded {
        /// Which.
        #[n(0)]
        job: JobName,
        /// How.
        #[n(1)]
        end: End,
    },
    /// A job that had ended with failures goes on.
    #[n(14)]
    JobReopened {
        /// Which.
        #[n(0)]
        job: JobName,
    },
    /// The job is forgotten.
    #[n(15)]
    JobForgotten {
        /// Which.
        #[n(0)]
        job: JobName,
    },
    /// Units are added while it runs: one more survey is made.
    #[n(16)]
    UnitsAdded {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which survey is to find them, from 1.
        #[n(1)]
        round: u32,
        /// `db.coll` with wildcards.
        #[n(2)]
        collections: Vec<String>,
    },
    /// Nothing of what was before can move any more.
    #[n(17)]
    PhaseBegun {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// What begins.
        #[n(1)]
        phase: Phase,
        /// Units that failed, and can not be taken in any more.
        #[n(2)]
        given_up: Vec<UnitId>,
    },
    /// How fast it may go was changed.
    #[n(18)]
    RatesSet {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// What holds now.
        #[n(1)]
        rates: Rates,
    },
    /// Collections go before others, or behind them.
    #[n(19)]
    PrioritySet {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Which, and how soon.
        #[n(1)]
        priority: Priority,
    },
    /// Somebody sized a pool: it does not adapt by itself any more.
    #[n(20)]
    PoolSized {
        /// Of which job.
        #[n(0)]
        job: JobName,
        /// Of which kind.
        #[n(1)]
        kind: Kind,
    },
}

impl JobEvent {
    /// Writes it at the buffer's end.
    pub fn encode(&self, to: &mut Vec<u8>) {
        minicbor::encode(self, to).expect("writing to a vector cannot fail");
    }

    /// Reads what [`encode`](Self::encode) wrote, by this program or an older one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        minicbor::decode(bytes)
    }

    /// Which job it is about.
    pub fn job(&self) -> &JobName {
        match self {
            Self::JobSubmitted { job, .. }
            | Self::UnitFound { job, .. }
            | Self::SourceSurveyed { job, .. }
            | Self::JobRefused { job, .. }
            | Self::ChunksPlanned { job, .. }
            | Self::UnitPlanned { job, .. }
            | Self::ChunkDumped { job, .. }
            | Self::ChunkRestored { job, .. }
            | Self::PartsMissed { job, .. }
            | Self::UnitFinished { job, .. }
            | Self::TargetFinished { job }
            | Self::UnitVerified { job, .. }
            | Self::JobCancelled { job, .. }
            | Self::JobEnded { job, .. }
            | Self::JobReopened { job }
            | Self::JobForgotten { job }
            | Self::UnitsAdded { job, .. }
            | Self::PhaseBegun { job, .. }
            | Self::RatesSet { job, .. }
            | Self::PrioritySet { job, .. }
            | Self::PoolSized { job, .. } => job,
        }
    }
}
