//! `dump:` — what mongodump writes and mongorestore reads: a directory, a single `.bson` file, or an archive, plain or gzip.
//!
//! Reading tells them apart by looking. Writing makes an archive where the path ends in `.archive` or `.archive.gz`, and a
//! directory otherwise, of gzip files with `?gzip=true`.

mod archive;
mod bson_file;
pub(crate) mod directory_sink;
mod gzip_file;
pub(crate) mod layout;
pub(crate) mod metadata;
pub(crate) mod names;
mod places;
mod source;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Adapter, EndpointUrl, Result, Sink, Source};

use archive::{ArchiveSink, names_archive};
use directory_sink::DirectorySink;

pub(crate) use source::DumpSource;

/// Opens `dump:PATH`.
#[derive(Debug)]
pub struct DumpAdapter;

#[async_trait]
impl Adapter for DumpAdapter {
    fn schemes(&self) -> &'static [&'static str] {
        &["dump"]
    }

    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        // Whether it is compressed is told by looking; the option is allowed so that one address serves both ways.
        url.allow_options(&["gzip"])?;
        url.flag("gzip")?;
        Ok(Arc::new(DumpSource::open(url.file_path()?).await?))
    }

    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        url.allow_options(&["gzip"])?;
        let (path, gzip) = (url.file_path()?, url.flag("gzip")?);
        match (names_archive(&path), gzip) {
            (Some(true), Some(false)) => {
                Err(url.refused("a name that ends in .gz and gzip=false contradict each other"))
            }
            (Some(packed), _) => Ok(Arc::new(ArchiveSink::new(path, job, packed || gzip == Some(true))?)),
            (None, _) => Ok(Arc::new(DirectorySink::new(path, job, gzip == Some(true))?)),
        }
    }
}
