//! The adapter of object stores against a server that speaks Amazon S3, at `CAPSTAN_TEST_S3_URL`.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

mod bucket;
#[path = "bucket/doorman.rs"]
mod doorman;

use bucket::{InBucket, job, noise, part, sealed};
use capstan_ids::Token;
use capstan_spool::{
    BucketStore, Compression, Keep, Marker, ObjectSpool, Opening, Spool, SpoolFault, conformance, open,
};
use doorman::Doorman;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A bucket of a real server, and a prefix that is this test's own.
struct Live {
    store: Arc<dyn BucketStore>,
    endpoint: String,
    /// The spool's URL in its parts: what stands before its options, and they.
    place: String,
    options: String,
    prefix: String,
}

/// The server that the environment names; without one the test is skipped, with the reason on record.
fn live(test: &str) -> Option<Live> {
    let Ok(url) = std::env::var("CAPSTAN_TEST_S3_URL") else {
        capstan_testkit::skipped(test, "CAPSTAN_TEST_S3_URL is not set");
        return None;
    };
    // The adapter does so itself; this store is the test's own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (bucket, options) = url.split_once('?').unwrap();
    let endpoint = options.split('&').find_map(|option| option.strip_prefix("endpoint=")).unwrap();
    let store = AmazonS3Builder::new()
        .with_bucket_name(bucket.strip_prefix("s3://").unwrap())
        .with_region("us-east-1")
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap();
    let prefix = format!("{test}-{}", std::process::id());
    Some(Live {
        store: Arc::new(store),
        endpoint: endpoint.to_owned(),
        place: format!("{bucket}/{prefix}"),
        options: format!("{options}&access_key_id=secret:test&secret_access_key=secret:test"),
        prefix,
    })
}

impl Live {
    async fn spool(&self) -> ObjectSpool {
        ObjectSpool::open(Arc::clone(&self.store), &self.place, &self.prefix, Marker::new(7)).await.unwrap()
    }

    /// Uploads below our prefix that are neither completed nor ended, as the server lists them.
    async fn uploads(&self) -> usize {
        let (bucket, _) = self.place.trim_start_matches("s3://").split_once('/').unwrap();
        let request = format!(
            "GET /{bucket}?uploads&prefix={} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.prefix,
            self.endpoint.trim_start_matches("http://")
        );
        let mut stream = TcpStream::connect(self.endpoint.trim_start_matches("http://")).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("ListMultipartUploadsResult"), "{answer}");
        answer.matches("<UploadId>").count()
    }

    async fn open(&self, fresh: u128) -> Arc<dyn Spool> {
        open(&format!("{}?{}", self.place, self.options), opening(fresh)).await.unwrap()
    }
}

fn opening(fresh: u128) -> Opening<'static> {
    let (fresh, compression) = (Marker::new(fresh), Compression::default());
    Opening { fresh, compression, reserve: 1 << 60, secret: &|name| Ok(name.to_owned()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_bucket_keeps_every_promise_of_a_spool() {
    let Some(live) = live("a_real_bucket_keeps_every_promise_of_a_spool") else { return };
    conformance::check(&InBucket::open(Arc::clone(&live.store), &live.place, &live.prefix).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_many_pages_is_listed_and_swept_whole() {
    let Some(live) = live("a_job_of_many_pages_is_listed_and_swept_whole") else { return };
    const PARTS: u32 = 2_300;
    let spool = live.spool().await;
    let puts = stream::iter(0..PARTS).map(|n| {
        let path = spool.path_of(&part(u64::from(n % 2), n));
        let store = &live.store;
        async move { store.put(&path, "part".into()).await }
    });
    puts.buffer_unordered(16).try_for_each(|_| async { Ok(()) }).await.unwrap();

    let listed = spool.list(&job()).await.unwrap();
    let keep = Keep { tokens: [Token::from_wire(1)].into(), ..Keep::default() };
    let swept = spool.sweep(&job(), &keep).await.unwrap();
    let kept = spool.list(&job()).await.unwrap();
    let removed = spool.remove_job(&job()).await.unwrap();

    assert_eq!(listed.len(), PARTS as usize);
    assert!(listed.is_sorted_by(|a, b| a.name < b.name));
    assert_eq!((swept.parts, swept.stored_bytes), (u64::from(PARTS) / 2, u64::from(PARTS) * 2));
    assert!(kept.len() == PARTS as usize / 2 && kept.iter().all(|listed| listed.name.token() == Token::from_wire(1)));
    assert_eq!(removed.parts, u64::from(PARTS) / 2);
    assert_eq!(spool.list(&job()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_open_a_new_spool_at_once_see_one_spool() {
    let Some(live) = live("workers_that_open_a_new_spool_at_once_see_one_spool") else { return };
    const WORKERS: u64 = 8;

    let spools = futures::future::join_all((0..WORKERS).map(|n| live.open(n.into()))).await;
    assert!(spools.iter().all(|spool| spool.marker() == spools[0].marker()));
    let writing = spools.iter().zip(0..).map(|(spool, token)| async move {
        sealed(&**spool, part(token, 0), &[noise(3 << 20), noise(2_000 + token as usize)]).await
    });
    let facts = futures::future::join_all(writing).await;

    for (reader, facts) in spools.iter().rev().zip(&facts) {
        reader.prove(facts).await.unwrap();
    }
    assert_eq!(spools[0].list(&job()).await.unwrap().len(), facts.len());
    assert_eq!(spools[0].free_space().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_several_pieces_is_an_object_once_it_is_sealed() {
    let Some(live) = live("a_part_of_several_pieces_is_an_object_once_it_is_sealed") else { return };
    let spool = live.open(1).await;
    let documents: Vec<_> = (0..20).map(|n| noise((1 << 20) + n)).collect();
    let mut dropped = spool.begin_part(part(1, 1)).await.unwrap();
    for document in &documents {
        dropped.write(document.clone(), 1).await.unwrap();
    }

    let facts = sealed(&*spool, part(1, 0), &documents).await;
    drop(dropped);

    assert!(facts.stored_bytes > 20 << 20);
    let mut reader = spool.open_part(&facts).await.unwrap();
    for document in documents {
        assert!(reader.next().await.unwrap().unwrap().bytes == document);
    }
    assert!(reader.next().await.unwrap().is_none());
    assert_eq!(spool.list(&job()).await.unwrap().len(), 1);
}

/// What a store with a quota says once it is used up.
const QUOTA: &str = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 41\r\n\r\n<Error><Code>QuotaExceeded</Code></Error>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_has_room_again_once_it_takes_a_piece_again() {
    let Some(live) = live("a_bucket_has_room_again_once_it_takes_a_piece_again") else { return };
    let doorman = Doorman::before(live.endpoint.trim_start_matches("http://").to_owned()).await;
    let options = live.options.replace(&live.endpoint, &format!("http://{}", doorman.address));
    let spool = open(&format!("{}?{options}", live.place), opening(1)).await.unwrap();
    assert!(spool.has_room().await.unwrap());

    let mut writer = spool.begin_part(part(1, 0)).await.unwrap();
    writer.write(noise(1 << 20), 1).await.unwrap();

    doorman.answers(Some(QUOTA));
    let refused = writer.seal().await.unwrap_err();
    let while_full = [spool.has_room().await.unwrap(), spool.has_room().await.unwrap()];
    doorman.answers(None);

    assert_eq!(refused.fault(), SpoolFault::NoRoom, "{refused}");
    assert_eq!(while_full, [false, false]);
    assert!(spool.has_room().await.unwrap());
    sealed(&*spool, part(1, 1), &[noise(1 << 20)]).await;
    assert_eq!(live.uploads().await, 0, "what is offered is taken back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_a_crash_left_is_ended_by_a_sweep_and_that_of_a_live_lease_is_not() {
    let Some(live) = live("an_upload_that_a_crash_left_is_ended_by_a_sweep_and_that_of_a_live_lease_is_not") else {
        return;
    };
    let doorman = Doorman::before(live.endpoint.trim_start_matches("http://").to_owned()).await;
    let options = live.options.replace(&live.endpoint, &format!("http://{}", doorman.address));
    let crashing = open(&format!("{}?{options}", live.place), opening(1)).await.unwrap();
    let spool = live.open(1).await;
    let mut writers = Vec::new();
    for token in [1, 2] {
        let mut writer = crashing.begin_part(part(token, 0)).await.unwrap();
        for _ in 0..30 {
            writer.write(noise(1 << 20), 1).await.unwrap();
        }
        writers.push(writer);
    }
    // From here on nothing of them arrives: they can end nothing themselves.
    doorman.answers(Some("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    for writer in writers {
        writer.seal().await.unwrap_err();
    }
    assert_eq!(live.uploads().await, 2);

    let keep = Keep { tokens: [Token::from_wire(2)].into(), ..Keep::default() };
    let swept = spool.sweep(&job(), &keep).await.unwrap();
    assert_eq!((swept.uploads, live.uploads().await), (1, 1));

    let removed = spool.remove_job(&job()).await.unwrap();
    assert_eq!((removed.uploads, live.uploads().await), (1, 0));
    let bucket = InBucket::open(Arc::clone(&live.store), &live.place, &live.prefix).await;
    assert_eq!(bucket.objects(Some(&live.prefix)).await, 1, "the marker alone is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_of_an_upload_that_was_completed_goes_and_its_part_stays() {
    let Some(live) = live("a_note_of_an_upload_that_was_completed_goes_and_its_part_stays") else { return };
    let spool = live.spool().await;
    let documents: Vec<_> = (0..20).map(|n| noise((1 << 20) + n)).collect();
    let facts = sealed(&spool, part(1, 0), &documents).await;
    let note = spool.path_of(&facts.name).as_ref().replace(".part", ".upload").into();
    live.store.put(&note, "an-id-that-is-over".into()).await.unwrap();

    let keep = Keep { parts: [part(9, 9)].into(), ..Keep::default() };
    let kept = Keep { parts: [facts.name.clone()].into(), ..Keep::default() };
    let swept = spool.sweep(&job(), &kept).await.unwrap();
    spool.prove(&facts).await.unwrap();
    assert_eq!((swept.uploads, swept.parts), (0, 0));

    let swept = spool.sweep(&job(), &keep).await.unwrap();
    assert_eq!((swept.uploads, swept.parts), (0, 1));
    assert!(live.store.head(&note).await.is_err(), "the note is gone");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_asked_for_again() {
    let Some(live) = live("a_bucket_that_is_not_there_is_asked_for_again") else { return };

    let error = open(&format!("s3://no-such-bucket/a?{}", live.options), opening(1)).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::Retry, "{error}");
    assert!(format!("{error:?}").contains("NoSuchBucket"), "{error:?}");
}
