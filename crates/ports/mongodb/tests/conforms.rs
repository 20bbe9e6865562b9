//! The port's own suite, on real servers.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod live;

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::conformance::{SinkMaker, fixtures, sink_conforms, source_conforms};
use capstan_endpoint::{Namespace, Sink, element};

use live::{Apart, Live};

on_both_servers! {
    it_is_a_sink;
    it_is_a_source;
}

struct Maker<'a>(&'a Live);

#[async_trait]
impl SinkMaker for Maker<'_> {
    async fn open(&self, place: &str, job: &str) -> Arc<dyn Sink> {
        let prefix = format!("{}{place}_", self.0.prefix);
        Arc::new(Apart::<dyn Sink> { inner: self.0.sink(job).await, prefix })
    }

    fn documents(&self) -> Vec<Vec<u8>> {
        fixtures::documents().into_iter().filter(|document| is_held(self.0, document)).collect()
    }

    fn names(&self) -> Vec<Namespace> {
        // One of the servers has an own limit of 128 bytes for database and collection together.
        fixtures::odd_names().into_iter().filter(|name| name.collection.len() < 90).collect()
    }
}

/// Whether the server holds this document, as probed: see docs/endpoints.md.
fn is_held(live: &Live, document: &[u8]) -> bool {
    let raw = bson::RawDocument::from_bytes(document).unwrap();
    let id = element::id_of(document).unwrap();
    // In this test's server a string with NUL is refused, and an empty binary `_id` is taken for an empty string.
    let empty_binary = id.kind == 0x05 && id.value[..4] == [0; 4];
    // Equal in value to `_id` 0 and to Infinity, which come first: no server holds both.
    let twice = id.kind == 0x01 && id.value == (-0.0_f64).to_le_bytes() || id.kind == 0x13;
    let types = raw.iter_elements().map(|element| {
        let element = element.unwrap();
        (element.element_type() as u8, element.value().unwrap())
    });
    let known = types.into_iter().all(|(kind, value)| match (kind, live.is_ferret()) {
        // Binary of subtypes 2 and 5 and some older types close this server's connection; of other subtypes it makes 0.
        (0x05, false) => !matches!(value.as_binary().map(|binary| u8::from(binary.subtype)), Some(2 | 5 | 0x80)),
        (0x02, true) => value.as_str().is_some_and(|text| !text.contains('\0')),
        (0x0f | 0x0c | 0x06 | 0x0e, false) => false,
        (0x01, true) => {
            value.as_f64().is_some_and(|number| number.is_finite() && !(number == 0.0 && number.is_sign_negative()))
        }
        (0x06 | 0x0c | 0x0d | 0x0e | 0x0f | 0x13 | 0x7f | 0xff, true) => false,
        _ => true,
    });
    let dotted = raw.iter().any(|element| element.is_ok_and(|(name, _)| name.as_str().contains(['.', '$'])));
    known && !twice && !((dotted || empty_binary) && live.is_ferret())
}

async fn it_is_a_sink(live: &Live) {
    sink_conforms(&Maker(live)).await;
}

async fn it_is_a_source(live: &Live) {
    live.insert("s", "numbered", &fixtures::numbered(500)).await;
    let mixed: Vec<Vec<u8>> = fixtures::documents().into_iter().filter(|document| is_held(live, document)).collect();
    live.insert("s", "mixed", &mixed).await;
    live.run("s", bson::doc! { "create": "empty" }).await;

    source_conforms(&*live.source("s").await).await;
}
