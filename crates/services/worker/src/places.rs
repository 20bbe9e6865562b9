//! Opened endpoints and spools, kept while their jobs go on: a connection is not made anew for each chunk.

use crate::halt::Halt;
use crate::options::Options;
use capstan_endpoint::{EndpointUrl, Sink, Source};
use capstan_ids::SessionName;
use capstan_migration::{Compression, Spec};
use capstan_spool::{FileSpool, Marker, Spool};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Opened places that are kept; past that, all are let go and opened again when they are wanted.
const KEPT_MAX: usize = 256;

/// Everything a worker has open.
pub(crate) struct Places {
    options: Options,
    sources: Kept<(SessionName, String), Arc<dyn Source>>,
    sinks: Kept<(SessionName, String), Arc<dyn Sink>>,
    spools: Kept<String, FileSpool>,
}

/// A job's spool, and what it is called.
#[derive(Clone)]
pub(crate) struct Opened {
    pub url: String,
    pub spool: Arc<dyn Spool>,
}

impl Places {
    pub fn new(options: Options) -> Self {
        Self { options, sources: Kept::default(), sinks: Kept::default(), spools: Kept::default() }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where a job reads from.
    pub async fn source(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Source>, Halt> {
        let key = (session.clone(), spec.from.clone());
        let open = async { Ok(self.options.adapters.source(&self.endpoint(&spec.from)?).await?) };
        self.sources.get(key, open).await
    }

    /// Where a job writes to.
    pub async fn sink(&self, session: &SessionName, spec: &Spec) -> Result<Arc<dyn Sink>, Halt> {
        let key = (session.clone(), spec.to.clone());
        let open = async { Ok(self.options.adapters.sink(&self.endpoint(&spec.to)?, session.as_str()).await?) };
        self.sinks.get(key, open).await
    }

    /// Where a job's dumped chunks lie: as it says, or as this worker was told.
    pub async fn spool(&self, spec: &Spec) -> Result<Opened, Halt> {
        let url = spec.spool.as_ref().or(self.options.spool.as_ref());
        let url = url.ok_or_else(|| {
            Halt::permanent(
                "this job needs a spool: name one in the job (`spool`), or start the worker with --spool file:PATH",
            )
        })?;
        let spool = self.open_spool(url).await?;
        let compression = match spec.compression {
            Compression::None => capstan_spool::Compression::None,
            Compression::Zstd => capstan_spool::Compression::default(),
        };
        Ok(Opened { url: url.clone(), spool: Arc::new(spool.with_compression(compression)) })
    }

    /// How much room a spool has, where that is known.
    pub async fn room(&self, url: &str) -> Option<u64> {
        self.open_spool(url).await.ok()?.free_space().await.ok()?
    }

    /// Lets go of what a job has open: it begins anew, or is over.
    pub fn forget(&self, session: &SessionName) {
        self.sources.retain(|(kept, _)| kept != session);
        self.sinks.retain(|(kept, _)| kept != session);
    }

    async fn open_spool(&self, url: &str) -> Result<FileSpool, Halt> {
        let open = async {
            let parsed: EndpointUrl = url.parse()?;
            if parsed.scheme() != "file" {
                return Err(Halt::permanent(format!("the spool {parsed} is not usable: a spool is file:PATH")));
            }
            let marker = Marker::new(random()?);
            FileSpool::open(parsed.file_path()?, marker).await.map_err(|error| Halt::of_spool(url, &error))
        };
        self.spools.get(url.to_owned(), open).await
    }

    fn endpoint(&self, url: &str) -> Result<EndpointUrl, Halt> {
        Ok(self.options.secrets.fill(url)?.parse()?)
    }
}

/// A number that no other spool has.
fn random() -> Result<u128, Halt> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(16) => Ok(u128::from_le_bytes(bytes)),
        _ => Err(Halt::transient("the system gave no random number for a new spool")),
    }
}

/// Things that are opened once for each key, by whoever wants them first.
struct Kept<K, T>(Mutex<HashMap<K, Arc<OnceCell<T>>>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, T: Clone> Kept<K, T> {
    /// What is open for the key; `open` is only polled where nothing is.
    async fn get(&self, key: K, open: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        let cell = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
                kept.clear();
            }
            Arc::clone(kept.entry(key).or_default())
        };
        cell.get_or_try_init(|| open).await.cloned()
    }

    fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}
