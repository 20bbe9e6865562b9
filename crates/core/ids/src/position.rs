//! Places in the journal, and the fencing numbers made from them.

use minicbor::{Decode, Encode};
use std::fmt;

/// The place of one event in the journal: the first event has 1, and each event has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Position(#[n(0)] u64);

impl Position {
    /// Before the first event: what an empty journal has reached.
    pub const ZERO: Self = Self(0);
    /// The highest position there may be; above it a double no longer holds every integer.
    pub const MAX: Self = Self((1 << 53) - 1);
    /// How far a restored journal jumps, so that tokens given after its backup was taken stay stale.
    pub const RESTORE_LEAP: u64 = 1 << 44;

    /// The position with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `events` further on.
    #[must_use]
    pub const fn plus(self, events: u64) -> Self {
        Self(self.0 + events)
    }

    /// How many events lie between `earlier` and this one.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number that fences a lease: the position of the event that granted it, so it grows with every grant anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Token(#[n(0)] u64);

impl Token {
    /// The token of a grant whose event stands at `position`.
    pub const fn granted_at(position: Position) -> Self {
        Self(position.0)
    }

    /// A token as a client sent it; whether it is anybody's is decided where it is used.
    pub const fn from_wire(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a leadership: each leader's is higher than that of every leader before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Epoch(#[n(0)] u64);

impl Epoch {
    /// No leadership yet.
    pub const ZERO: Self = Self(0);

    /// The epoch with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next leadership's.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
