//! Builders of names, items and commands that leave out what a test does not care about.

use capstan_ids::{GateName, GroupName, IdempotencyKey, ItemId, Kind, LimitName, Millis, SessionName, WorkerId};
use capstan_work::{
    Acquire, Command, Complete, Conflicts, Grant, Holder, LimitValue, NewItem, OnExhausted, Policy, Progress, WaitsFor,
};

pub fn session(name: &str) -> SessionName {
    SessionName::new(name).expect("a valid name")
}

pub fn shop() -> SessionName {
    session("shop")
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).expect("a valid name")
}

pub fn id(name: &str) -> ItemId {
    ItemId::new(name).expect("a valid name")
}

pub fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("a valid name")
}

pub fn gate(name: &str) -> GateName {
    GateName::new(name).expect("a valid name")
}

pub fn limit(name: &str) -> LimitName {
    LimitName::new(name).expect("a valid name")
}

pub fn kind(name: &str) -> Kind {
    Kind::new(name).expect("a valid name")
}

pub fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).expect("a valid name")
}

pub fn most(value: u32) -> LimitValue {
    LimitValue::new(value).expect("1 to 4,096")
}

pub const fn secs(seconds: u64) -> Millis {
    Millis::secs(seconds)
}

pub fn item(name: &str) -> NewItem {
    NewItem::new(id(name))
}

pub fn item_of(name: &str, documents: u64) -> NewItem {
    NewItem { document_count: documents, ..item(name) }
}

pub fn item_in(name: &str, groups: &[&str]) -> NewItem {
    NewItem { groups: groups.iter().map(|name| group(name)).collect(), ..item(name) }
}

pub fn waiting_for_group(name: &str, awaited: &str) -> NewItem {
    NewItem { waits_for: vec![WaitsFor::Group(group(awaited))], ..item(name) }
}

pub fn waiting_for_item(name: &str, awaited: &str) -> NewItem {
    NewItem { waits_for: vec![WaitsFor::Item(id(awaited))], ..item(name) }
}

pub fn limited_by(name: &str, limits: &[&str]) -> NewItem {
    NewItem { limits: limits.iter().map(|name| limit(name)).collect(), ..item(name) }
}

pub fn of_kind(name: &str, sort: &str) -> NewItem {
    NewItem { kind: kind(sort), ..item(name) }
}

pub fn undo(name: &str) -> NewItem {
    NewItem { undo: true, ..item(name) }
}

pub fn urgent(name: &str, priority: i16) -> NewItem {
    NewItem { priority, ..item(name) }
}

/// The default policy, but an item that fails stops nobody.
pub fn skipping(attempts: u32) -> Policy {
    Policy { attempts: Some(attempts), on_exhausted: OnExhausted::Skip, ..Policy::default() }
}

pub fn adding(items: Vec<NewItem>) -> Command {
    Command::AddItems { session: shop(), items, gates: vec![], conflicts: Conflicts::Refuse }
}

pub fn renewing(grant: &Grant, documents: Option<u64>, checkpoint: Option<&str>) -> Command {
    Command::Renew {
        session: grant.session.clone(),
        item: id(grant.body.id()),
        holder: Holder::Token(grant.token),
        progress: documents.map(|documents| Progress { documents, bytes: 0 }),
        checkpoint: checkpoint.map(Into::into),
        lease: None,
    }
}

pub fn failing(grant: &Grant) -> Command {
    Command::Fail {
        session: grant.session.clone(),
        item: id(grant.body.id()),
        holder: Holder::Token(grant.token),
        error: "it broke".into(),
        permanent: false,
        retry_after: None,
        checkpoint: None,
    }
}

pub fn failing_for_good(grant: &Grant) -> Command {
    match failing(grant) {
        Command::Fail { session, item, holder, error, retry_after, checkpoint, .. } => {
            Command::Fail { session, item, holder, error, permanent: true, retry_after, checkpoint }
        }
        _ => unreachable!("`failing` fails"),
    }
}

pub fn releasing(grant: &Grant) -> Command {
    Command::Release {
        session: grant.session.clone(),
        item: id(grant.body.id()),
        holder: Holder::Token(grant.token),
        progress: None,
        checkpoint: None,
    }
}

pub fn completing(grant: &Grant) -> Complete {
    Complete::new(grant.session.clone(), id(grant.body.id()), Holder::Token(grant.token))
}

pub fn pausing(immediate: bool) -> Command {
    Command::Pause { session: shop(), immediate, reason: "maintenance".into() }
}

pub fn resuming() -> Command {
    Command::Resume { session: shop() }
}

pub fn cancelling() -> Command {
    Command::Cancel { session: shop(), reason: "not needed".into() }
}

pub fn cancelling_item(name: &str) -> Command {
    Command::CancelItem { session: shop(), item: id(name) }
}

pub fn deleting_item(name: &str) -> Command {
    Command::DeleteItem { session: shop(), item: id(name) }
}

pub fn limiting(name: &str, value: Option<u32>) -> Command {
    Command::SetLimit { session: Some(shop()), name: limit(name), value: value.map(most) }
}

pub fn limiting_all(name: &str, value: Option<u32>) -> Command {
    Command::SetLimit { session: None, name: limit(name), value: value.map(most) }
}

pub fn holding_gate(name: &str, held: &str) -> Command {
    Command::HoldGate { session: shop(), group: group(name), gate: gate(held) }
}

pub fn opening_gate(name: &str, held: &str) -> Command {
    Command::OpenGate { session: shop(), group: group(name), gate: gate(held) }
}

pub fn acquiring(name: &str) -> Acquire {
    Acquire::from(shop(), worker(name))
}

pub fn acquiring_item(name: &str, wanted: &str) -> Acquire {
    Acquire { item: Some(id(wanted)), ..acquiring(name) }
}
