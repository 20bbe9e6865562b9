//! Another engine than this program's own: what a job asks for by `engine`.

use async_trait::async_trait;
use capstan_endpoint::{EndpointUrl, Result, Sink, Source};
use std::sync::Arc;

/// Moves documents in another way than the endpoints by themselves: `engine = "mongo-tools"` runs mongodump and
/// mongorestore.
///
/// It is given each endpoint that such a job opens, as it was opened natively, and answers with one that lists, cuts and
/// verifies as that one does. An endpoint that it has no way of its own for it gives back as it is.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What is read from that address.
    async fn source(&self, url: &EndpointUrl, native: Arc<dyn Source>) -> Result<Arc<dyn Source>>;

    /// What the job of that name writes to that address.
    async fn sink(&self, url: &EndpointUrl, job: &str, native: Arc<dyn Sink>) -> Result<Arc<dyn Sink>>;
}
