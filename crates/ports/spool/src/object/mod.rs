//! A spool in an object store: `s3:`, `gs:` and `az:` URLs.
//!
//! ```text
//! PREFIX/capstan-spool.marker                        who this spool is
//! PREFIX/JOB/4fa3c1d2e5b60718_7.g1.t42.s0.part       a sealed part, one object
//! PREFIX/JOB/4fa3c1d2e5b60718_7.g1.t42.s0.upload     the id of the upload that becomes it, while it is on its way
//! ```
//!
//! An object is there as a whole or not at all, so a part has one name only. Nothing is ever renamed, appended to or
//! overwritten. What is listed is listed in pages, and what is removed is removed in batches of [`DELETES_AT_ONCE`].

mod connect;
mod fault;
mod marker;
mod read;
mod room;
mod store;
mod upload;
mod write;

use crate::ahead::ReadingAhead;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::Compression;
use crate::name::PartName;
use crate::port::{Keep, Listed, Marker, PartReader, PartWriter, Spool, Swept};
use async_trait::async_trait;
use capstan_ids::SessionName;
use fault::{DELETE, LIST, fault};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::Arc;
pub use store::BucketStore;

pub(crate) use connect::connect;

const SEALED: &str = ".part";
/// As many as stores take in one request.
const DELETES_AT_ONCE: usize = 1000;

/// A spool in a bucket, below a prefix of its own.
#[derive(Clone, Debug)]
pub struct ObjectSpool {
    bucket: Arc<Bucket>,
    compression: Compression,
}

/// The bucket and who it was when it was opened.
#[derive(Debug)]
struct Bucket {
    store: Arc<dyn BucketStore>,
    prefix: Path,
    place: String,
    marker: Marker,
    claims: write::Claims,
}

impl ObjectSpool {
    /// Opens the spool below `prefix` in a bucket that is there. `fresh` becomes its marker if it has none yet; `place`
    /// is what it is called in errors.
    pub async fn open(
        store: Arc<dyn BucketStore>,
        place: impl Into<String>,
        prefix: &str,
        fresh: Marker,
    ) -> Result<Self, SpoolError> {
        let place = place.into();
        let prefix = Path::parse(prefix)
            .map_err(|error| SpoolError::Url { url: place.clone(), reason: format!("its prefix: {error}") })?;
        let marker = marker::settle(&*store, &prefix, &place, fresh).await?;
        let bucket = Bucket { store, prefix, place, marker, claims: write::Claims::default() };
        Ok(Self { bucket: Arc::new(bucket), compression: Compression::default() })
    }

    /// The same spool, compressing otherwise. What lies there already is read whatever it was compressed with.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// The object that a sealed part is; for tests and people who look.
    pub fn path_of(&self, part: &PartName) -> Path {
        self.bucket.path(part)
    }
}

#[async_trait]
impl Spool for ObjectSpool {
    async fn begin_part(&self, name: PartName) -> Result<Box<dyn PartWriter>, SpoolError> {
        Ok(Box::new(write::begin(&self.bucket, name, self.compression).await?))
    }

    async fn open_part(&self, facts: &PartFacts) -> Result<Box<dyn PartReader>, SpoolError> {
        Ok(Box::new(ReadingAhead::start(read::open(&self.bucket, facts.clone()).await?)))
    }

    async fn jobs(&self) -> Result<Vec<SessionName>, SpoolError> {
        let found = self.bucket.store.list_with_delimiter(Some(&self.bucket.prefix)).await;
        let folders = found.map_err(|error| self.bucket.failed(LIST, &error))?.common_prefixes;
        let mut jobs: Vec<_> = folders.iter().filter_map(|path| SessionName::new(path.filename()?).ok()).collect();
        jobs.sort_unstable();
        Ok(jobs)
    }

    async fn list(&self, job: &SessionName) -> Result<Vec<Listed>, SpoolError> {
        let mut objects = self.bucket.objects(job);
        let mut parts = Vec::new();
        while let Some(object) = objects.try_next().await.map_err(|error| self.bucket.failed(LIST, &error))? {
            if let Some(name) = part_of(job, &object) {
                parts.push(Listed { name, stored_bytes: object.size });
            }
        }
        parts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(parts)
    }

    async fn delete(&self, part: &PartName) -> Result<(), SpoolError> {
        match self.bucket.store.delete(&self.bucket.path(part)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.bucket.failed(DELETE, &error)),
        }
    }

    async fn sweep(&self, job: &SessionName, keep: &Keep) -> Result<Swept, SpoolError> {
        self.bucket.remove(job, |part| !keep.covers(part)).await
    }

    async fn remove_job(&self, job: &SessionName) -> Result<Swept, SpoolError> {
        self.bucket.remove(job, |_| true).await
    }

    fn marker(&self) -> Marker {
        self.bucket.marker
    }

    /// Always `None`: a bucket has no size of its own.
    async fn free_space(&self) -> Result<Option<u64>, SpoolError> {
        Ok(None)
    }

    async fn has_room(&self) -> Result<bool, SpoolError> {
        self.bucket.has_room().await
    }
}

impl Bucket {
    fn path(&self, part: &PartName) -> Path {
        self.prefix.clone().join(part.job().as_str()).join(format!("{}{SEALED}", part.leaf()))
    }

    /// What lies in the folder of a job, page by page.
    fn objects(&self, job: &SessionName) -> stream::BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.store.list(Some(&self.prefix.clone().join(job.as_str())))
    }

    async fn remove(&self, job: &SessionName, wanted: impl Fn(&PartName) -> bool) -> Result<Swept, SpoolError> {
        self.check_marker().await?;
        let mut objects = self.objects(job).try_ready_chunks(DELETES_AT_ONCE);
        let mut swept = Swept::default();
        while let Some(page) = objects.try_next().await.map_err(|chunk| self.failed(LIST, &chunk.1))? {
            for object in &page {
                if upload::of(job, object).is_some_and(|name| wanted(&name)) {
                    swept.uploads += u64::from(self.end_upload(object).await?);
                }
            }
            let ours = page.into_iter().filter(|object| part_of(job, object).is_some_and(|name| wanted(&name)));
            self.delete_all(ours.collect(), &mut swept).await?;
        }
        Ok(swept)
    }

    async fn delete_all(&self, objects: Vec<ObjectMeta>, swept: &mut Swept) -> Result<(), SpoolError> {
        let paths: Vec<_> = objects.iter().map(|object| Ok(object.location.clone())).collect();
        let mut deleted = self.store.delete_stream(stream::iter(paths).boxed());
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(DELETE, &error)),
            }
        }
        swept.parts += objects.len() as u64;
        swept.stored_bytes += objects.iter().map(|object| object.size).sum::<u64>();
        Ok(())
    }

    fn failed(&self, deed: fault::Deed, error: &StoreError) -> SpoolError {
        fault(deed, &self.place, error)
    }
}

/// The part that an object is; objects of others are passed over.
fn part_of(job: &SessionName, object: &ObjectMeta) -> Option<PartName> {
    // Deeper than the job's folder nothing is ours.
    let leaf = object.location.filename()?.strip_suffix(SEALED)?;
    PartName::from_leaf(job, leaf)
}
