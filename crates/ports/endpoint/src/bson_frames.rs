//! Where a BSON document ends: lengths and terminators, nothing of what is inside.

/// The least a document can have: its length and its terminating zero.
pub const DOCUMENT_BYTES_MIN: usize = 5;
/// The most a document may have: 16 MiB for users' documents and 16 KiB that the server allows itself on top.
pub const DOCUMENT_BYTES_MAX: usize = (16 << 20) + (16 << 10);

/// Why bytes are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a document length of {found} is outside 5 to {DOCUMENT_BYTES_MAX}")]
    Length { found: i32 },
    #[error("a document of {expected} bytes ends after {found}")]
    Short { expected: usize, found: usize },
    #[error("a document of {length} bytes ends with {found:#04x} instead of zero")]
    Terminator { length: usize, found: u8 },
}

/// The length that a document claims in its first four bytes, if they are all there and the claim is possible.
///
/// ```
/// use capstan_endpoint::bson_frames::claimed_length;
/// assert_eq!(claimed_length(&[5, 0, 0, 0, 0]), Ok(Some(5)));
/// assert_eq!(claimed_length(&[5, 0]), Ok(None));
/// assert!(claimed_length(&[4, 0, 0, 0]).is_err());
/// ```
pub fn claimed_length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(head) = bytes.first_chunk::<4>() else { return Ok(None) };
    let found = i32::from_le_bytes(*head);
    match usize::try_from(found) {
        Ok(length) if (DOCUMENT_BYTES_MIN..=DOCUMENT_BYTES_MAX).contains(&length) => Ok(Some(length)),
        _ => Err(FrameError::Length { found }),
    }
}

/// The first document of `bytes`, whole and terminated.
pub fn first_document(bytes: &[u8]) -> Result<&[u8], FrameError> {
    let length =
        claimed_length(bytes)?.ok_or(FrameError::Short { expected: DOCUMENT_BYTES_MIN, found: bytes.len() })?;
    let document = bytes.get(..length).ok_or(FrameError::Short { expected: length, found: bytes.len() })?;
    match document[length - 1] {
        0 => Ok(document),
        found => Err(FrameError::Terminator { length, found }),
    }
}

/// Walks documents that lie back to back and whose framing has been checked.
pub fn walk(bytes: &[u8]) -> Documents<'_> {
    Documents { rest: bytes }
}

/// See [`walk`]. Ends early at bytes that are no document.
#[derive(Clone, Debug)]
pub struct Documents<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Documents<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let document = first_document(self.rest).ok()?;
        self.rest = &self.rest[document.len()..];
        Some(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_refused_for_its_length_its_end_and_its_terminator() {
        assert_eq!(first_document(&[5, 0, 0, 0, 0, 9]), Ok(&[5, 0, 0, 0, 0][..]));
        assert_eq!(first_document(&[4, 0, 0, 0]), Err(FrameError::Length { found: 4 }));
        assert_eq!(first_document(&[0xff; 4]), Err(FrameError::Length { found: -1 }));
        assert_eq!(first_document(&[6, 0, 0, 0, 0]), Err(FrameError::Short { expected: 6, found: 5 }));
        assert_eq!(first_document(&[5, 0, 0, 0, 7]), Err(FrameError::Terminator { length: 5, found: 7 }));
    }
}
