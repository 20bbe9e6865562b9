//! Opening a spool by its URL.

use crate::error::SpoolError;
use crate::file::FileSpool;
use crate::format::Compression;
use crate::port::{Marker, Spool};
use crate::url::SpoolUrl;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Looks up the secret of a name.
pub type Lookup<'a> = dyn Fn(&str) -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync + 'a;

/// What a spool is opened with, besides its URL.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Becomes the spool's marker if it has none yet; random, so that no other spool has it.
    pub fresh: Marker,
    /// How parts that are written now are compressed; what lies there already is read whatever it was compressed with.
    pub compression: Compression,
    /// Bytes that writing must leave free on a disk: [`SpoolError::Full`] comes before less is. An object store has no
    /// such limit.
    pub reserve: u64,
    /// Where `secret:NAME` in an option is looked up. Asked while opening only.
    pub secret: &'a Lookup<'a>,
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fresh, compression, reserve, secret: _ } = self;
        f.debug_struct("Opening")
            .field("fresh", fresh)
            .field("compression", compression)
            .field("reserve", reserve)
            .finish_non_exhaustive()
    }
}

/// Opens the spool at a URL: `file:PATH`, or a bucket where the program was built with that kind of store.
///
/// | URL | options |
/// |---|---|
/// | `file:PATH` | none |
/// | `s3://BUCKET/PREFIX` | `region`, `endpoint`, `allow_http`, `access_key_id`, `secret_access_key`, `token` |
/// | `gs://BUCKET/PREFIX` | none |
/// | `az://CONTAINER/PREFIX` | `account` |
///
/// Credentials come from the environment as the store's own programs take them (`AWS_ACCESS_KEY_ID` …), or as
/// `secret:NAME`; one that stands in the URL itself is refused, and not repeated, with [`SpoolError::Url`].
pub async fn open(url: &str, opening: Opening<'_>) -> Result<Arc<dyn Spool>, SpoolError> {
    let url = SpoolUrl::parse(url)?;
    if url.scheme != "file" {
        return open_objects(&url, opening).await;
    }
    url.allow(&[])?;
    let spool = FileSpool::open(url.path()?, opening.fresh).await?;
    Ok(Arc::new(spool.with_compression(opening.compression).with_reserve(opening.reserve)))
}

#[cfg(feature = "objects")]
async fn open_objects(url: &SpoolUrl, opening: Opening<'_>) -> Result<Arc<dyn Spool>, SpoolError> {
    let (_, prefix) = url.bucket()?;
    let store = crate::object::connect(url, opening.secret)?;
    let spool = crate::object::ObjectSpool::open(store, url.shown(), &prefix, opening.fresh).await?;
    Ok(Arc::new(spool.with_compression(opening.compression)))
}

#[cfg(not(feature = "objects"))]
async fn open_objects(url: &SpoolUrl, _: Opening<'_>) -> Result<Arc<dyn Spool>, SpoolError> {
    Err(url.refused("this program was built without object stores; a spool is file:PATH"))
}
