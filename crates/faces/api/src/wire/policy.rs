//! A session's rules as they come in and go out.

use crate::problem::Problem;
use capstan_ids::{LimitName, Millis};
use capstan_work::{Attempts, LimitValue, Policy, PolicyChange};
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// A session's rules; what is left out has its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// Length of a lease when the worker wishes nothing else; 300,000 by default.
    #[serde(default)]
    pub lease_ms: Option<u64>,
    /// The shortest lease a worker may wish for; 100 by default.
    #[serde(default)]
    pub lease_min_ms: Option<u64>,
    /// The longest lease a worker may wish for, and where doubling ends; a day by default.
    #[serde(default)]
    pub lease_max_ms: Option<u64>,
    /// What each further grant of an item does to the length; `fixed` by default.
    #[serde(default)]
    pub lease_growth: Option<Growth>,
    /// Counted attempts before an item has failed, or `"unlimited"`; 4 by default.
    #[schema(value_type = Option<CountShape>)]
    #[serde(default)]
    pub attempts: Option<Count>,
    /// How long a failed attempt waits for the next; not at all by default.
    #[serde(default)]
    pub backoff: Option<Backoff>,
    /// What a failed item does to its session; `pause` by default.
    #[serde(default)]
    pub on_exhausted: Option<OnExhausted>,
    /// Its share beside other sessions; 1 by default.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(default)]
    pub weight: Option<u32>,
    /// Limits on live leases by kind or name.
    #[schema(value_type = BTreeMap<String, u32>)]
    #[serde(default)]
    pub limits: BTreeMap<String, u32>,
    /// How many completed items are kept to look at, or `"unlimited"`; 100,000 by default.
    #[schema(value_type = Option<CountShape>)]
    #[serde(default)]
    pub keep_completed: Option<Count>,
    /// A lease counts as stuck after so long without progress or a new checkpoint; never by default.
    #[serde(default)]
    pub stuck_after_ms: Option<u64>,
    /// A stuck lease is taken back, which counts as an attempt.
    #[serde(default)]
    pub revoke_stuck: Option<bool>,
}

/// What changes of a session's rules; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChangeSpec {
    /// Length of a lease when the worker wishes nothing else.
    #[serde(default)]
    pub lease_ms: Option<u64>,
    /// The longest lease a worker may wish for.
    #[serde(default)]
    pub lease_max_ms: Option<u64>,
    /// What each further grant of an item does to the length.
    #[serde(default)]
    pub lease_growth: Option<Growth>,
    /// Counted attempts before an item has failed, or `"unlimited"`.
    #[schema(value_type = Option<CountShape>)]
    #[serde(default)]
    pub attempts: Option<Count>,
    /// How long a failed attempt waits for the next.
    #[serde(default)]
    pub backoff: Option<Backoff>,
    /// What a failed item does to its session.
    #[serde(default)]
    pub on_exhausted: Option<OnExhausted>,
    /// Its share beside other sessions.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(default)]
    pub weight: Option<u32>,
    /// A lease counts as stuck after so long without progress or a new checkpoint; 0 for never.
    #[serde(default)]
    pub stuck_after_ms: Option<u64>,
    /// A stuck lease is taken back, which counts as an attempt.
    #[serde(default)]
    pub revoke_stuck: Option<bool>,
}

/// What each further grant does to a lease's length.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// Nothing.
    Fixed,
    /// Doubles it.
    Doubling,
}

/// How long a failed attempt waits for the next: `"none"` or `{"exponential": …}`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Not at all.
    None,
    /// Twice as long each time, with jitter, up to a cap.
    Exponential(Exponential),
}

/// Pauses that grow.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// After the first failure.
    initial_ms: u64,
    /// The longest.
    cap_ms: u64,
}

/// What a failed item does to its session.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// Holders finish, then nothing new starts until somebody resumes.
    Pause,
    /// The others go on.
    Skip,
    /// The session's unfinished work is cancelled.
    Fail,
}

/// A number, or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Limited(u32),
    /// No end of them.
    Unlimited,
}

/// A number, or `"unlimited"`.
#[derive(ToSchema)]
#[schema(as = Count)]
#[serde(untagged)]
pub enum CountShape {
    /// So many.
    Limited(u32),
    /// No end of them: the word `unlimited`.
    Unlimited(String),
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"unlimited\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number)
                    .map(Count::Limited)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Count, E> {
                if word == "unlimited" {
                    Ok(Count::Unlimited)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limited(number) => serializer.serialize_u32(*number),
            Self::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl From<Option<u32>> for Count {
    fn from(number: Option<u32>) -> Self {
        number.map_or(Self::Unlimited, Self::Limited)
    }
}

impl Count {
    const fn number(self) -> Option<u32> {
        match self {
            Self::Limited(number) => Some(number),
            Self::Unlimited => None,
        }
    }
}

impl PolicySpec {
    /// What it means to the core.
    pub fn lower(self) -> Result<Policy, Problem> {
        let default = Policy::default();
        let mut limits = Vec::with_capacity(self.limits.len());
        for (name, most) in self.limits {
            limits.push((LimitName::new(name)?, limit_value(most)?));
        }
        Ok(Policy {
            lease: self.lease_ms.map_or(default.lease, Millis),
            lease_min: self.lease_min_ms.map_or(default.lease_min, Millis),
            lease_max: self.lease_max_ms.map_or(default.lease_max, Millis),
            growth: self.lease_growth.map_or(default.growth, Growth::lower),
            attempts: self.attempts.map_or(default.attempts, Count::number),
            backoff: self.backoff.map_or(default.backoff, Backoff::lower),
            on_exhausted: self.on_exhausted.map_or(default.on_exhausted, OnExhausted::lower),
            weight: self.weight.unwrap_or(default.weight),
            limits,
            keep_completed: self.keep_completed.map_or(default.keep_completed, Count::number),
            stuck_after: self.stuck_after_ms.filter(|after| *after > 0).map(Millis),
            revoke_stuck: self.revoke_stuck.unwrap_or(default.revoke_stuck),
        })
    }
}

impl PolicyChangeSpec {
    /// What it means to the core.
    pub fn lower(self) -> PolicyChange {
        PolicyChange {
            lease: self.lease_ms.map(Millis),
            lease_max: self.lease_max_ms.map(Millis),
            growth: self.lease_growth.map(Growth::lower),
            attempts: self.attempts.map(|attempts| match attempts {
                Count::Limited(most) => Attempts::Limited(most),
                Count::Unlimited => Attempts::Unlimited,
            }),
            backoff: self.backoff.map(Backoff::lower),
            on_exhausted: self.on_exhausted.map(OnExhausted::lower),
            weight: self.weight,
            stuck_after: self.stuck_after_ms.map(Millis),
            revoke_stuck: self.revoke_stuck,
        }
    }
}

/// The most live leases of a limit, checked.
pub fn limit_value(most: u32) -> Result<LimitValue, Problem> {
    LimitValue::new(most).ok_or_else(|| Problem::out_of_range("limit", "1 to 4096", most))
}

impl Growth {
    fn lower(self) -> capstan_work::LeaseGrowth {
        match self {
            Self::Fixed => capstan_work::LeaseGrowth::Fixed,
            Self::Doubling => capstan_work::LeaseGrowth::Doubling,
        }
    }
}

impl Backoff {
    fn lower(self) -> capstan_work::Backoff {
        match self {
            Self::None => capstan_work::Backoff::None,
            Self::Exponential(Exponential { initial_ms, cap_ms }) => {
                capstan_work::Backoff::Exponential { initial: Millis(initial_ms), cap: Millis(cap_ms) }
            }
        }
    }
}

impl OnExhausted {
    fn lower(self) -> capstan_work::OnExhausted {
        match self {
            Self::Pause => capstan_work::OnExhausted::Pause,
            Self::Skip => capstan_work::OnExhausted::Skip,
            Self::Fail => capstan_work::OnExhausted::Fail,
        }
    }
}

/// A session's rules as they stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyAnswer {
    /// Length of a lease when the worker wishes nothing else.
    pub lease_ms: u64,
    /// The shortest lease a worker may wish for.
    pub lease_min_ms: u64,
    /// The longest lease a worker may wish for.
    pub lease_max_ms: u64,
    /// What each further grant of an item does to the length.
    pub lease_growth: Growth,
    /// Counted attempts before an item has failed.
    #[schema(value_type = CountShape)]
    pub attempts: Count,
    /// How long a failed attempt waits for the next.
    pub backoff: Backoff,
    /// What a failed item does to its session.
    pub on_exhausted: OnExhausted,
    /// Its share beside other sessions.
    pub weight: u32,
    /// How many completed items are kept.
    #[schema(value_type = CountShape)]
    pub keep_completed: Count,
    /// A lease counts as stuck after so long without progress; null is never.
    pub stuck_after_ms: Option<u64>,
    /// A stuck lease is taken back.
    pub revoke_stuck: bool,
}

impl From<&Policy> for PolicyAnswer {
    fn from(policy: &Policy) -> Self {
        Self {
            lease_ms: policy.lease.get(),
            lease_min_ms: policy.lease_min.get(),
            lease_max_ms: policy.lease_max.get(),
            lease_growth: match policy.growth {
                capstan_work::LeaseGrowth::Fixed => Growth::Fixed,
                capstan_work::LeaseGrowth::Doubling => Growth::Doubling,
            },
            attempts: policy.attempts.into(),
            backoff: match policy.backoff {
                capstan_work::Backoff::None => Backoff::None,
                capstan_work::Backoff::Exponential { initial, cap } => {
                    Backoff::Exponential(Exponential { initial_ms: initial.get(), cap_ms: cap.get() })
                }
            },
            on_exhausted: match policy.on_exhausted {
                capstan_work::OnExhausted::Pause => OnExhausted::Pause,
                capstan_work::OnExhausted::Skip => OnExhausted::Skip,
                capstan_work::OnExhausted::Fail => OnExhausted::Fail,
            },
            weight: policy.weight,
            keep_completed: policy.keep_completed.into(),
            stuck_after_ms: policy.stuck_after.map(Millis::get),
            revoke_stuck: policy.revoke_stuck,
        }
    }
}

/// A new value of a limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSpec {
    /// The most live leases.
    #[schema(minimum = 1, maximum = 4096)]
    pub most: u32,
}
