//! What stays, and what goes.

use super::{job, part, write};
use crate::error::SpoolError;
use crate::name::PartName;
use crate::port::{Keep, Spool};
use capstan_ids::Token;

pub async fn a_deleted_part_is_missing_and_may_be_deleted_again(spool: &dyn Spool) {
    let (facts, _) = write(spool, part("deleted", 1, 0), &[&[50]], false).await.expect("a part is written");

    for _ in 0..2 {
        spool.delete(&facts.name).await.expect("a part is deleted, once or twice");
    }

    let error = spool.prove(&facts).await.expect_err("a deleted part is not proved");
    assert!(matches!(error, SpoolError::Missing { .. }), "{error}");
}

pub async fn a_sweep_keeps_what_it_is_told(spool: &dyn Spool) {
    let named = part("swept", 10, 0);
    let of_a_live_lease = part("swept", 11, 0);
    let granted_since = part("swept", 13, 0);
    let stale = [part("swept", 10, 1), part("swept", 5, 0), part("swept", 12, 0)];
    for name in [&named, &of_a_live_lease, &granted_since].into_iter().chain(&stale) {
        write(spool, name.clone(), &[&[50]], false).await.expect("a part is written");
    }
    let keep = Keep {
        parts: [named.clone()].into(),
        tokens: [Token::from_wire(11)].into(),
        granted_up_to: Some(Token::from_wire(12)),
    };

    let swept = spool.sweep(&job("swept"), &keep).await.expect("a job is swept");

    assert_eq!(swept.parts, stale.len() as u64);
    assert!(swept.stored_bytes > 0);
    assert_eq!(names(spool, "swept").await, [named, of_a_live_lease, granted_since]);
}

pub async fn a_removed_job_leaves_the_others_alone(spool: &dyn Spool) {
    for name in ["removed", "removed-not"] {
        write(spool, part(name, 1, 0), &[&[50]], false).await.expect("a part is written");
        write(spool, part(name, 1, 1), &[&[50]], false).await.expect("a part is written");
    }

    let swept = spool.remove_job(&job("removed")).await.expect("a job is removed");
    let again = spool.remove_job(&job("removed")).await.expect("a job is removed twice");

    assert_eq!((swept.parts, again.parts), (2, 0));
    assert_eq!(names(spool, "removed").await, []);
    assert_eq!(names(spool, "removed-not").await.len(), 2);
}

pub async fn every_job_with_parts_is_listed(spool: &dyn Spool) {
    for name in ["Listed_2", "listed-1"] {
        write(spool, part(name, 1, 0), &[&[50]], false).await.expect("a part is written");
    }

    let jobs = spool.jobs().await.expect("jobs are listed");

    assert!(jobs.is_sorted(), "{jobs:?}");
    assert!([job("Listed_2"), job("listed-1")].iter().all(|wanted| jobs.contains(wanted)), "{jobs:?}");
}

pub async fn the_marker_stays(spool: &dyn Spool) {
    let marker = spool.marker();

    assert_eq!(marker.to_string().parse::<crate::port::Marker>().expect("a marker reads back"), marker);
    assert_eq!(spool.marker(), marker);
    spool.free_space().await.expect("free space is told, or that there is no limit");
    assert!(spool.has_room().await.expect("it is told whether there is room"), "the suite runs where there is room");
}

async fn names(spool: &dyn Spool, name: &str) -> Vec<PartName> {
    spool.list(&job(name)).await.expect("a job is listed").into_iter().map(|listed| listed.name).collect()
}
