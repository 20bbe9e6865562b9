//! Pipelines, health and admission: the pure decisions of the registry.
//!
//! A pipeline is anything that runs and says so: a migration's job, or a program of somebody's own. It registers, says
//! what it is doing and what it uses, and leaves. The registry knows what is running, whether it is healthy, and whether
//! there is room for more. [`Registry::decide`] says what would happen, [`Registry::apply`] makes it so, and
//! [`Registry::perform`] does both for a caller that journals the events before it answers.
//!
//! # Promises
//! - R1 An id is registered once at a time; a report of an unknown one changes nothing.
//! - R2 Totals are exactly the sum of the entries, and counters a recount, at every moment.
//! - R3 No reservation brings what is claimed above a limit; lower limits take nothing back. To check and to take is one
//!   step, so that two askers cannot both get the last place.
//! - R4 A pipeline counts in admission with the larger of what it reserved and what it uses.
//! - R5 Whoever waits for room gets it by priority, then first come, first served; nobody is overtaken by one that is
//!   not more urgent, however small. Nobody both holds room and waits for it.
//! - R6 Heartbeats are never journalled. Of status and of usage there is at most one event a pipeline a second, and the
//!   last one wins, whether its leader or its pipeline goes before the second is over; beyond 100 usage events a second, a pipeline's is at most a minute old.
//! - R7 A pipeline that has not ended and is silent for too long is marked stale, once; what has ended or is stale is
//!   kept for a time and then leaves.
//! - R8 Only the coordinator's clocks decide. A new leader counts its start as everyone's heartbeat, and begins every
//!   reservation at its full term.
//! - R9 The facts are what the events say: a replay, or a snapshot and the events after it, give the same.
//! - R10 A rejection has changed nothing; everything has a stated limit.
//! - R11 Health follows from the counts alone: idle without pipelines, healthy without failures, critical from half on.
//! - R12 Costs only grow, and no time is charged twice.
//! - R13 Since when health is what it is, and what it was before, follows from the events alone.
//! - R14 Health is told of once it has been other than what was told last for as long as the policy says; nothing is told
//!   twice but reminders and what a new leader repeats, under the id it had; whatever was told of is resolved.
//!
//! # Never
//! Looks at a clock, draws a random number, waits, or touches a disk or a socket: time comes in as an argument. Nothing
//! has happened until the events are durable. No figure is a floating-point number inside, so nothing drifts.
//!
//! ```
//! use capstan_ids::Moment;
//! use capstan_registry::{Answer, Command, Health, PipelineId, PipelineName, Register, Registry, Reserve};
//!
//! let mut registry = Registry::new();
//! let mut journal = Vec::new();
//! let mut ask = |command| registry.perform(&command, Moment::default(), &mut |event| journal.push(event.clone()));
//! let orders = PipelineId::new("orders")?;
//!
//! let Answer::Reservation(room) = ask(Command::Reserve(Reserve::new(orders.clone(), 15.5, 2_048)))? else { panic!() };
//! assert!(room.is_held());
//! let name = PipelineName::new("Orders to search")?;
//! let Answer::Registered { system, .. } = ask(Command::Register(Register::new(orders, name)))? else { panic!() };
//! assert_eq!((system.health, system.availability.free.memory_mb), (Health::Healthy, 77_952));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

mod alert;
mod answer;
mod apply;
mod command;
mod cost;
mod course;
mod decide;
mod event;
mod health;
mod history;
mod invariants;
pub mod limits;
mod name;
mod pipeline;
mod rejection;
mod reservation;
mod resources;
mod rules;
mod snapshot;
mod state;
mod status;
mod view;

pub use alert::{Alert, AlertPolicy, Alerting, PolicyError, Severity};
pub use answer::{Answer, Reported};
pub use command::{Command, Register, Reserve, StatusReport};
pub use cost::Cost;
pub use course::Course;
pub use decide::Decision;
pub use event::{Ending, Event, Leaving};
pub use health::Health;
pub use history::Fact;
pub use invariants::Violation;
pub use name::{LabelKey, LabelValue, Labels, PipelineGroup, PipelineId, PipelineName};
pub use rejection::Rejection;
pub use resources::{Cpu, Resources};
pub use rules::{Rules, RulesChange};
pub use snapshot::{RegistryRestore, RestoreError, Slice};
pub use state::Registry;
pub use status::{PipelineStatus, StatusUnknown};
pub use view::{Availability, Listing, Page, PipelineView, ReservationView, SystemView};

/// The persistence id of the one registry, as the seed names it.
pub const PERSISTENCE_ID: &str = "global-coordinator";
/// The tag of its events, as the seed names it.
pub const TAG: &str = "coordinator";
/// The stream of the journal that its events are in.
pub const STREAM: &str = "registry";
