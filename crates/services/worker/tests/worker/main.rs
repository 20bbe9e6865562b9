//! Workers over the real coordinator, the real journal, the real spool and real dumps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod gate;
mod journeys;
mod misfortunes;
mod picky;
mod stage;
