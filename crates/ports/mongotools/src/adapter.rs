//! Opens endpoints whose documents go through the programs.

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{Adapter, EndpointUrl, Result, Sink, Source};

use crate::ToolsOptions;
use crate::address::Address;
use crate::program::{self, Tool};
use crate::running::Employer;
use crate::sink::ToolsSink;
use crate::source::ToolsSource;

/// A source that lists and splits as `native` does and reads by mongodump, which must be there.
pub async fn source(native: Arc<dyn Source>, url: &EndpointUrl, options: ToolsOptions) -> Result<Arc<dyn Source>> {
    let program = program::find(Tool::Mongodump, &options).await?;
    let employer = Employer { program, address: Address::of(url)?, options, place: native.place() };
    Ok(Arc::new(ToolsSource { native, employer }))
}

/// A sink that prepares, finishes and reads back as `native` does and writes by mongorestore, which must be there when
/// something is prepared or written.
///
/// `native` finds and replaces documents by `_id` (the ability `write_by_id`).
pub fn sink(native: Arc<dyn Sink>, url: &EndpointUrl, options: ToolsOptions) -> Result<Arc<dyn Sink>> {
    Ok(Arc::new(ToolsSink::new(native, url, options)?))
}

/// Opens what another adapter opens, and puts the programs before it.
pub struct ToolsAdapter {
    native: Arc<dyn Adapter>,
    options: ToolsOptions,
}

impl ToolsAdapter {
    /// `native` opens `mongodb://` addresses.
    pub fn new(native: Arc<dyn Adapter>, options: ToolsOptions) -> Self {
        Self { native, options }
    }
}

#[async_trait]
impl Adapter for ToolsAdapter {
    fn schemes(&self) -> &'static [&'static str] {
        self.native.schemes()
    }

    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        source(self.native.source(url).await?, url, self.options.clone()).await
    }

    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        sink(self.native.sink(url, job).await?, url, self.options.clone())
    }
}
