//! Where data is read from and written to.
//!
//! A [`Source`] lists units, cuts a unit into ranges and reads a range in batches of raw BSON. A [`Sink`] takes batches
//! chunk by chunk, makes units complete, and can be read back for verification. What each can do is declared, and the
//! conformance suite asks for what is declared. Addresses ([`EndpointUrl`]) name endpoints; [`Adapters`] opens them.
//!
//! Numbered promises are with the ports: S1 to S5 at [`Source`], T1 to T5 at [`Sink`], N1 to N3 at [`Mend`].
//!
//! This crate knows nothing of leases, jobs' states or workers, and decodes no document on its way.

mod batch;
pub mod bson_frames;
mod bson_stream;
pub mod compare;
pub mod conformance;
mod cut;
mod dump;
mod durable;
pub mod element;
mod error;
pub mod extjson;
mod gzip;
pub mod jsonl;
mod mend;
mod naming;
mod null;
mod open;
mod parts;
mod pump;
mod range;
mod sink;
mod source;
mod unit;
mod url;
mod whereabouts;

pub use batch::{BATCH_BYTES, BATCH_DOCUMENTS, Batch, BatchReader, Cursor};
pub use dump::DumpAdapter;
pub use error::{EndpointError, ErrorClass, Result};
pub use extjson::ExtJson;
pub use mend::{Mend, Mended};
pub use null::NullAdapter;
pub use open::{Adapter, Adapters};
pub use pump::{Ended, TaskOutlet, pump_on_task};
pub use range::{PlannedChunk, Range, SplitTarget};
pub use sink::{
    Checkpoint, ChunkFacts, ChunkWriter, IndexTime, Occupancy, PartFacts, PartKey, RefusedDocument, Scan, Sink,
    SinkAbilities, WriteMode, WritePlan,
};
pub use source::{Ranges, Source, SourceAbilities};
pub use unit::{Estimate, Listing, Namespace, SetAside, Unit, UnitKind};
pub use url::EndpointUrl;
pub use whereabouts::{Trail, Whereabouts};
