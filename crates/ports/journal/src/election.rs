//! The register that says who leads, where several servers share one journal.
//!
//! The store only keeps one [`Standing`] and replaces it atomically. It knows no clock: a standby watches the standing,
//! and only where it has not changed for a whole term *by the watcher's own monotonic clock* may it take the lead with
//! the next epoch. So no two machines' clocks are ever compared. The register decides when somebody tries to lead; what
//! keeps a deposed leader from writing is the journal, which refuses its epoch.

use crate::port::JournalError;
use capstan_ids::Epoch;

/// A register in the shared store. Calls block, and are bounded in time.
pub trait Election: Send {
    /// What the register holds, read so that every replacement that was ever answered is seen (a serial read).
    /// [`Standing::default`] where nobody has ever led.
    fn standing(&mut self) -> Result<Standing, JournalError>;

    /// Puts `next` where `seen` stands, in one atomic step, and durably.
    ///
    /// An error may mean that it was replaced and the answer was lost: read the standing to see whose it is.
    fn replace(&mut self, seen: &Standing, next: &Standing) -> Result<Replaced, JournalError>;
}

/// What the register holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The leadership; zero where nobody has ever led.
    pub epoch: Epoch,
    /// Grows with every sign of life within an epoch.
    pub beat: u64,
    /// Who leads; nobody, where the last leader stepped down.
    pub leader: Option<Candidate>,
}

/// A server that leads or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// One life of one server: no two starts share it.
    pub server: String,
    /// Where clients reach it, as it published it.
    pub address: String,
}

/// What became of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It stands.
    Yes,
    /// Something else stood there: this.
    No(Standing),
}
