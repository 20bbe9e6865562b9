//! The REST interface over a real coordinator on an embedded journal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alert_rules;
mod contract;
mod defects;
mod description;
mod expression;
mod histories;
mod hostile;
mod ids;
mod jobs;
mod leases;
mod logs;
mod pipelines;
mod problems;
mod room;
mod serving;
mod sessions;
mod steering;
mod watching;
mod world;
