//! Jobs from submission to their end, in every order, with repeats: driven as a work core would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod added;
mod driver;
mod ends;
mod items;
mod kept;
mod orders;
mod world;
