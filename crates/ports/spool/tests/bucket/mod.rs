//! A spool in a bucket with a way around it, and what the tests of buckets write into it.
#![allow(dead_code, reason = "each test program takes what it needs")]

use async_trait::async_trait;
use bytes::Bytes;
use capstan_ids::{SessionName, Token};
use capstan_spool::conformance::Subject;
use capstan_spool::{BucketStore, Marker, ObjectSpool, PartFacts, PartName, Spool};
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

pub struct InBucket {
    pub spool: ObjectSpool,
    pub store: Arc<dyn BucketStore>,
}

impl InBucket {
    pub async fn open(store: Arc<dyn BucketStore>, place: &str, prefix: &str) -> Self {
        let spool = ObjectSpool::open(Arc::clone(&store), place, prefix, Marker::new(7)).await.unwrap();
        Self { spool, store }
    }

    /// How many objects lie below a prefix.
    pub async fn objects(&self, prefix: Option<&str>) -> usize {
        self.store.list(prefix.map(Into::into).as_ref()).count().await
    }
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

pub fn job() -> SessionName {
    SessionName::new("shop").unwrap()
}

pub fn part(token: u64, sequence: u32) -> PartName {
    PartName::new(job(), "4fa3c1d2e5b60718", 7, 1, Token::from_wire(token), sequence).unwrap()
}

/// A document of that many bytes which does not pack.
pub fn noise(size: usize) -> Bytes {
    let mut state = size as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> = (0..size).map(|_| next()).collect();
    bytes[..4].copy_from_slice(&(size as u32).to_le_bytes());
    bytes.into()
}

pub async fn sealed(spool: &dyn Spool, name: PartName, documents: &[Bytes]) -> PartFacts {
    let mut writer = spool.begin_part(name).await.unwrap();
    for document in documents {
        writer.write(document.clone(), 1).await.unwrap();
    }
    writer.seal().await.unwrap()
}
