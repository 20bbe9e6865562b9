//! Real servers for tests: which there are, and places of their own on them.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::sync::Arc;

use async_trait::async_trait;
use bson::{Document, doc};
use capstan_endpoint::{
    Adapter, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, Listing, Mend, Namespace, Occupancy, PartKey,
    PlannedChunk, Range, Result, SetAside, Sink, SinkAbilities, Source, SourceAbilities, SplitTarget, Unit, WritePlan,
};
use capstan_mongodb::MongoAdapter;
use capstan_testkit::skipped;
use mongodb::Client;

/// A real server, and the prefix of the databases that are this test's own.
pub struct Live {
    pub url: String,
    pub client: Client,
    pub prefix: String,
}

/// The server that a variable names; without one the test is skipped, with the reason on record.
pub async fn live(variable: &str, test: &str) -> Option<Live> {
    let Ok(url) = std::env::var(variable) else {
        skipped(test, &format!("{variable} is not set"));
        return None;
    };
    let client = Client::with_uri_str(&url).await.unwrap();
    // Database names have at most 63 bytes, and tests run beside each other.
    let prefix =
        format!("t{}_{:x}_", std::process::id(), test.bytes().fold(0u32, |h, b| h.wrapping_mul(31) + u32::from(b)));
    let live = Live { url, client, prefix };
    live.clean().await;
    Some(live)
}

impl Live {
    pub fn name(&self, database: &str) -> String {
        format!("{}{database}", self.prefix)
    }

    pub fn is_ferret(&self) -> bool {
        std::env::var("CAPSTAN_TEST_FERRET_URL").is_ok_and(|url| url == self.url)
    }

    /// Drops what this test has made.
    pub async fn clean(&self) {
        for name in self.client.list_database_names().await.unwrap() {
            if name.starts_with(&self.prefix) {
                self.client.database(&name).drop().await.unwrap();
            }
        }
    }

    pub async fn run(&self, database: &str, command: Document) -> Document {
        self.client.database(&self.name(database)).run_command(command).await.unwrap()
    }

    pub async fn insert(&self, database: &str, collection: &str, documents: &[Vec<u8>]) {
        let documents: Vec<Document> = documents
            .iter()
            .map(|bytes| Document::try_from(bson::RawDocument::from_bytes(bytes).unwrap()).unwrap())
            .collect();
        for some in documents.chunks(1_000) {
            let answer = self.run(database, doc! { "insert": collection, "documents": some }).await;
            assert!(!answer.contains_key("writeErrors"), "{answer}");
        }
    }

    /// One of this test's databases as a source.
    pub async fn source(&self, database: &str) -> Arc<dyn Source> {
        let url = format!("{}/{}", self.url.trim_end_matches('/'), self.name(database));
        MongoAdapter.source(&url.parse().unwrap()).await.unwrap()
    }

    pub async fn sink(&self, job: &str) -> Arc<dyn Sink> {
        MongoAdapter.sink(&self.url.parse().unwrap(), job).await.unwrap()
    }

    pub fn unit(&self, database: &str, collection: &str) -> Unit {
        Unit::collection(Namespace::new(self.name(database), collection))
    }

    /// The only unit of that name, as the server lists it.
    pub async fn listed(&self, database: &str, collection: &str) -> Unit {
        let listing = self.source(database).await.units().await.unwrap();
        listing.units.into_iter().find(|unit| unit.namespace.collection == collection).unwrap()
    }
}

/// All batches of a range from a place on.
pub async fn documents(source: &dyn Source, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Vec<Vec<u8>> {
    let mut reader = source.read(unit, range, from).await.unwrap();
    let mut all = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        all.extend(batch.iter().map(<[u8]>::to_vec));
    }
    all
}

/// A sink whose databases all begin with a prefix: a place of its own on a server that has only one.
pub struct Apart<T: ?Sized> {
    pub inner: Arc<T>,
    pub prefix: String,
}

impl<T: ?Sized> Apart<T> {
    fn there(&self, unit: &Unit) -> Unit {
        let Namespace { database, collection } = &unit.namespace;
        Unit { namespace: Namespace::new(format!("{}{database}", self.prefix), collection.clone()), ..unit.clone() }
    }

    fn here(&self, unit: Unit) -> Option<Unit> {
        let database = unit.namespace.database.strip_prefix(&self.prefix)?;
        Some(Unit { namespace: Namespace::new(database, unit.namespace.collection.clone()), ..unit })
    }
}

#[async_trait]
impl Sink for Apart<dyn Sink> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn abilities(&self) -> SinkAbilities {
        self.inner.abilities()
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.inner.occupancy(&self.there(unit)).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        self.inner.prepare(&self.there(unit), plan).await
    }

    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        self.inner.open_chunk(&self.there(unit), part, resume).await
    }

    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.inner.finish_unit(&self.there(unit), plan, chunks).await
    }

    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        let units: Vec<Unit> = units.iter().map(|unit| self.there(unit)).collect();
        self.inner.finish_job(&units).await
    }

    async fn abandon(&self) -> Result<()> {
        self.inner.abandon().await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Apart::<dyn Source> { inner: self.inner.scan().await?, prefix: self.prefix.clone() }))
    }

    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        self.inner.mender(&self.there(unit)).await
    }
}

#[async_trait]
impl Source for Apart<dyn Source> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn abilities(&self) -> SourceAbilities {
        self.inner.abilities()
    }

    async fn units(&self) -> Result<Listing> {
        let listing = self.inner.units().await?;
        Ok(Listing { units: listing.units.into_iter().filter_map(|unit| self.here(unit)).collect(), ..listing })
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        self.inner.split(&self.there(unit), target).await
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        self.inner.read(&self.there(unit), range, from).await
    }
}

/// Runs a claim on each of the two servers, as two tests of that name.
#[macro_export]
macro_rules! on_both_servers {
    ($($(#[$about:meta])* $claim:ident;)*) => {$(
        mod $claim {
            $(#[$about])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mongo() {
                let name = concat!("mongodb::", stringify!($claim), "::mongo");
                if let Some(live) = $crate::live::live("CAPSTAN_TEST_MONGO_URL", name).await {
                    super::$claim(&live).await;
                    live.clean().await;
                }
            }

            $(#[$about])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ferret() {
                let name = concat!("mongodb::", stringify!($claim), "::ferret");
                if let Some(live) = $crate::live::live("CAPSTAN_TEST_FERRET_URL", name).await {
                    super::$claim(&live).await;
                    live.clean().await;
                }
            }
        }
    )*};
}
