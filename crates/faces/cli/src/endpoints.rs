//! Which endpoints this binary opens.

use capstan_endpoint::Adapters;

/// Files always; servers as they were compiled in.
pub fn adapters() -> Adapters {
    let adapters = Adapters::of_files();
    #[cfg(feature = "mongodb")]
    let adapters = adapters.with(std::sync::Arc::new(capstan_mongodb::MongoAdapter));
    adapters
}
