//! What an accepted command is answered with.

use crate::rules::Rules;
use crate::view::{PipelineView, ReservationView, SystemView};
use capstan_ids::Monotonic;

/// The answer to an accepted command. Nothing of it may be told before the events it saw are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A pipeline is known.
    Registered {
        /// Its state.
        pipeline: Box<PipelineView>,
        /// All of them together, with it.
        system: Box<SystemView>,
    },
    /// A pipeline is known no more.
    Unregistered {
        /// Its last state, with all that it has cost.
        pipeline: Box<PipelineView>,
        /// All of them together, without it.
        system: Box<SystemView>,
    },
    /// What became of a report or a heartbeat.
    Reported(Reported),
    /// Room is held, or waited for.
    Reservation(ReservationView),
    /// Room was given back, or is not waited for any more.
    Released,
    /// The rules as they are now.
    Rules(Rules),
    /// Time has passed; whether more is due than one step took.
    Ticked {
        /// Call again at once.
        more: bool,
    },
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It changed something, and is an event.
    Recorded,
    /// It came within a second of the last status event. It is in force, and an event, once that second is over, unless
    /// another one comes that wins. Who was promised that a status is durable is answered with that event.
    Held {
        /// When.
        until: Monotonic,
    },
    /// It changed nothing but when the pipeline was last heard of; or it is a usage figure, which counts from now on
    /// and is journalled later.
    Noted,
    /// There is no such pipeline: nothing changed, and somebody should be warned.
    Unknown,
}
