//! Which endpoints this binary opens, and what else moves their documents.

use capstan_endpoint::Adapters;
use capstan_worker::Options;

/// Files always; servers, and the vendor's programs for them, as they were compiled in.
pub fn furnish(options: &mut Options) {
    options.adapters = Adapters::of_files();
    #[cfg(feature = "mongodb")]
    {
        options.adapters = Adapters::of_files().with(std::sync::Arc::new(capstan_mongodb::MongoAdapter));
        options.mongo_tools = Some(std::sync::Arc::new(tools::Tools::from_environment()));
    }
}

#[cfg(feature = "mongodb")]
mod tools {
    use async_trait::async_trait;
    use capstan_endpoint::{EndpointUrl, Result, Sink, Source};
    use capstan_mongotools::ToolsOptions;
    use capstan_worker::Engine;
    use std::sync::Arc;

    /// mongodump and mongorestore, for the addresses that they can open.
    pub struct Tools(ToolsOptions);

    impl Tools {
        pub fn from_environment() -> Self {
            // Secrets of a worker that was killed go even if none of its jobs comes here again.
            if let Err(error) = capstan_mongotools::sweep() {
                tracing::warn!(%error, "what killed workers left could not be removed");
            }
            Self(ToolsOptions::from_environment())
        }
    }

    fn is_mongodb(url: &EndpointUrl) -> bool {
        matches!(url.scheme(), "mongodb" | "mongodb+srv")
    }

    #[async_trait]
    impl Engine for Tools {
        async fn source(&self, url: &EndpointUrl, native: Arc<dyn Source>) -> Result<Arc<dyn Source>> {
            if !is_mongodb(url) {
                return Ok(native);
            }
            capstan_mongotools::source(native, url, self.0.clone()).await
        }

        async fn sink(&self, url: &EndpointUrl, _: &str, native: Arc<dyn Sink>) -> Result<Arc<dyn Sink>> {
            if !is_mongodb(url) {
                return Ok(native);
            }
            capstan_mongotools::sink(native, url, self.0.clone())
        }
    }
}
