//! From an address to an endpoint: which adapter answers to which scheme.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{EndpointError, EndpointUrl, Result, Sink, Source};

/// Opens the endpoints of some schemes.
#[async_trait]
pub trait Adapter: Send + Sync {
    /// The schemes it answers to.
    fn schemes(&self) -> &'static [&'static str];

    /// Opens a place for reading. Reads nothing that it could read later, and finds out what is not there.
    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>>;

    /// Opens a place for writing by the job of this name (`[A-Za-z0-9._-]`). Changes nothing yet.
    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>>;
}

/// The adapters a process has.
#[derive(Clone)]
pub struct Adapters(Vec<Arc<dyn Adapter>>);

impl Adapters {
    /// Those that need nothing but files: `dump`, `jsonl` and `null`.
    pub fn of_files() -> Self {
        // One line for each.
        Self(vec![Arc::new(crate::DumpAdapter), Arc::new(crate::jsonl::JsonLinesAdapter), Arc::new(crate::NullAdapter)])
    }

    /// Adds an adapter. One that was added later is asked first.
    pub fn with(mut self, adapter: Arc<dyn Adapter>) -> Self {
        self.0.insert(0, adapter);
        self
    }

    /// All schemes that are answered to.
    pub fn schemes(&self) -> Vec<&'static str> {
        self.0.iter().flat_map(|adapter| adapter.schemes()).copied().collect()
    }

    /// Opens a place for reading.
    pub async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        self.adapter(url)?.source(url).await
    }

    /// Opens a place for writing by a job.
    pub async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        self.adapter(url)?.sink(url, job).await
    }

    fn adapter(&self, url: &EndpointUrl) -> Result<&dyn Adapter, EndpointError> {
        self.0.iter().find(|adapter| adapter.schemes().contains(&url.scheme())).map(AsRef::as_ref).ok_or_else(|| {
            url.refused(format!("scheme `{}` is not known here; known are {}", url.scheme(), self.schemes().join(", ")))
        })
    }
}
