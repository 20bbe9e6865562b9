//! Finding one element of a raw document without decoding the others.

/// The `_id` of a document: its type byte and its value as they stand there. `None` without one, or in a broken document.
///
/// The first element of that name counts, wherever it stands.
pub fn id_of(document: &[u8]) -> Option<Element<'_>> {
    elements(document).map_while(|element| element).find(|(name, _)| *name == b"_id").map(|(_, element)| element)
}

/// The elements of a document with their names, in their order; `None` as the last one where it is broken.
pub(crate) fn elements(document: &[u8]) -> impl Iterator<Item = Option<(&[u8], Element<'_>)>> {
    let inside = document.len().checked_sub(1).and_then(|end| document.get(4..end));
    let mut rest = Some(inside.unwrap_or_default());
    let mut broken = inside.is_none();
    std::iter::from_fn(move || {
        let element = match rest.take()? {
            [] if !std::mem::take(&mut broken) => return None,
            bytes => next_element(bytes),
        };
        rest = element.map(|(.., after)| after);
        Some(element.map(|(name, element, _)| (name, element)))
    })
}

/// The first element of these bytes, and what stands behind it.
fn next_element(bytes: &[u8]) -> Option<(&[u8], Element<'_>, &[u8])> {
    let [kind, after @ ..] = bytes else { return None };
    let name_length = after.iter().position(|&byte| byte == 0)?;
    let (name, behind) = (&after[..name_length], &after[name_length + 1..]);
    let (value, behind) = behind.split_at_checked(value_length(*kind, behind)?)?;
    Some((name, Element { kind: *kind, value }, behind))
}

/// A value with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    pub kind: u8,
    pub value: &'a [u8],
}

impl Element<'_> {
    /// A document that has this as its `_id` and nothing else.
    pub fn to_document(self) -> Vec<u8> {
        let mut document = vec![0; 4];
        document.push(self.kind);
        document.extend_from_slice(b"_id\0");
        document.extend_from_slice(self.value);
        document.push(0);
        let length = u32::try_from(document.len()).expect("an element of a document is smaller than 4 GiB");
        document[..4].copy_from_slice(&length.to_le_bytes());
        document
    }

    /// The value as canonical extended JSON, or in hexadecimal where it is no valid BSON.
    pub fn to_ext_json(self) -> String {
        let document = self.to_document();
        let mut text = String::new();
        let value =
            bson::RawDocument::from_bytes(&document).ok().and_then(|document| document.get("_id").ok().flatten());
        match value.map(|value| crate::extjson::write_value(&mut text, value)) {
            Some(Ok(())) => text,
            _ => format!(
                "invalid BSON of type {:#04x}: {}",
                self.kind,
                hexadecimal(&self.value[..self.value.len().min(64)])
            ),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many bytes a value of this type takes, by the BSON specification, version 1.1.
fn value_length(kind: u8, value: &[u8]) -> Option<usize> {
    let counted = |extra: usize| {
        let length = i32::from_le_bytes(*value.first_chunk::<4>()?);
        usize::try_from(length).ok()?.checked_add(extra)
    };
    match kind {
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x02 | 0x0d | 0x0e => counted(4),
        0x03 | 0x04 | 0x0f => counted(0),
        0x05 => counted(5),
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x07 => Some(12),
        0x08 => Some(1),
        0x0b => {
            let pattern = value.iter().position(|&byte| byte == 0)? + 1;
            let options = value[pattern..].iter().position(|&byte| byte == 0)? + 1;
            Some(pattern + options)
        }
        0x0c => counted(16),
        0x10 => Some(4),
        0x13 => Some(16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixtures;

    #[test]
    fn the_id_is_found_behind_an_element_of_any_type() {
        for value in fixtures::values() {
            let document = fixtures::document(&[("v", &value), ("_id", &fixtures::int32(7))]);
            assert_eq!(id_of(&document), Some(Element { kind: 0x10, value: &[7, 0, 0, 0] }), "type {:#x}", value.kind);
        }
    }

    #[test]
    fn an_id_of_any_type_is_read_as_the_bson_crate_reads_it() {
        for value in fixtures::values() {
            let document = fixtures::document(&[("_id", &value)]);
            let mut expected = String::new();
            let raw = bson::RawDocument::from_bytes(&document).unwrap();
            crate::extjson::write_value(&mut expected, raw.get("_id").unwrap().unwrap()).unwrap();
            assert_eq!(id_of(&document).unwrap().to_ext_json(), expected);
            assert_eq!(id_of(&document).unwrap().to_document(), document);
        }
    }

    #[test]
    fn a_document_without_an_id_or_broken_inside_has_none() {
        assert_eq!(id_of(&fixtures::document(&[("a", &fixtures::int32(1))])), None);
        assert_eq!(id_of(&[5, 0, 0, 0, 0]), None);
        assert_eq!(id_of(&[12, 0, 0, 0, 0x77, b'a', 0, 1, 0, 0, 0, 0]), None);
        assert_eq!(id_of(&[]), None);
    }
}
