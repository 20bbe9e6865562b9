//! The adapter of object stores against a server that speaks Amazon S3, at `CAPSTAN_TEST_S3_URL`.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

use async_trait::async_trait;
use bytes::Bytes;
use capstan_ids::{SessionName, Token};
use capstan_spool::conformance::{self, Subject};
use capstan_spool::{Compression, Keep, Marker, ObjectSpool, Opening, PartFacts, PartName, Spool, SpoolFault, open};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// A bucket of a real server, and a prefix that is this test's own.
struct Live {
    store: Arc<dyn ObjectStore>,
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
        place: format!("{bucket}/{prefix}"),
        options: format!("{options}&access_key_id=secret:test&secret_access_key=secret:test"),
        prefix,
    })
}

impl Live {
    async fn spool(&self) -> ObjectSpool {
        ObjectSpool::open(Arc::clone(&self.store), &self.place, &self.prefix, Marker::new(7)).await.unwrap()
    }

    async fn open(&self, fresh: u128) -> Arc<dyn Spool> {
        open(&format!("{}?{}", self.place, self.options), opening(fresh)).await.unwrap()
    }
}

fn opening(fresh: u128) -> Opening<'static> {
    let (fresh, compression) = (Marker::new(fresh), Compression::default());
    Opening { fresh, compression, reserve: 1 << 60, secret: &|name| Ok(name.to_owned()) }
}

struct InBucket {
    spool: ObjectSpool,
    store: Arc<dyn ObjectStore>,
}

#[async_trait]
impl Subject for InBucket {
    fn spool(&self) -> &dyn Spool {
        &self.spool
    }

    async fn stored(&self, part: &PartName) -> Vec<u8> {
        self.store.get(&self.spool.path_of(part)).await.unwrap().bytes().await.unwrap().into()
    }

    async fn tamper(&self, part: &PartName, bytes: Option<&[u8]>) {
        let path = self.spool.path_of(part);
        match bytes {
            Some(bytes) => drop(self.store.put(&path, bytes.to_vec().into()).await.unwrap()),
            None => self.store.delete(&path).await.unwrap(),
        }
    }
}

fn job() -> SessionName {
    SessionName::new("shop").unwrap()
}

fn part(token: u64, sequence: u32) -> PartName {
    PartName::new(job(), "4fa3c1d2e5b60718", 7, 1, Token::from_wire(token), sequence).unwrap()
}

/// A document of that many bytes which does not pack.
fn noise(size: usize) -> Bytes {
    let mut state = size as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> = (0..size).map(|_| next()).collect();
    bytes[..4].copy_from_slice(&(size as u32).to_le_bytes());
    bytes.into()
}

async fn sealed(spool: &dyn Spool, name: PartName, documents: &[Bytes]) -> PartFacts {
    let mut writer = spool.begin_part(name).await.unwrap();
    for document in documents {
        writer.write(document.clone(), 1).await.unwrap();
    }
    writer.seal().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_bucket_keeps_every_promise_of_a_spool() {
    let Some(live) = live("a_real_bucket_keeps_every_promise_of_a_spool") else { return };
    conformance::check(&InBucket { spool: live.spool().await, store: live.store }).await;
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

#[tokio::test]
async fn a_bucket_that_is_not_there_is_asked_for_again() {
    let Some(live) = live("a_bucket_that_is_not_there_is_asked_for_again") else { return };

    let error = open(&format!("s3://no-such-bucket/a?{}", live.options), opening(1)).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::Retry, "{error}");
    assert!(format!("{error:?}").contains("NoSuchBucket"), "{error:?}");
}
