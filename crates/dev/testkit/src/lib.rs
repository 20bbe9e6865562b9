//! Builders, fixtures and generated data for tests and demonstrations.
//!
//! [`shop`] makes a believable shop as a mongodump directory of any size; [`raw`] writes BSON without a
//! tree in between; [`Random`] is a generator whose numbers are the same everywhere; [`skipped`] and [`shared_data`] let a test
//! say that something it needs is not there.
#![warn(missing_docs)]

mod beside;
mod random;
pub mod raw;
pub mod shop;

pub use beside::{shared_data, skipped};
pub use random::Random;
