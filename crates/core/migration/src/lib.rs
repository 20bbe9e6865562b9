//! Jobs, units and chunks: the pure decisions of a migration.
//!
//! A job moves collections from one endpoint to another. It is a session of leased items: one `survey` lists what there
//! is, one `plan` a unit cuts it into chunks, each chunk is dumped and then restored (or copied directly), `index` makes a
//! unit complete, `finish` the whole, and `verify` compares both sides; which of these there are, its mode says, and
//! docs/jobs.md says it for people. [`Jobs::decide`] answers people's commands,
//! [`Jobs::completed`] says what follows when an item is done, [`Jobs::apply`] makes an event so.
//!
//! # Promises
//! - M1 Nothing is restored that was not dumped: restored documents and dead letters together are the dumped ones.
//! - M2 Nothing is counted twice: whatever is repeated makes no event, and totals equal a recount at every moment.
//! - M3 A repeated completion has the same successors as the first.
//! - M4 Progress is 100 % when, and only when, every unit is as far as the mode brings it: mostly, restored.
//! - M5 A chunk's parts are kept until its restore is recorded; a chunk whose parts were missed is dumped again under a
//!   new generation, and what was known of the old one is forgotten.
//! - M6 No two units have one target.
//! - M7 A specification is refused whole, with every fault in it, before anything is recorded.
//! - M8 No event holds a password.
//! - M9 The state is what the events say: a replay, or a snapshot and the events after it, give the same.
//!
//! # Never
//! Looks at a clock, reads an endpoint, decodes a document, or knows how work is leased: it says what it wants of the
//! work core as [`WorkIntent`]s and [`WorkItem`]s, in words of its own.
//!
//! ```
//! use capstan_ids::Position;
//! use capstan_migration::{Context, JobCommand, Jobs, Spec, Stamp, WorkIntent};
//!
//! let mut jobs = Jobs::default();
//! let spec: Spec = serde_json::from_str(r#"{"from": "dump:./backup", "to": "kv://shop", "include": ["shop.*"]}"#)?;
//! let decision = jobs.decide(&JobCommand::Submit { name: None, spec: Box::new(spec) }, Context::default())?;
//! for event in &decision.events {
//!     jobs.apply(Stamp { position: Position::new(1), ..Stamp::default() }, event);
//! }
//! assert!(matches!(&decision.work[..], [WorkIntent::OpenSession { items, .. }] if items[0].id.as_str() == "survey"));
//! assert_eq!(jobs.job(&decision.job).map(|job| job.units), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

mod adaptive;
mod address;
mod apply;
mod brief;
mod change;
mod command;
mod completed;
mod event;
mod facts;
mod invariants;
mod item;
mod limits;
mod name;
mod needs;
mod payload;
mod phase;
mod rejection;
mod report;
mod result;
mod selection;
mod settled;
mod snapshot;
mod spec;
mod stages;
mod state;
mod steer;
mod submit;
mod validate;
mod view;

pub use adaptive::{ADAPT_EVERY_MS, Controller, Sample};
pub use address::{hides_a_password, scheme};
pub use brief::{Brief, BriefText, RateShare, Sharing, UnitBrief};
pub use command::{Context, Decision, JobCommand, Stamp};
pub use completed::Completion;
pub use event::JobEvent;
pub use facts::{Cut, Dumped, DumpedChunk, Figures, Landed, LandedChunk, SetAside, SpoolPart, TargetPart, Verdict};
pub use invariants::Violation;
pub use item::{Stage, WorkIntent, WorkItem, WorkPolicy, WorkWait};
pub use limits::{CHUNKS_MAX, JOBS_MAX, RESULT_BYTES_MAX, SPOOL_PARTS_MAX, UNITS_MAX};
pub use name::{JobName, Namespace, UnitId};
pub use needs::Needs;
pub use payload::{CopyPayload, DumpPayload, RestorePayload, UnitPayload};
pub use phase::Phase;
pub use rejection::{Rejection, SpecFault};
pub use report::{Report, ReportState, UnitReport, Verified};
pub use result::{
    DumpResult, FoundUnit, IndexResult, PlanResult, PlannedRange, RestoreResult, ScanTime, SurveyResult, VerifyResult,
};
pub use selection::{Pattern, Selection};
pub use settled::Settled;
pub use snapshot::RestoreError;
pub use spec::{
    ChunkTarget, Compression, Engine, Filter, IndexTime, Mode, OnExhausted, Pools, Priority, Rates, Rename, Resources,
    Retry, Spec, Stuck, Verify, WriteMode,
};
pub use state::{End, Jobs};
pub use view::{ChunkState, ChunkView, JobView, Moved, UnitView};
