//! Why a command was refused: nothing has changed.

use capstan_ids::{GateName, GroupName, ItemId, SessionName, WallTime};

/// One variant for each thing the caller could do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such session.
    #[error("session {0} does not exist; create it first, or check the name")]
    SessionUnknown(SessionName),
    /// There is one of that name.
    #[error("session {0} exists already; choose another name, or use the one there is")]
    SessionExists(SessionName),
    /// The session takes no changes any more.
    #[error("session {0} is {1}: it takes no new work; open another")]
    SessionEnded(SessionName, &'static str),
    /// No such item.
    #[error("item {item:?} does not exist in session {session}")]
    ItemUnknown {
        /// Where it was looked for.
        session: SessionName,
        /// Its id.
        item: ItemId,
    },
    /// It exists with other content.
    #[error("item {item:?} exists in session {session} with another {field}; use another id, or send the same content")]
    ItemConflict {
        /// Where.
        session: SessionName,
        /// Its id.
        item: ItemId,
        /// Which field differs.
        field: &'static str,
    },
    /// One request names it twice with different content.
    #[error("item {item:?} comes twice in one request with another {field}")]
    ItemTwice {
        /// Its id.
        item: ItemId,
        /// Which field differs.
        field: &'static str,
    },
    /// The lease is somebody else's, or nobody's.
    #[error("item {item:?} is not held by {asker}: {state}; acquire work again")]
    NotHolder {
        /// Its id.
        item: ItemId,
        /// Who asked.
        asker: String,
        /// Who holds it, or its state.
        state: String,
    },
    /// The lease has run out.
    #[error("the lease of {item:?} ran out at {at:?}; stop that work and acquire again")]
    LeaseExpired {
        /// Its id.
        item: ItemId,
        /// When.
        at: WallTime,
    },
    /// The lease was taken back.
    #[error(
        "the lease of {item:?} was revoked ({reason}); stop at once and release it, with a checkpoint if there is one"
    )]
    LeaseRevoked {
        /// Its id.
        item: ItemId,
        /// Why.
        reason: String,
    },
    /// It is done, by somebody else or with another outcome.
    #[error("item {item:?} was completed already by {by}; its outcome is final")]
    AlreadyCompleted {
        /// Its id.
        item: ItemId,
        /// Who completed it.
        by: String,
    },
    /// It is done, cancelled or otherwise not in a state for this.
    #[error("item {item:?} is {state}; {expected}")]
    ItemState {
        /// Its id.
        item: ItemId,
        /// Its state.
        state: &'static str,
        /// What the command needs.
        expected: &'static str,
    },
    /// A second list of successors differs from the first.
    #[error("item {item:?} was completed with other successors; the first list stands")]
    OtherSuccessors {
        /// The parent.
        item: ItemId,
    },
    /// A successor that cannot be.
    #[error("successor {successor:?} of {item:?} {why}")]
    BadSuccessor {
        /// The parent.
        item: ItemId,
        /// The successor.
        successor: ItemId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The group has been empty, and stays so.
    #[error("group {0} is complete and takes nothing more; hold a gate in a group that is filled in steps")]
    GroupComplete(String),
    /// Groups would wait for each other.
    #[error("item {item:?} would make group {group} wait for itself")]
    GroupCycle {
        /// The item that would close the circle.
        item: ItemId,
        /// A group on it.
        group: String,
    },
    /// No such gate is held.
    #[error("group {group} holds no gate {gate} in session {session}")]
    GateUnknown {
        /// Where.
        session: SessionName,
        /// The group.
        group: GroupName,
        /// The gate.
        gate: GateName,
    },
    /// A figure is out of its range.
    #[error("{field} must be {expected}, found {found}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A stated limit is reached.
    #[error("{what} would exceed the limit of {limit}; {advice}")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
    /// Whoever the work is done for cannot take its result.
    #[error("the result of item {item:?} is refused: {problem}")]
    ResultRefused {
        /// Its id.
        item: ItemId,
        /// What was expected and what was found.
        problem: String,
    },
    /// The session is not in a state for this.
    #[error("session {session} is {state}; {expected}")]
    SessionState {
        /// Which.
        session: SessionName,
        /// Its state.
        state: &'static str,
        /// What the command needs.
        expected: &'static str,
    },
}
