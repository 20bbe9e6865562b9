//! How far a piece of work has got.

use minicbor::{Decode, Encode};
use std::ops::{AddAssign, SubAssign};

/// Documents and bytes done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Progress {
    /// Documents.
    #[n(0)]
    pub documents: u64,
    /// Bytes.
    #[n(1)]
    pub bytes: u64,
}

impl Progress {
    /// Nothing done.
    pub const NONE: Self = Self { documents: 0, bytes: 0 };

    /// Whether either figure is above `best`.
    pub fn is_beyond(self, best: Self) -> bool {
        self.documents > best.documents || self.bytes > best.bytes
    }

    /// The higher of each figure.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { documents: self.documents.max(other.documents), bytes: self.bytes.max(other.bytes) }
    }
}

// Sums wrap, so that what was added can always be taken away again, whatever figures clients send.
impl AddAssign for Progress {
    fn add_assign(&mut self, other: Self) {
        self.documents = self.documents.wrapping_add(other.documents);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

impl SubAssign for Progress {
    fn sub_assign(&mut self, other: Self) {
        self.documents = self.documents.wrapping_sub(other.documents);
        self.bytes = self.bytes.wrapping_sub(other.bytes);
    }
}
