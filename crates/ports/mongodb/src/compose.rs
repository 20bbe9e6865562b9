//! Raw BSON put together from parts that are raw already.

use bson::RawDocumentBuf;

/// A document in the making. Nothing that is put in is decoded.
pub(crate) struct Composer(Vec<u8>);

const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BOOLEAN: u8 = 0x08;
const INT32: u8 = 0x10;

impl Composer {
    pub fn new() -> Self {
        Self(vec![0; 4])
    }

    pub fn with_capacity(bytes: usize) -> Self {
        let mut document = Vec::with_capacity(bytes);
        document.extend_from_slice(&[0; 4]);
        Self(document)
    }

    /// An element of any type, its value as BSON has it. Names come from here, and hold no zero.
    pub fn element(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.begin(kind, name);
        self.0.extend_from_slice(value);
        self
    }

    pub fn string(mut self, name: &str, text: &str) -> Self {
        self.begin(STRING, name);
        let length = i32::try_from(text.len() + 1).expect("names are short");
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    pub fn int32(self, name: &str, number: i32) -> Self {
        self.element(INT32, name, &number.to_le_bytes())
    }

    pub fn boolean(self, name: &str, value: bool) -> Self {
        self.element(BOOLEAN, name, &[u8::from(value)])
    }

    pub fn document(self, name: &str, document: &[u8]) -> Self {
        self.element(DOCUMENT, name, document)
    }

    /// An array of elements of which each is a type and a value.
    pub fn array<'a>(mut self, name: &str, values: impl Iterator<Item = (u8, &'a [u8])>) -> Self {
        self.begin(ARRAY, name);
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        for (at, (kind, value)) in values.enumerate() {
            self.begin(kind, &at.to_string());
            self.0.extend_from_slice(value);
        }
        self.0.push(0);
        self.measure(start);
        self
    }

    /// An array of documents.
    pub fn documents<'a>(self, name: &str, documents: impl Iterator<Item = &'a [u8]>) -> Self {
        self.array(name, documents.map(|document| (DOCUMENT, document)))
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(0);
        self.measure(0);
        self.0
    }

    /// The document, for those who want it as such.
    pub fn into_raw(self) -> RawDocumentBuf {
        RawDocumentBuf::from_bytes(self.finish()).expect("a composed document has its length and its end")
    }

    fn begin(&mut self, kind: u8, name: &str) {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
    }

    fn measure(&mut self, start: usize) {
        let length = i32::try_from(self.0.len() - start).expect("commands are kept below the limit of a message");
        self.0[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Document, rawdoc};

    #[test]
    fn what_is_composed_reads_like_what_the_bson_crate_writes() {
        let inner = rawdoc! { "_id": 1 };
        let composed = Composer::new()
            .string("insert", "ü")
            .boolean("ordered", false)
            .documents("documents", [inner.as_bytes(), inner.as_bytes()].into_iter())
            .int32("n", -1)
            .into_raw();

        let expected = rawdoc! { "insert": "ü", "ordered": false, "documents": [{ "_id": 1 }, { "_id": 1 }], "n": -1 };
        assert_eq!(Document::try_from(composed.as_ref()).unwrap(), Document::try_from(expected.as_ref()).unwrap());
        assert_eq!(composed.as_bytes(), expected.as_bytes());
    }
}
