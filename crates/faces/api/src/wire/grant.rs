//! What workers are told: leases, why there is no work, what became of it.

use super::item::{Progress, Said};
use super::time;
use capstan_coordinator::Acquired;
use capstan_ids::WallTime;
use capstan_work::{Answer, Grant, NoWork};
use serde::Serialize;
use serde::ser::Serializer;
use utoipa::ToSchema;

/// A lease, and the item with it.
#[derive(Debug)]
pub struct LeaseAnswer(pub Grant);

/// A lease, and the item with it.
#[derive(Serialize, ToSchema)]
#[schema(as = Lease)]
pub struct LeaseShape<'a> {
    /// The item's session.
    pub session: &'a str,
    /// The item's id.
    pub id: &'a str,
    /// What sort of work it is.
    pub kind: &'a str,
    /// What fences the lease: send it with every call about it.
    pub token: u64,
    /// How long it lasts. Count from when you asked, by a clock that never goes back.
    pub lease_ms: u64,
    /// Its end by the server's clock, for people.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: WallTime,
    /// 1 for the first.
    pub attempt: u32,
    /// Where an earlier holder has got to.
    pub checkpoint: Option<&'a str>,
    /// How far an earlier holder has got.
    pub progress: Progress,
    /// What its maker said.
    #[serde(flatten)]
    #[schema(inline)]
    pub said: Said<'a>,
    /// Its priority when it was made.
    pub priority: i16,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: WallTime,
    /// When it was first handed out.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: WallTime,
}

impl Serialize for LeaseAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (grant, spec) = (&self.0, self.0.body.unpack());
        let shape = LeaseShape {
            session: grant.session.as_str(),
            id: spec.id.as_str(),
            kind: spec.kind.as_str(),
            token: grant.token.get(),
            lease_ms: grant.lease.get(),
            lease_expires_at: grant.expires,
            attempt: grant.attempt,
            checkpoint: grant.checkpoint.as_deref(),
            progress: grant.progress.into(),
            said: Said::by(&spec),
            priority: spec.priority,
            created_at: grant.created,
            started_at: grant.started,
        };
        shape.serialize(serializer)
    }
}

/// Work, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Acquired)]
pub struct AcquireAnswer {
    /// What is yours now; empty if there is nothing.
    #[schema(value_type = Vec<LeaseShape<'_>>)]
    pub leases: Vec<LeaseAnswer>,
    /// How long the request waited before the grant. The lease is counted from the grant.
    pub waited_ms: u64,
    /// Why there is nothing, where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Nothing>,
}

/// Why there is no work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nothing {
    /// `empty`, `all_done`, `held_by_others`, `at_limit`, `not_yet`, `paused`, `failed`, `other_kinds`, `ended` or
    /// `item_not_pending`.
    pub reason: &'static str,
    /// The same for people.
    pub detail: String,
}

impl AcquireAnswer {
    /// From what the coordinator answered; none if that was an answer to something else.
    pub fn from(acquired: Acquired) -> Option<Self> {
        let waited_ms = acquired.waited.as_millis() as u64;
        match acquired.answer {
            Answer::Granted(grants) => {
                Some(Self { leases: grants.into_iter().map(LeaseAnswer).collect(), waited_ms, nothing: None })
            }
            Answer::Nothing(why) => Some(Self { leases: Vec::new(), waited_ms, nothing: Some(Nothing::from(&why)) }),
            _ => None,
        }
    }
}

impl From<&NoWork> for Nothing {
    fn from(why: &NoWork) -> Self {
        let (reason, detail) = match why {
            NoWork::Empty => ("empty", "there are no items".to_owned()),
            NoWork::AllDone => ("all_done", "all items are done".to_owned()),
            NoWork::HeldByOthers { assigned } => ("held_by_others", format!("{assigned} items are held by others")),
            NoWork::AtLimit => ("at_limit", "items are ready, but a limit on live leases is reached".to_owned()),
            NoWork::NotYet { waiting } => {
                ("not_yet", format!("{waiting} items wait for a time, for a group or for their back-off"))
            }
            NoWork::Paused => ("paused", "the session is paused".to_owned()),
            NoWork::Failed { failed } => {
                ("failed", format!("{failed} items have failed, and what is left waits for them or is failed"))
            }
            NoWork::OtherKinds => ("other_kinds", "items are ready, but none of the kinds asked for".to_owned()),
            NoWork::Ended => ("ended", "the session has ended".to_owned()),
            NoWork::ItemNotPending(item, state) => ("item_not_pending", format!("item {item:?} is {state}")),
        };
        Self { reason, detail }
    }
}

/// A lease goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Renewed)]
pub struct RenewAnswer {
    /// Its length from now. Count from when you asked.
    pub lease_ms: u64,
    /// Its end by the server's clock, for people.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: WallTime,
}

/// An item is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Completed)]
pub struct CompleteAnswer {
    /// `completed`, or `deleted` if the item was deleted under its lease.
    pub state: &'static str,
    /// When it was completed.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<WallTime>,
    /// What is yours next, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<LeaseShape<'_>>>)]
    pub leases: Option<Vec<LeaseAnswer>>,
}

/// A failure or a release was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Returned)]
pub struct ReturnAnswer {
    /// The item's state now, or `deleted` if it was deleted under its lease.
    pub state: &'static str,
    /// Counted failures so far.
    pub attempts: u32,
}
