//! A session's rules as options.

use crate::failure::Failure;
use crate::input::{self, Count};
use capstan_client::v1;
use clap::{Args, ValueEnum};
use std::time::Duration;

/// What each further grant of an item does to the lease.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Growth {
    /// Nothing
    Fixed,
    /// Doubles it, up to the longest
    Doubling,
}

/// What an item that failed for good does to its session.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnExhausted {
    /// Nothing new starts until somebody resumes
    Pause,
    /// The others go on
    Skip,
    /// The unfinished work is cancelled
    Fail,
}

/// Rules that may be changed later.
#[derive(Args, Debug)]
pub struct ChangedRules {
    /// Length of a lease when the worker wishes nothing else [default: 5m]
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    lease: Option<Duration>,
    /// The longest lease a worker may wish for [default: 1d]
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    lease_max: Option<Duration>,
    /// What each further grant of an item does to its lease [default: fixed]
    #[arg(long, value_enum)]
    lease_growth: Option<Growth>,
    /// Attempts that count before an item has failed, or unlimited [default: 4]
    #[arg(long, value_parser = input::count, value_name = "N")]
    attempts: Option<Count>,
    /// How long a failed attempt waits for the next: INITIAL..CAP or none [default: none]
    #[arg(long, value_parser = input::backoff, value_name = "RANGE")]
    backoff: Option<v1::Backoff>,
    /// What an item that failed for good does to its session [default: pause]
    #[arg(long, value_enum)]
    on_exhausted: Option<OnExhausted>,
    /// Its share beside other sessions, 1 to 1000 [default: 1]
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// How long a lease may go without progress before it counts as stuck; 0s is never [default: never]
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    stuck_after: Option<Duration>,
    /// Whether a stuck lease is taken back, which counts as an attempt [default: false]
    #[arg(long, value_name = "BOOL")]
    revoke_stuck: Option<bool>,
}

/// All rules.
#[derive(Args, Debug)]
pub struct Rules {
    #[command(flatten)]
    changeable: ChangedRules,
    /// The shortest lease a worker may wish for [default: 100ms]
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    lease_min: Option<Duration>,
    /// Limit live leases of a kind, or of any name that items carry; repeat for more
    #[arg(long = "limit", value_parser = input::limit, value_name = "NAME=N")]
    limits: Vec<(String, Option<u32>)>,
    /// How many completed items are kept to look at, or all [default: 100000]
    #[arg(long, value_parser = input::count, value_name = "N")]
    keep_completed: Option<Count>,
}

impl ChangedRules {
    /// What changes; the rest stays.
    pub fn change(&self) -> v1::PolicyChange {
        v1::PolicyChange {
            lease_ms: self.lease.map(millis),
            lease_max_ms: self.lease_max.map(millis),
            lease_growth: self.growth() as i32,
            attempts: self.attempts.map(attempts),
            backoff: self.backoff,
            on_exhausted: self.on_exhausted() as i32,
            weight: self.weight,
            stuck_after_ms: self.stuck_after.map(millis),
            revoke_stuck: self.revoke_stuck,
        }
    }

    fn growth(&self) -> v1::LeaseGrowth {
        match self.lease_growth {
            None => v1::LeaseGrowth::Unspecified,
            Some(Growth::Fixed) => v1::LeaseGrowth::Fixed,
            Some(Growth::Doubling) => v1::LeaseGrowth::Doubling,
        }
    }

    fn on_exhausted(&self) -> v1::OnExhausted {
        match self.on_exhausted {
            None => v1::OnExhausted::Unspecified,
            Some(OnExhausted::Pause) => v1::OnExhausted::Pause,
            Some(OnExhausted::Skip) => v1::OnExhausted::Skip,
            Some(OnExhausted::Fail) => v1::OnExhausted::Fail,
        }
    }
}

impl Rules {
    /// The rules of a new session.
    pub fn policy(&self) -> Result<v1::Policy, Failure> {
        let limit = |(name, value): &(String, Option<u32>)| match value {
            Some(value) => Ok(v1::Limit { name: name.clone(), value: *value }),
            None => {
                Err(Failure::Usage(format!("a new session has no limit {name} that could be lifted; leave it out")))
            }
        };
        Ok(v1::Policy {
            lease_ms: self.changeable.lease.map(millis),
            lease_min_ms: self.lease_min.map(millis),
            lease_max_ms: self.changeable.lease_max.map(millis),
            lease_growth: self.changeable.growth() as i32,
            attempts: self.changeable.attempts.map(attempts),
            backoff: self.changeable.backoff,
            on_exhausted: self.changeable.on_exhausted() as i32,
            weight: self.changeable.weight,
            limits: self.limits.iter().map(limit).collect::<Result<_, _>>()?,
            keep_completed: match self.keep_completed {
                Some(Count::Limited(most)) => Some(most),
                Some(Count::Unlimited) | None => None,
            },
            keep_all_completed: self.keep_completed == Some(Count::Unlimited),
            stuck_after_ms: self.changeable.stuck_after.map(millis),
            revoke_stuck: self.changeable.revoke_stuck.unwrap_or_default(),
        })
    }
}

/// On the wire, no attempts stand for no end of them; nobody can want none at all.
fn attempts(count: Count) -> u32 {
    match count {
        Count::Limited(most) => most,
        Count::Unlimited => 0,
    }
}

fn millis(length: Duration) -> u64 {
    length.as_millis() as u64
}
