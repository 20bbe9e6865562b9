//! BSON written straight to bytes: names and values in the order in which they are given.
//!
//! ```
//! use capstan_testkit::raw;
//! let mut out = Vec::new();
//! raw::document(&mut out, |order| {
//!     order.int64("_id", 7).array("lines", |lines| {
//!         lines.push(|line, index| line.string(index, "lamp"));
//!     });
//! });
//! assert_eq!(bson::Document::from_reader(&out[..])?, bson::doc! { "_id": 7_i64, "lines": ["lamp"] });
//! # Ok::<(), bson::error::Error>(())
//! ```

/// Appends a document whose fields `fill` gives.
pub fn document(out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(&mut Fields { out });
    out.push(0);
    let length = u32::try_from(out.len() - start).expect("a document is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Takes the fields of a document. Names must not hold a NUL.
#[derive(Debug)]
pub struct Fields<'a> {
    out: &'a mut Vec<u8>,
}

/// Takes the items of an array.
#[derive(Debug)]
pub struct Items<'a> {
    out: &'a mut Vec<u8>,
    count: u32,
}

impl Fields<'_> {
    /// A field of any type: its type byte and the bytes of its value, as the BSON specification has them.
    pub fn value(&mut self, tag: u8, name: &str, value: &[u8]) -> &mut Self {
        self.begin(tag, name);
        self.out.extend_from_slice(value);
        self
    }

    /// A 64-bit floating point number.
    pub fn double(&mut self, name: &str, value: f64) -> &mut Self {
        self.value(0x01, name, &value.to_le_bytes())
    }

    /// A string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.text(0x02, name, value)
    }

    /// A document in the document.
    pub fn document(&mut self, name: &str, fill: impl FnOnce(&mut Fields<'_>)) -> &mut Self {
        self.begin(0x03, name);
        document(self.out, fill);
        self
    }

    /// An array.
    pub fn array(&mut self, name: &str, fill: impl FnOnce(&mut Items<'_>)) -> &mut Self {
        self.begin(0x04, name);
        document(self.out, |fields| fill(&mut Items { out: fields.out, count: 0 }));
        self
    }

    /// Bytes of a subtype other than the old one, 2.
    pub fn binary(&mut self, name: &str, subtype: u8, value: &[u8]) -> &mut Self {
        self.begin(0x05, name);
        self.out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.out.push(subtype);
        self.out.extend_from_slice(value);
        self
    }

    /// An object id.
    pub fn object_id(&mut self, name: &str, value: [u8; 12]) -> &mut Self {
        self.value(0x07, name, &value)
    }

    /// A truth value.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.value(0x08, name, &[u8::from(value)])
    }

    /// A date in milliseconds since 1970.
    pub fn date(&mut self, name: &str, millis: i64) -> &mut Self {
        self.value(0x09, name, &millis.to_le_bytes())
    }

    /// Null.
    pub fn null(&mut self, name: &str) -> &mut Self {
        self.value(0x0a, name, &[])
    }

    /// A string-like value of another type: code (0x0d) or symbol (0x0e).
    pub fn text(&mut self, tag: u8, name: &str, value: &str) -> &mut Self {
        self.begin(tag, name);
        self.out.extend_from_slice(&(value.len() as u32 + 1).to_le_bytes());
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(0);
        self
    }

    /// A 32-bit integer.
    pub fn int32(&mut self, name: &str, value: i32) -> &mut Self {
        self.value(0x10, name, &value.to_le_bytes())
    }

    /// A 64-bit integer.
    pub fn int64(&mut self, name: &str, value: i64) -> &mut Self {
        self.value(0x12, name, &value.to_le_bytes())
    }

    /// A decimal number of hundredths, such as a price: 1995 is 19.95.
    pub fn hundredths(&mut self, name: &str, value: u64) -> &mut Self {
        // Decimal128 in its plain form: the exponent, biased by 6176, in the 14 bits below the sign, the digits in the rest.
        let exponent = (6_176_u64 - 2) << 49;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&value.to_le_bytes());
        bytes[8..].copy_from_slice(&exponent.to_le_bytes());
        self.value(0x13, name, &bytes)
    }

    fn begin(&mut self, tag: u8, name: &str) {
        self.out.push(tag);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
    }
}

impl Items<'_> {
    /// Adds the item that `fill` writes as a field of the given name.
    pub fn push(&mut self, fill: impl for<'f, 'g> FnOnce(&'f mut Fields<'g>, &str) -> &'f mut Fields<'g>) -> &mut Self {
        let mut digits = [0; 10];
        let mut begin = digits.len();
        let mut rest = self.count;
        loop {
            begin -= 1;
            digits[begin] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let index = std::str::from_utf8(&digits[begin..]).expect("digits are ASCII");
        fill(&mut Fields { out: self.out }, index);
        self.count += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, Document, doc};

    #[test]
    fn the_bson_crate_reads_what_is_written() {
        let mut out = Vec::new();
        document(&mut out, |fields| {
            fields.double("d", -0.5).string("s", "é\0").document("o", |o| {
                o.null("n");
            });
            fields.array("a", |items| {
                for n in 0..12 {
                    items.push(|field, index| field.int32(index, n));
                }
            });
            fields
                .binary("b", 4, &[7; 16])
                .object_id("i", [1; 12])
                .boolean("t", true)
                .date("w", -1)
                .int64("l", 1 << 40);
            fields.hundredths("p", 1_995).text(0x0d, "c", "f()");
        });

        let expected = doc! {
            "d": -0.5, "s": "é\0", "o": { "n": null }, "a": (0..12).collect::<Vec<i32>>(),
            "b": bson::Uuid::from_bytes([7; 16]), "i": bson::oid::ObjectId::from_bytes([1; 12]), "t": true,
            "w": bson::DateTime::from_millis(-1), "l": 1_i64 << 40,
            "p": "19.95".parse::<bson::Decimal128>().unwrap(), "c": Bson::JavaScriptCode("f()".into()),
        };
        assert_eq!(Document::from_reader(&out[..]).unwrap(), expected);
        assert_eq!(expected.to_vec().unwrap(), out);
    }
}
