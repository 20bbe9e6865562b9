//! What a commit's row proves about it.

use capstan_ids::{Epoch, Position, WallTime};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use xxhash_rust::xxh3::Xxh3;

/// What is known of a commit beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub position: Position,
    pub epoch: Epoch,
    pub at: WallTime,
    pub events: u64,
}

impl Head {
    /// The commit's name, which is a sum over everything in it: offered again it is the same, and anything else at its
    /// position, or under another leadership, has another. A damaged row no longer has its name.
    pub fn id(&self, log: &str, body: &[u8]) -> [u8; 16] {
        let mut sum = Xxh3::new();
        sum.update(log.as_bytes());
        for number in [self.position.get(), self.epoch.get(), self.at.micros() as u64, self.events] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(body);
        sum.digest128().to_le_bytes()
    }
}

/// A name that nothing else has: each of the standard library's hash states is seeded by the system.
pub(crate) fn drawn() -> [u8; 16] {
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    let mut drawn = [0; 16];
    drawn[..8].copy_from_slice(&half());
    drawn[8..].copy_from_slice(&half());
    drawn
}

/// Cassandra's numbers have a sign; positions and epochs stay far below it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("positions, epochs and sizes are below 2^63")
}

/// A position as a column holds it.
pub(crate) fn position(number: i64) -> Position {
    Position::new(number.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_one_name_and_any_other_has_another() {
        let head = Head { position: Position::new(7), epoch: Epoch::new(2), at: WallTime(-3), events: 1 };
        let id = head.id("main", b"body");

        assert_eq!(id, head.id("main", b"body"));
        for other in [
            head.id("other", b"body"),
            head.id("main", b"bodY"),
            Head { position: Position::new(8), ..head }.id("main", b"body"),
            Head { epoch: Epoch::new(3), ..head }.id("main", b"body"),
            Head { at: WallTime(-4), ..head }.id("main", b"body"),
            Head { events: 2, ..head }.id("main", b"body"),
        ] {
            assert_ne!(id, other);
        }
    }
}
