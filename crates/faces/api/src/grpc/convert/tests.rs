//! What goes out comes back the same, and what means nothing is refused by its field.

use super::*;
use capstan_ids::{GroupName, ItemId, Kind, LimitName, Millis, WallTime};
use capstan_proto::v1;
use capstan_work::{Backoff, ItemBody, LeaseGrowth, LimitValue, NewItem, OnExhausted, Policy, WaitsFor};

fn full_item() -> NewItem {
    let mut item = NewItem::new(ItemId::new("orders/$7 ü").unwrap());
    item.kind = Kind::new("dump").unwrap();
    item.index_name = "orders".into();
    (item.shard_number, item.document_count, item.total_size_bytes, item.priority) = (3, 1 << 52, 7, -4);
    item.not_before = Some(WallTime(-1));
    item.groups = vec![GroupName::new("unit").unwrap()];
    item.waits_for =
        vec![WaitsFor::Group(GroupName::new("gate").unwrap()), WaitsFor::Item(ItemId::new("plan").unwrap())];
    item.limits = vec![LimitName::new("host:db1").unwrap()];
    item.undo = true;
    item.payload = Some(r#"{"a":[1,2]}"#.into());
    item
}

#[test]
fn an_item_comes_back_as_it_went() {
    let items = vec![full_item(), NewItem::new(ItemId::new("plain").unwrap()), full_item()];

    let specs = items.iter().map(|item| super::item::spec(&ItemBody::pack(item))).collect();

    assert_eq!(new_items(specs, "items").unwrap(), items);
}

#[test]
fn a_policy_comes_back_as_it_went() {
    let mine = Policy {
        lease: Millis(1_000),
        lease_min: Millis(50),
        lease_max: Millis(9_000),
        growth: LeaseGrowth::Doubling,
        attempts: None,
        backoff: Backoff::Exponential { initial: Millis(100), cap: Millis(5_000) },
        on_exhausted: OnExhausted::Skip,
        weight: 9,
        limits: vec![(LimitName::new("dump").unwrap(), LimitValue::new(4).unwrap())],
        keep_completed: None,
        stuck_after: Some(Millis(60_000)),
        revoke_stuck: true,
    };
    for policy in [mine, Policy::default(), Policy::console(), Policy::job()] {
        assert_eq!(super::policy(super::session::wire_policy(&policy)).unwrap(), policy);
    }
}

#[test]
fn an_empty_policy_is_the_default() {
    assert_eq!(policy(v1::Policy::default()).unwrap(), Policy::default());
}

#[test]
fn times_before_and_after_1970_come_back_to_the_microsecond() {
    for micros in [0, -1, 1, 1_763_923_140_123_456, -1_000_001, i64::MAX, i64::MIN] {
        let there = timestamp(WallTime(micros));
        assert!((0..1_000_000_000).contains(&there.nanos));
        match super::time::wall_time(&there, "at") {
            Ok(back) => assert_eq!(back, WallTime(micros)),
            // The very first second there is cannot be told apart from one before it.
            Err(_) => assert!(micros < i64::MIN + 1_000_000),
        }
    }
    let odd = prost_types::Timestamp { seconds: 0, nanos: -1 };
    assert!(super::time::wall_time(&odd, "at").unwrap_err().to_string().starts_with("at must be a time"));
}

#[test]
fn a_malformed_field_is_named_as_the_proto_file_names_it() {
    let item = |change: fn(&mut v1::ItemSpec)| {
        let mut spec = v1::ItemSpec { id: "a".into(), ..Default::default() };
        change(&mut spec);
        let good = v1::ItemSpec { id: "b".into(), ..Default::default() };
        new_items(vec![good, spec], "items").unwrap_err().field
    };
    let table = [
        (item(|i| i.id.clear()), "items[1].id"),
        (item(|i| i.kind = "Upper".into()), "items[1].kind"),
        (item(|i| i.priority = 40_000), "items[1].priority"),
        (item(|i| i.payload = Some("{".into())), "items[1].payload"),
        (item(|i| i.groups = vec!["ok".into(), String::new()]), "items[1].groups[1]"),
        (item(|i| i.waits_for = vec![v1::WaitsFor::default()]), "items[1].waits_for[0]"),
        (item(|i| i.limits = vec!["\n".into()]), "items[1].limits[0]"),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_lease_is_spoken_for_by_token_or_worker_and_never_by_nobody() {
    let request = |token, worker: &str| v1::ReleaseRequest {
        session: "shop".into(),
        item_id: "a".into(),
        token,
        worker_id: worker.into(),
        ..Default::default()
    };
    assert!(release(request(7, "")).is_ok());
    assert!(release(request(0, "alice")).is_ok());
    assert!(release(request(7, "alice")).is_ok());
    assert_eq!(release(request(0, "")).unwrap_err().field, "token");
}

#[test]
fn what_an_acquire_cannot_mean_is_refused() {
    let asked = |change: fn(&mut v1::AcquireRequest)| {
        let mut request =
            v1::AcquireRequest { worker_id: "w".into(), sessions: vec!["shop".into()], ..Default::default() };
        change(&mut request);
        acquire(request)
    };
    assert_eq!(asked(|_| {}).unwrap().0.max, 1);
    assert_eq!(asked(|r| r.wait_ms = 60_001).unwrap_err().field, "wait_ms");
    assert_eq!(asked(|r| r.worker_id.clear()).unwrap_err().field, "worker_id");
    let item_of_any_session = asked(|r| {
        r.item_id = "a".into();
        r.sessions.clear();
    });
    assert_eq!(item_of_any_session.unwrap_err().field, "sessions");
}

#[test]
fn completing_and_acquiring_takes_neither_wait_nor_key() {
    let request = v1::CompleteAndAcquireRequest {
        complete: Some(v1::CompleteRequest {
            session: "s".into(),
            item_id: "a".into(),
            token: 1,
            ..Default::default()
        }),
        next: Some(v1::AcquireRequest { worker_id: "w".into(), wait_ms: 5, ..Default::default() }),
    };
    assert_eq!(complete_and_acquire(request.clone()).unwrap_err().field, "next.wait_ms");

    let without = v1::CompleteAndAcquireRequest { next: None, ..request };
    assert_eq!(complete_and_acquire(without).unwrap_err().field, "next");
}

#[test]
fn a_verdict_and_a_stage_go_out_with_all_they_say() {
    let compared = capstan_migration::Figures { documents: 40, bytes: 900 };
    let found = capstan_migration::Verdict { different: 3, reordered: 2, compared, ..Default::default() };
    let verdict = super::job::verdict(found);
    let compared = v1::Figures { documents: 40, bytes: 900 };
    assert_eq!((verdict.different, verdict.reordered, verdict.compared), (3, 2, Some(compared)));

    let kind = Kind::new("dump").unwrap();
    let (pending, running, done, failed, waiting, blocked, cancelled) = (1, 2, 3, 4, 5, 6, 7);
    let status = capstan_coordinator::StageStatus { kind, pending, running, done, failed, waiting, blocked, cancelled };
    let kind = "dump".to_owned();
    let stage = v1::StageStatus { kind, pending, running, done, failed, waiting, blocked, cancelled };
    assert_eq!(super::job::stage(&status), stage);
}
