//! How a session hands out its work.

use capstan_ids::{LimitName, Millis};
use minicbor::{Decode, Encode};

/// A session's rules. The defaults are those of `/api/v1`.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Policy {
    /// Length of a lease when the worker wishes nothing else.
    #[n(0)]
    pub lease: Millis,
    /// The shortest lease a worker may wish for.
    #[n(1)]
    pub lease_min: Millis,
    /// The longest lease a worker may wish for, and where doubling ends.
    #[n(2)]
    pub lease_max: Millis,
    /// What each further grant of an item does to the length.
    #[n(3)]
    pub growth: LeaseGrowth,
    /// Counted attempts before an item has failed; none means unlimited.
    #[n(4)]
    pub attempts: Option<u32>,
    /// How long a failed attempt waits for the next.
    #[n(5)]
    pub backoff: Backoff,
    /// What a failed item does to its session.
    #[n(6)]
    pub on_exhausted: OnExhausted,
    /// Its share beside other sessions, 1 to 1,000.
    #[n(7)]
    pub weight: u32,
    /// Limits on live leases by kind or name.
    #[n(8)]
    pub limits: Vec<(LimitName, LimitValue)>,
    /// How many completed items are kept to look at, at least the last; none means all.
    #[n(9)]
    pub keep_completed: Option<u32>,
    /// A lease that got no further for so long is stuck, however often it is renewed; none means that nobody looks.
    #[n(10)]
    pub stuck_after: Option<Millis>,
    /// A stuck lease is taken back, and that counts as an attempt: else an item that stops its workers would go round
    /// for ever.
    #[n(11)]
    #[cbor(with = "crate::flag", has_nil)]
    pub revoke_stuck: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease: Millis::secs(300),
            lease_min: Millis(100),
            lease_max: Millis::secs(86_400),
            growth: LeaseGrowth::Fixed,
            attempts: Some(4),
            backoff: Backoff::None,
            on_exhausted: OnExhausted::Pause,
            weight: 1,
            limits: Vec::new(),
            keep_completed: Some(100_000),
            stuck_after: None,
            revoke_stuck: false,
        }
    }
}

impl Policy {
    /// The console contract's: 300 s fixed, unlimited attempts, no limits, everything kept.
    pub fn console() -> Self {
        Self { attempts: None, keep_completed: None, ..Self::default() }
    }

    /// A migration's: 30 s leases, everything kept.
    pub fn job() -> Self {
        Self { lease: Millis::secs(30), keep_completed: None, ..Self::default() }
    }
}

/// The most live leases of a limit: 1 to 4,096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct LimitValue(#[n(0)] u32);

impl LimitValue {
    /// The most a limit can be.
    pub const MAX: u32 = 4_096;

    /// Checks the range.
    pub const fn new(value: u32) -> Option<Self> {
        if value >= 1 && value <= Self::MAX { Some(Self(value)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What each further grant of an item does to the lease's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum LeaseGrowth {
    /// Nothing.
    #[n(0)]
    Fixed,
    /// Doubles it, up to the longest.
    #[n(1)]
    Doubling,
}

/// How long a failed attempt waits for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Backoff {
    /// Not at all.
    #[n(0)]
    None,
    /// Twice as long each time, with full jitter of a half, up to a cap.
    #[n(1)]
    Exponential {
        /// After the first failure.
        #[n(0)]
        initial: Millis,
        /// The longest.
        #[n(1)]
        cap: Millis,
    },
}

impl Backoff {
    /// The wait before the next attempt after `failures` of them; `random` spreads it over its upper half.
    pub fn delay(self, failures: u32, random: u64) -> Millis {
        match self {
            Self::None => Millis::ZERO,
            Self::Exponential { initial, cap } => {
                let doubled =
                    initial.get().saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
                let full = doubled.min(cap.get());
                let half = full / 2;
                Millis(half + if full > half { random % (full - half + 1) } else { 0 })
            }
        }
    }
}

/// What an item that failed for good does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum OnExhausted {
    /// Holders finish, then nothing new starts until somebody resumes.
    #[n(0)]
    Pause,
    /// The others go on.
    #[n(1)]
    Skip,
    /// The session's unfinished work is cancelled.
    #[n(2)]
    Fail,
}

/// Changes to a policy: only what is named.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PolicyChange {
    /// See [`Policy::lease`].
    #[n(0)]
    pub lease: Option<Millis>,
    /// See [`Policy::lease_max`].
    #[n(1)]
    pub lease_max: Option<Millis>,
    /// See [`Policy::growth`].
    #[n(2)]
    pub growth: Option<LeaseGrowth>,
    /// See [`Policy::attempts`]; the inner none means unlimited.
    #[n(3)]
    pub attempts: Option<Attempts>,
    /// See [`Policy::backoff`].
    #[n(4)]
    pub backoff: Option<Backoff>,
    /// See [`Policy::on_exhausted`].
    #[n(5)]
    pub on_exhausted: Option<OnExhausted>,
    /// See [`Policy::weight`].
    #[n(6)]
    pub weight: Option<u32>,
    /// See [`Policy::stuck_after`]; zero means that nobody looks.
    #[n(7)]
    pub stuck_after: Option<Millis>,
    /// See [`Policy::revoke_stuck`].
    #[n(8)]
    pub revoke_stuck: Option<bool>,
}

/// A number of attempts, or no end of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Attempts {
    /// So many.
    #[n(0)]
    Limited(#[n(0)] u32),
    /// No end of them.
    #[n(1)]
    Unlimited,
}

impl PolicyChange {
    /// The policy after this change.
    pub fn applied_to(&self, policy: &Policy) -> Policy {
        let mut changed = policy.clone();
        if let Some(lease) = self.lease {
            changed.lease = lease;
        }
        if let Some(longest) = self.lease_max {
            changed.lease_max = longest;
        }
        if let Some(growth) = self.growth {
            changed.growth = growth;
        }
        if let Some(attempts) = self.attempts {
            changed.attempts = match attempts {
                Attempts::Limited(most) => Some(most),
                Attempts::Unlimited => None,
            };
        }
        if let Some(backoff) = self.backoff {
            changed.backoff = backoff;
        }
        if let Some(on_exhausted) = self.on_exhausted {
            changed.on_exhausted = on_exhausted;
        }
        if let Some(weight) = self.weight {
            changed.weight = weight;
        }
        if let Some(after) = self.stuck_after {
            changed.stuck_after = Some(after).filter(|after| *after > Millis::ZERO);
        }
        if let Some(revoke) = self.revoke_stuck {
            changed.revoke_stuck = revoke;
        }
        changed
    }
}
