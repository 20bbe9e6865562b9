//! Workers over the real coordinator, the real journal, the real spool and real dumps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apart;
mod crashes;
mod flaky;
mod gate;
mod journeys;
mod mendable;
mod misfortunes;
mod modes;
mod picky;
mod servers;
mod stage;
mod steering;
mod through;
mod trap;
