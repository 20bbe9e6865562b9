//! `mongodb://` and `mongodb+srv://`: collections of servers that speak the MongoDB wire protocol.
//!
//! Reads raw batches and writes raw commands: no document is decoded on its way. Ranges are index bounds on `_id` in BSON
//! order where the server honours them, and ranges within a type where it does not; which of the two is found out on
//! the collection itself, never from a version number.
//!
//! # Promises
//! - M1 The ranges of a split are disjoint and cover the collection for any mix of `_id` types, whatever order the
//!   server has: see `range.rs`.
//! - M2 A document is written at most once: what is there already with the same bytes is left alone, what differs is
//!   replaced by `_id`.
//! - M3 A write has been acknowledged by a majority and journalled, where the server can say so, before it counts.
//! - M4 A document that a server refuses, or answers by closing the connection, is put aside with the reason, and the
//!   rest is written.
//! - M5 Of options and indexes nothing is dropped silently: what the server refuses, and what it takes and then does
//!   not list, is set aside with the reason.
//!
//! # Never
//! Decides by a server's name or version what it can do, lets a password into an error, or touches a collection that the
//! job does not write.
//!
//! ```no_run
//! # async fn example() -> capstan_endpoint::Result<()> {
//! use std::sync::Arc;
//! use capstan_endpoint::Adapters;
//! use capstan_mongodb::MongoAdapter;
//!
//! let adapters = Adapters::of_files().with(Arc::new(MongoAdapter));
//! let source = adapters.source(&"mongodb://localhost".parse()?).await?;
//! for unit in source.units().await?.units {
//!     println!("{} {:?}", unit.namespace, unit.estimate.documents);
//! }
//! # Ok(())
//! # }
//! ```

mod answers;
mod bypass;
mod command;
mod compose;
mod definition;
mod fault;
mod id;
mod indexes;
mod listing;
mod marks;
mod mender;
mod order;
mod placing;
mod portion;
mod prepare;
pub mod queries;
mod range;
mod reader;
mod resumption;
mod sampled;
mod server;
mod sink;
mod source;
mod split;
mod there;
mod throttle;
mod uncut;
mod whereabouts;
mod write;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{Adapter, EndpointUrl, Result, Sink, Source};

use server::Server;

/// Opens `mongodb://` and `mongodb+srv://`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MongoAdapter;

#[async_trait]
impl Adapter for MongoAdapter {
    fn schemes(&self) -> &'static [&'static str] {
        &["mongodb", "mongodb+srv"]
    }

    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(source::MongoSource::new(Server::connect(url).await?)))
    }

    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(sink::MongoSink::new(Server::connect(url).await?, job)))
    }
}
