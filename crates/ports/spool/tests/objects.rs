//! The adapter of object stores: the suite on a store in memory, and what only stores and networks can do wrong.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

mod bucket;

use bucket::{InBucket, job, noise, part, sealed};
use bytes::Bytes;
use capstan_spool::conformance::{self, Subject};
use capstan_spool::{
    Compression, Keep, Marker, ObjectSpool, Opening, PartFacts, PartName, Spool, SpoolError, SpoolFault, open,
};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const DOCUMENT: &[u8] = b"\x0c\0\0\0\x10a\0\x01\0\0\0\0";

async fn in_memory() -> InBucket {
    InBucket::open(Arc::new(InMemory::new()), "test", "a/prefix").await
}

async fn small(spool: &ObjectSpool, name: PartName) -> PartFacts {
    sealed(spool, name, &[Bytes::from_static(DOCUMENT)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_every_promise_of_a_spool() {
    conformance::check(&in_memory().await).await;
}

#[tokio::test]
async fn an_uncompressed_object_cut_or_changed_at_any_byte_is_refused() {
    let subject = in_memory().await;
    let spool = subject.spool.clone().with_compression(Compression::None);
    let facts = small(&spool, part(3, 0)).await;
    let whole = subject.stored(&facts.name).await;

    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        for spoilt in [&whole[..at], &changed] {
            subject.tamper(&facts.name, Some(spoilt)).await;
            let error = spool.prove(&facts).await.unwrap_err();
            assert_eq!(error.fault(), SpoolFault::DumpAgain, "byte {at}: {error}");
        }
    }
}

#[tokio::test]
async fn a_part_larger_than_a_request_is_there_once_it_is_sealed_and_not_before() {
    let subject = in_memory().await;
    let mut writer = subject.spool.begin_part(part(3, 0)).await.unwrap();
    let mut dropped = subject.spool.begin_part(part(3, 1)).await.unwrap();

    for _ in 0..30 {
        writer.write(noise(1 << 20), 1).await.unwrap();
        dropped.write(noise(1 << 20), 1).await.unwrap();
    }
    assert_eq!(subject.spool.list(&job()).await.unwrap(), []);
    drop(dropped);
    let facts = writer.seal().await.unwrap();

    assert!(facts.stored_bytes > 30 << 20, "the sample does not pack");
    subject.spool.prove(&facts).await.unwrap();
    let listed = subject.spool.list(&job()).await.unwrap();
    assert_eq!(
        listed.iter().map(|l| (&l.name, l.stored_bytes)).collect::<Vec<_>>(),
        [(&facts.name, facts.stored_bytes)]
    );
}

#[tokio::test]
async fn a_put_that_finds_its_own_bytes_is_done_and_one_that_finds_others_is_refused() {
    let elsewhere = in_memory().await;
    let expected = small(&elsewhere.spool, part(3, 0)).await;
    let bytes = elsewhere.stored(&expected.name).await;
    for (there, as_it_was) in [(bytes.clone(), true), (b"another's".to_vec(), false)] {
        let subject = in_memory().await;
        let mut writer = subject.spool.begin_part(part(3, 0)).await.unwrap();
        writer.write(Bytes::from_static(DOCUMENT), 1).await.unwrap();

        // As if the request had arrived, and its answer had not.
        subject.tamper(&part(3, 0), Some(&there)).await;
        let sealed = writer.seal().await;

        match sealed {
            Ok(facts) => assert!(as_it_was && facts == expected),
            Err(error) => assert!(!as_it_was && matches!(error, SpoolError::Exists { .. }), "{error}"),
        }
        assert_eq!(subject.stored(&part(3, 0)).await, there, "nothing is overwritten");
    }
}

#[tokio::test]
async fn of_openers_at_once_one_decides_the_marker() {
    let store = Arc::new(InMemory::new());
    let opening = (0..16).map(|n| ObjectSpool::open(store.clone(), "test", "p", Marker::new(n)));
    let opened = futures::future::try_join_all(opening).await.unwrap();

    assert!(opened.iter().all(|spool| spool.marker() == opened[0].marker()));
    let other = ObjectSpool::open(store, "test", "q", Marker::new(99)).await.unwrap();
    assert_eq!(other.marker(), Marker::new(99), "another prefix is another spool");
}

#[tokio::test]
async fn a_bucket_that_was_emptied_is_away_and_its_parts_are_not_dumped_again() {
    let subject = in_memory().await;
    let facts = small(&subject.spool, part(3, 0)).await;
    subject.store.delete(&subject.spool.path_of(&facts.name)).await.unwrap();
    subject.store.delete(&"a/prefix/capstan-spool.marker".into()).await.unwrap();

    let errors = [
        subject.spool.prove(&facts).await.unwrap_err(),
        subject.spool.sweep(&job(), &Keep::default()).await.unwrap_err(),
        subject.spool.remove_job(&job()).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(&error, SpoolError::Away { found, .. } if found == "none"), "{error}");
        assert_eq!(error.fault(), SpoolFault::Retry);
    }
}

#[tokio::test]
async fn a_strange_marker_is_refused_and_left_as_it_is() {
    for strange in [b"not a marker\n".to_vec(), vec![b'0'; 5000]] {
        let store = Arc::new(InMemory::new());
        store.put(&"capstan-spool.marker".into(), strange.into()).await.unwrap();

        let error = ObjectSpool::open(store, "test", "", Marker::new(1)).await.unwrap_err();

        assert!(matches!(error, SpoolError::Marker { .. }), "{error}");
    }
}

#[tokio::test]
async fn objects_of_others_are_left_alone() {
    let subject = in_memory().await;
    small(&subject.spool, part(3, 0)).await;
    for name in ["a/prefix/shop/notes.txt", "a/prefix/shop/x.part", "a/prefix-2/shop/4fa3_1.g1.t1.s1.part", "b"] {
        subject.store.put(&name.into(), "theirs".into()).await.unwrap();
    }

    let swept = subject.spool.remove_job(&job()).await.unwrap();

    assert_eq!(swept.parts, 1);
    assert_eq!(subject.objects(None).await, 5, "theirs and the marker");
}

/// A server that answers every request alike, and counts them.
async fn answering(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("s3://shop/a?endpoint=http://{}&allow_http=true&{CREDENTIALS}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 << 10];
            // Requests of this test fit into one read; its answers close the connection.
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    (url, count)
}

const CREDENTIALS: &str = "access_key_id=secret:id&secret_access_key=secret:key";

fn opening() -> Opening<'static> {
    Opening {
        fresh: Marker::new(7),
        compression: Compression::default(),
        reserve: 0,
        secret: &|name| match name {
            "id" | "key" => Ok("hunter2".into()),
            other => Err(format!("there is no {other}").into()),
        },
    }
}

#[tokio::test]
async fn a_user_who_is_denied_learns_which_right_is_missing() {
    let (url, count) = answering(
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 67\r\n\r\n\
         <Error><Code>AccessDenied</Code><Message>no\n</Message></Error>      ",
    )
    .await;

    let error = open(&url, opening()).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::Refused, "{error}");
    assert!(error.to_string().contains("s3:GetObject"), "{error}");
    let SpoolError::Denied { source, .. } = &error else { panic!("{error}") };
    assert!(source.to_string().contains("AccessDenied") && !source.to_string().contains('\n'), "{source}");
    assert!(!format!("{error} {source}").contains("hunter2"));
    assert_eq!(count.load(Ordering::SeqCst), 1, "what is denied is not repeated");
}

#[tokio::test]
async fn a_throttled_request_is_repeated_some_times_and_then_left_to_the_caller() {
    let (url, count) = answering(
        "HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 36\r\n\r\n<Error><Code>SlowDown</Code></Error>",
    )
    .await;

    let error = open(&url, opening()).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::Retry, "{error}");
    assert!(format!("{error:?}").contains("SlowDown"), "{error:?}");
    assert_eq!(count.load(Ordering::SeqCst), 5, "once, and four times more");
}

#[tokio::test]
async fn a_full_store_is_full() {
    let (url, _) = answering(
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 41\r\n\r\n<Error><Code>QuotaExceeded</Code></Error>",
    )
    .await;

    let error = open(&url, opening()).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::NoRoom, "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_away_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("s3://shop?endpoint=http://{}&allow_http=true&{CREDENTIALS}", listener.local_addr().unwrap());
    drop(listener);

    let error = open(&url, opening()).await.unwrap_err();

    assert_eq!(error.fault(), SpoolFault::Retry, "{error}");
    assert!(error.to_string().contains("s3://shop"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_url_is_refused_whole_before_anybody_is_asked() {
    for (url, wanted) in [
        ("s3://ann:hunter2@shop/a", "secret:NAME"),
        ("s3://shop?secret_access_key=hunter2&access_key_id=secret:id", "secret:NAME"),
        ("s3://shop?access_key_id=secret:id", "both or not at all"),
        ("s3://shop?endpoint=http://127.0.0.1:1", "allow_http=true"),
        ("s3://shop?endpoint=https://ann:hunter2@host", "https://HOST"),
        ("s3://shop?endpoint=hunter2", "https://HOST"),
        ("s3://shop?reqion=eu-1", "it takes region, endpoint"),
        ("s3:shop", "s3://BUCKET/PREFIX"),
        ("s3://shop/a//b", "prefix"),
        ("file:spool?region=eu-1", "takes none"),
        ("ftp://host", "file:PATH"),
    ] {
        let error = open(url, opening()).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.fault(), SpoolFault::Refused, "{url}: {text}");
        assert!(text.contains(wanted), "{url}: {text}");
        assert!(!format!("{error:?}").contains("hunter2"), "{url}: {error:?}");
    }
    let unknown = format!("s3://shop?{CREDENTIALS}&token=secret:none");
    let error = open(&unknown, opening()).await.unwrap_err();
    assert!(matches!(&error, SpoolError::Secret { name, .. } if name == "none"), "{error}");
}
