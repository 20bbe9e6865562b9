//! Ids, times and sizes, and nothing else.
//!
//! The words every other crate needs before it can say anything. Each is a newtype, so that a token is never
//! handed over as a position by mistake, and each name is checked once, where it enters.
//!
//! # Promises
//! - A value of a name type is valid: its constructor refused everything else, and said why.
//! - A [`Position`] stays below 2^53, so that JSON readers which only know doubles read it exactly.
//!
//! # Never
//! Looks at a clock, draws a random number, or knows what the ids are used for.
//!
//! ```
//! use capstan_ids::{ItemId, Position, SessionName, Token};
//!
//! let session = SessionName::new("shop-2026")?;
//! let item = ItemId::new("orders/$chunk 7")?;
//! let token = Token::granted_at(Position::new(41));
//! assert!(token < Token::granted_at(Position::new(42)));
//! assert_eq!(format!("{session} {item} {token}"), "shop-2026 orders/$chunk 7 41");
//! # Ok::<(), capstan_ids::NameError>(())
//! ```

mod moment;
mod name;
mod position;
mod secret;

pub use moment::{Millis, Moment, Monotonic, WallTime};
pub use name::{
    GateName, GroupName, IdempotencyKey, ItemId, Kind, LimitName, NameError, SessionName, StreamName, WorkerId,
    printable,
};
pub use position::{Epoch, Position, Token};
pub use secret::{secrets_in_options, stands_for_a_secret};
