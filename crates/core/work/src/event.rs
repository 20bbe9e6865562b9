//! What has happened, as the journal keeps it.
//!
//! Fields are numbered: a later version may add optional ones at the end, and old events still read. An event names
//! its item by number, the count of items its session had been given before.

use crate::body::ItemBody;
use crate::policy::{LimitValue, Policy};
use crate::progress::Progress;
use crate::usage::Usage;
use capstan_ids::{GateName, GroupName, IdempotencyKey, LimitName, Millis, SessionName, Token, WorkerId};
use minicbor::{Decode, Encode};

/// Something that has happened to one session, or, for a limit, to all of them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Event {
    /// A session was opened.
    #[n(0)]
    SessionOpened {
        /// Its rules.
        #[n(0)]
        policy: Policy,
        /// What its owner keeps with it.
        #[n(1)]
        notes: Option<Box<str>>,
    },
    /// Its rules or notes changed.
    #[n(1)]
    SessionUpdated {
        /// The rules from now on.
        #[n(0)]
        policy: Policy,
        /// The notes from now on.
        #[n(1)]
        notes: Option<Box<str>>,
    },
    /// It was deleted; leases that lived then still count until they end.
    #[n(2)]
    SessionDeleted,
    /// An item was added; its number is the next one.
    #[n(3)]
    ItemAdded {
        /// The item.
        #[n(0)]
        body: ItemBody,
        /// The item it was made from.
        #[n(1)]
        parent: Option<u64>,
    },
    /// An item was leased; this event's position is the token.
    #[n(4)]
    ItemGranted {
        /// Which item.
        #[n(0)]
        number: u64,
        /// To whom.
        #[n(1)]
        worker: WorkerId,
        /// For how long.
        #[n(2)]
        length: Millis,
        /// What a repeat would say.
        #[n(3)]
        key: Option<GrantKey>,
    },
    /// A lease was renewed with something that must last: a checkpoint, a longer term, progress never reached before.
    #[n(5)]
    LeaseRenewed {
        /// Which item.
        #[n(0)]
        number: u64,
        /// For how long from now.
        #[n(1)]
        length: Millis,
        /// How far it has got.
        #[n(2)]
        progress: Progress,
        /// Where to go on from, if that moved.
        #[n(3)]
        checkpoint: Option<Box<str>>,
    },
    /// A lease was renewed with nothing that must last. Never journalled.
    #[n(6)]
    LeaseTouched {
        /// Which item.
        #[n(0)]
        number: u64,
        /// For how long from now.
        #[n(1)]
        length: Millis,
        /// How far it has got.
        #[n(2)]
        progress: Progress,
    },
    /// Progress that so far only memory had.
    #[n(7)]
    ProgressNoted {
        /// Which item.
        #[n(0)]
        number: u64,
        /// How far it has got.
        #[n(1)]
        progress: Progress,
    },
    /// An item is done, for good.
    #[n(8)]
    ItemCompleted {
        /// Which item.
        #[n(0)]
        number: u64,
        /// What came of it.
        #[n(1)]
        result: Option<Box<str>>,
        /// What it did itself.
        #[n(2)]
        done: Progress,
        /// A digest of its successors, if it has any.
        #[n(3)]
        successors: Option<u64>,
    },
    /// An attempt failed and another follows.
    #[n(9)]
    AttemptFailed {
        /// Which item.
        #[n(0)]
        number: u64,
        /// What went wrong.
        #[n(1)]
        error: Box<str>,
        /// How long it waits.
        #[n(2)]
        delay: Millis,
        /// How far it has got.
        #[n(3)]
        progress: Progress,
        /// Where to go on from, if that moved.
        #[n(4)]
        checkpoint: Option<Box<str>>,
    },
    /// The last attempt failed, or trying again is of no use.
    #[n(10)]
    ItemFailed {
        /// Which item.
        #[n(0)]
        number: u64,
        /// What went wrong.
        #[n(1)]
        error: Box<str>,
        /// How far it has got.
        #[n(2)]
        progress: Progress,
        /// Where to go on from, if that moved.
        #[n(3)]
        checkpoint: Option<Box<str>>,
        /// Its holder did not say so: its last lease ran out.
        #[n(4)]
        #[cbor(with = "crate::flag", has_nil)]
        ran_out: bool,
    },
    /// A lease was given back, or a revoked one was acknowledged or has run out.
    #[n(11)]
    LeaseReleased {
        /// Which item.
        #[n(0)]
        number: u64,
        /// How far it has got.
        #[n(1)]
        progress: Progress,
        /// Where to go on from, if that moved.
        #[n(2)]
        checkpoint: Option<Box<str>>,
    },
    /// A lease ran out and the item goes on.
    #[n(12)]
    LeaseExpired {
        /// Which item.
        #[n(0)]
        number: u64,
        /// Whether that used up an attempt.
        #[n(1)]
        counted: bool,
        /// How far it has got.
        #[n(2)]
        progress: Progress,
    },
    /// A lease was taken back; it lives on until its holder acknowledges or it runs out.
    #[n(13)]
    LeaseRevoked {
        /// Which item.
        #[n(0)]
        number: u64,
        /// Why.
        #[n(1)]
        reason: Box<str>,
        /// The item ends with it.
        #[n(2)]
        cancel: bool,
        /// It uses up an attempt.
        #[n(3)]
        #[cbor(with = "crate::flag", has_nil)]
        counted: bool,
    },
    /// An item ended undone.
    #[n(14)]
    ItemCancelled {
        /// Which item.
        #[n(0)]
        number: u64,
    },
    /// A failed item is pending again with a fresh set of attempts.
    #[n(15)]
    ItemRetried {
        /// Which item.
        #[n(0)]
        number: u64,
    },
    /// What an item waited for, a back-off or a time, is over.
    #[n(16)]
    ItemQueued {
        /// Which item.
        #[n(0)]
        number: u64,
    },
    /// An item was moved forward or back.
    #[n(17)]
    PrioritySet {
        /// Which item.
        #[n(0)]
        number: u64,
        /// Higher goes first.
        #[n(1)]
        priority: i16,
    },
    /// An item was removed.
    #[n(18)]
    ItemDeleted {
        /// Which item.
        #[n(0)]
        number: u64,
    },
    /// Every item was removed.
    #[n(19)]
    ItemsDeleted,
    /// The lease of a removed item was acknowledged or has run out.
    #[n(20)]
    GhostEnded {
        /// Its token.
        #[n(0)]
        token: Token,
    },
    /// A limit was set or lifted.
    #[n(21)]
    LimitSet {
        /// Which.
        #[n(0)]
        name: LimitName,
        /// How much, or no limit.
        #[n(1)]
        value: Option<LimitValue>,
    },
    /// A gate is held in a group.
    #[n(22)]
    GateHeld {
        /// In which.
        #[n(0)]
        group: GroupName,
        /// Which.
        #[n(1)]
        gate: GateName,
    },
    /// A gate was opened.
    #[n(23)]
    GateOpened {
        /// In which.
        #[n(0)]
        group: GroupName,
        /// Which.
        #[n(1)]
        gate: GateName,
    },
    /// Nothing new is handed out.
    #[n(24)]
    SessionPaused {
        /// Live leases were revoked with it.
        #[n(0)]
        immediate: bool,
        /// Why.
        #[n(1)]
        reason: Box<str>,
    },
    /// Work is handed out again; failed items are pending again.
    #[n(25)]
    SessionResumed,
    /// What was unfinished is cancelled; live leases were revoked.
    #[n(26)]
    SessionCancelled {
        /// Why.
        #[n(0)]
        reason: Box<str>,
    },
    /// The session is over.
    #[n(27)]
    SessionClosed,
    /// A sweep or an acquire has seen the leases that ran out. Never journalled.
    #[n(28)]
    ExpiriesSeen,
    /// A lease has got no further for too long. Never journalled.
    #[n(29)]
    LeaseStuck {
        /// Which item.
        #[n(0)]
        number: u64,
    },
    /// It was looked whether leases are stuck. Never journalled.
    #[n(30)]
    LeasesLooked,
    /// A worker has said how many items it does at a time, or what it uses. Of no session; never journalled.
    #[n(31)]
    WorkerSeen {
        /// Who.
        #[n(0)]
        worker: WorkerId,
        /// How many, where it says.
        #[n(1)]
        slots: Option<u32>,
        /// Sessions it works for; none means any.
        #[n(2)]
        sessions: Vec<SessionName>,
        /// How much, where it says.
        #[n(3)]
        usage: Option<Usage>,
    },
}

/// What makes a repeated grant answer as the first did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum GrantKey {
    /// The worker's own key.
    #[n(0)]
    Given(#[n(0)] IdempotencyKey),
    /// The token it completed in the same step.
    #[n(1)]
    After(#[n(0)] Token),
}

impl Event {
    /// Whether it is journalled; what is not lives in memory alone, takes no position, and a restart forgets it.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::LeaseTouched { .. }
                | Self::ExpiriesSeen
                | Self::LeaseStuck { .. }
                | Self::LeasesLooked
                | Self::WorkerSeen { .. }
        )
    }

    /// Appends its journal form.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        minicbor::encode(self, buffer).expect("writing to a vector cannot fail");
    }

    /// Reads its journal form.
    pub fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}
