//! What older versions wrote is read: events and snapshots without the fields that came later.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_migration::{Context, JobCommand, JobEvent, Jobs, Spec, Stamp, Verdict, Verify};

/// A list of at most 23 entries begins with this byte and its length.
const LIST: u8 = 0x80;

/// Phase, rounds, extra documents, rates, priorities and sized pools, of a job that has none of it.
const LATER: &[u8] = &[0, LIST, 0, 0xf6, LIST, LIST];

fn journal() -> (Jobs, Vec<JobEvent>) {
    let spec: Spec = toml::from_str("from = 'dump:a'\nto = 'dump:b'").unwrap();
    let mut jobs = Jobs::default();
    let submit = JobCommand::Submit { name: None, spec: Box::new(spec) };
    let decision = jobs.decide(&submit, Context::default()).unwrap();
    let mut events = decision.events;
    events.iter().for_each(|event| jobs.apply(Stamp::default(), event));
    let survey =
        r#"{"units": [{"source": {"database": "shop", "collection": "orders"}, "definition": {}, "bytes": 7}]}"#;
    let item = capstan_ids::ItemId::new("survey").unwrap();
    let found = jobs.completed(&decision.job.session(), &item, Some(survey), Context::default()).unwrap().events;
    found.iter().for_each(|event| jobs.apply(Stamp::default(), event));
    events.extend(found);
    (jobs, events)
}

fn encoded(event: &JobEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    bytes
}

/// The event as it was written before its last `fields` came: they are one byte each where they say nothing.
fn older(event: &JobEvent, fields: u8) -> Vec<u8> {
    let mut bytes = encoded(event);
    assert_eq!(bytes[2] & 0xe0, LIST, "its fields are a short list");
    bytes[2] -= fields;
    bytes.truncate(bytes.len() - usize::from(fields));
    bytes
}

#[test]
fn events_without_the_fields_that_came_later_say_nothing_of_them() {
    let (_, events) = journal();
    let mut checked = 0;
    for event in &events {
        let later = match event {
            JobEvent::UnitFound { .. } => 1,
            JobEvent::SourceSurveyed { .. } => 2,
            _ => continue,
        };
        assert_eq!(&JobEvent::decode(&older(event, later)).unwrap(), event);
        checked += 1;
    }
    assert_eq!(checked, 2);
    let refused = JobEvent::JobRefused { job: events[0].job().clone(), reasons: Vec::new(), round: 0 };
    assert_eq!(JobEvent::decode(&older(&refused, 1)).unwrap(), refused);
}

#[test]
fn a_snapshot_without_the_fields_that_came_later_is_the_same_state() {
    let (jobs, _) = journal();
    let mut rows = jobs.snapshot();
    // A row is a list of its number and a list of what it holds: here the list of the job's fields.
    let (head, at) = (&mut rows[0], 3);
    let fields = head[at] - LIST;
    assert_eq!(&head[head.len() - 6..], LATER, "what came later says nothing");
    head[at] = LIST + fields - 6;
    head.truncate(head.len() - 6);
    assert_eq!(Jobs::restore(rows).unwrap(), jobs);
}

#[test]
fn a_verdict_without_the_fields_that_came_later_compared_nothing_that_is_known() {
    let verdict = Verdict { mode: Verify::Hash, ranges: 3, missing: 1, ..Verdict::default() };
    let mut bytes = minicbor::to_vec(verdict).unwrap();
    // What came later is a number and a pair of numbers.
    assert_eq!((bytes[0], &bytes[bytes.len() - 4..]), (LIST + 8, &[0, LIST + 2, 0, 0][..]));
    bytes[0] = LIST + 6;
    bytes.truncate(bytes.len() - 4);
    assert_eq!(minicbor::decode::<Verdict>(&bytes).unwrap(), verdict);

    let told = r#"{"mode":"hash","ranges":3,"missing":1,"extra":0,"different":0,"repaired":0}"#;
    assert_eq!(serde_json::from_str::<Verdict>(told).unwrap(), verdict, "an older worker says less");
}

#[test]
fn an_event_cut_short_is_refused() {
    for event in journal().1 {
        let bytes = encoded(&event);
        for cut in 0..bytes.len() {
            assert!(JobEvent::decode(&bytes[..cut]).is_err(), "{event:?} cut at {cut}");
        }
    }
}
