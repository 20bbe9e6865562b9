//! `NAME.metadata.json`: everything of a collection but its documents.

use bson::{Bson, Document, RawDocumentBuf};

use crate::{ExtJson, Namespace, Unit, UnitKind};

/// What a metadata file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata {
    pub options: Option<ExtJson>,
    pub indexes: Vec<ExtJson>,
    pub uuid: Option<String>,
    pub collection: Option<String>,
    pub kind: UnitKind,
}

impl Metadata {
    /// Reads a metadata file. An empty one says nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let document: Document = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let options = match document.get("options") {
            None | Some(Bson::Null) => None,
            Some(Bson::Document(options)) if options.is_empty() => None,
            Some(Bson::Document(options)) => Some(definition(options)?),
            Some(_) => return Err("`options` is not a document".into()),
        };
        let indexes = match document.get("indexes") {
            None | Some(Bson::Null) => Vec::new(),
            Some(Bson::Array(indexes)) => {
                let one =
                    |index: &Bson| index.as_document().ok_or("an index is not a document".into()).and_then(definition);
                indexes.iter().map(one).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("`indexes` is not an array".into()),
        };
        let text_of = |name| document.get_str(name).ok().filter(|text| !text.is_empty()).map(str::to_owned);
        // Old files have no `type`; the options tell.
        let kind = match text_of("type").as_deref() {
            Some("view") => UnitKind::View,
            Some("timeseries") => UnitKind::TimeSeries,
            Some(_) => UnitKind::Collection,
            None => match document.get_document("options") {
                Ok(options) if options.contains_key("viewOn") => UnitKind::View,
                Ok(options) if options.contains_key("timeseries") => UnitKind::TimeSeries,
                _ => UnitKind::Collection,
            },
        };
        Ok(Self { options, indexes, uuid: text_of("uuid"), collection: text_of("collectionName"), kind })
    }

    /// The text of a unit's metadata file, with the fields in mongodump's order.
    pub(crate) fn text_of(unit: &Unit) -> String {
        let mut text = String::from("{");
        if let Some(options) = &unit.options {
            text.push_str("\"options\":");
            text.push_str(options.as_str());
            text.push(',');
        }
        text.push_str("\"indexes\":[");
        text.push_str(&unit.indexes.iter().map(ExtJson::as_str).collect::<Vec<_>>().join(","));
        text.push(']');
        if let Some(uuid) = &unit.uuid {
            text.push_str(",\"uuid\":");
            crate::extjson::write_string(&mut text, uuid);
        }
        text.push_str(",\"collectionName\":");
        crate::extjson::write_string(&mut text, &unit.namespace.collection);
        text.push_str(",\"type\":\"");
        text.push_str(kind_name(unit.kind));
        text.push_str("\"}");
        text
    }

    /// The unit that this describes, without an estimate.
    pub(crate) fn into_unit(self, namespace: Namespace) -> Unit {
        let Self { options, indexes, uuid, kind, .. } = self;
        Unit { kind, options, indexes, uuid, ..Unit::collection(namespace) }
    }
}

/// What mongodump calls a kind.
pub(crate) fn kind_name(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Collection => "collection",
        UnitKind::View => "view",
        UnitKind::TimeSeries => "timeseries",
    }
}

fn definition(document: &Document) -> Result<ExtJson, String> {
    let raw = RawDocumentBuf::try_from(document).map_err(|e| e.to_string())?;
    ExtJson::from_raw(&raw).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_file_read_and_written_again_is_the_same_text() {
        for text in [
            r#"{"options":{"capped":true,"size":{"$numberInt":"4096"}},"indexes":[{"key":{"b":{"$numberInt":"1"},"a":{"$numberInt":"-1"}},"name":"x","v":{"$numberInt":"2"}}],"uuid":"0f","collectionName":"c","type":"collection"}"#,
            r#"{"options":{"viewOn":"c","pipeline":[{"$match":{"a":{"$gt":{"$numberDouble":"1.5"}}}}]},"indexes":[],"collectionName":"c","type":"view"}"#,
        ] {
            let unit = Metadata::parse(text).unwrap().into_unit(Namespace::new("d", "c"));
            assert_eq!(Metadata::text_of(&unit), text);
        }
    }

    #[test]
    fn the_kind_of_an_old_file_is_told_by_its_options() {
        let view = Metadata::parse(r#"{"options":{"viewOn":"c","pipeline":[]},"indexes":[]}"#).unwrap();
        let plain = Metadata::parse(r#"{"options":{},"indexes":[]}"#).unwrap();
        assert_eq!((view.kind, plain.kind, plain.options), (UnitKind::View, UnitKind::Collection, None));
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for text in ["[]", "{", r#"{"indexes":{}}"#, r#"{"indexes":[1]}"#, r#"{"options":[]}"#] {
            assert!(Metadata::parse(text).is_err(), "{text}");
        }
    }
}
