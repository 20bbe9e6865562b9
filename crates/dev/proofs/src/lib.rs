//! Long proofs: real processes, real kills, and a judge of what the clients saw.
//!
//! A run puts many clients on one session, does something to the server, and writes down every request and what became
//! of it. When everything is drained, [`check`] reads the [`history`] and the state at the end and names each promise
//! that was broken; [`story`] tells the shortest history that shows it.
//!
//! # Promises
//! - A proof ends by itself, within a stated time, and its exit status is the verdict.
//! - It kills only processes it has started, by their id, and leaves none behind.
//! - What the judge accuses is broken for certain: an unknown outcome is taken for both.

pub mod asking;
pub mod bulk;
pub mod check;
pub mod churn;
pub mod crowd;
pub mod dice;
pub mod door;
pub mod failover;
pub mod history;
pub mod kills;
pub mod million;
pub mod mortal;
pub mod player;
pub mod server;
pub mod story;
pub mod torn;
pub mod worker_lost;
