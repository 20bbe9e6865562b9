//! `jsonl:` — extended JSON in files: what mongoexport writes and mongoimport reads.
//!
//! As a source, a file or a folder of `*.json`, `*.jsonl` and `*.ndjson`, compressed or not: documents one to a line, or with
//! any white space between them, or as one array; which of these, and whether a file is compressed, is told by looking. A
//! file of lines is cut into chunks at line ends, others are read whole. As a sink, a folder with a file of lines and a
//! metadata file for each collection; with `?gzip=true` the lines are compressed.
//!
//! ```text
//! jsonl:export/                  export/shop/orders.jsonl, export/shop/orders.metadata.json → shop.orders
//! jsonl:export/                  export/shop.orders.json                                    → shop.orders
//! jsonl:countries.json           countries of the database named by the folder it lies in
//! ```

mod base64;
mod characters;
mod date;
mod documents;
mod form;
mod layout;
mod parse;
mod sink;
mod source;
mod wrapper;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Adapter, EndpointUrl, Result, Sink, Source};

pub use parse::{NESTING_MAX, TextError, parse_document};

/// Opens `jsonl:PATH`.
#[derive(Debug)]
pub struct JsonLinesAdapter;

#[async_trait]
impl Adapter for JsonLinesAdapter {
    fn schemes(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        // Whether it is compressed is told by looking; the option is allowed so that one address serves both ways.
        url.allow_options(&["gzip"])?;
        url.flag("gzip")?;
        Ok(Arc::new(source::JsonSource::open(url.file_path()?).await?))
    }

    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        url.allow_options(&["gzip"])?;
        Ok(Arc::new(sink::JsonSink::new(url.file_path()?, job, url.flag("gzip")?.unwrap_or(false))?))
    }
}
