//! What a bucket must be able to do.

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

/// A store of objects that takes large ones in pieces, under an id that outlives whoever began.
pub trait BucketStore: ObjectStore + MultipartStore {}

impl<S: ObjectStore + MultipartStore> BucketStore for S {}
