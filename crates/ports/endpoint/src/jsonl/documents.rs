//! Documents one after the other from a stream of text: lines, anything between white space, or one array of all.

use std::io::Read;

use super::parse::{TextError, parse_document};
use crate::bson_frames::DOCUMENT_BYTES_MAX;

/// Text read at a time.
const BUFFER_BYTES: usize = 1 << 20;
/// The text of one document at most: every byte of the largest document as a six-character escape, and room to spare.
const TEXT_BYTES_MAX: usize = 8 * DOCUMENT_BYTES_MAX;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How documents follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// With nothing but white space between them.
    Sequence,
    /// In square brackets, with commas between them.
    Array,
}

/// What comes next in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Opening,
    FirstOrClosing,
    CommaOrClosing,
    Nothing,
}

/// Why there is no next document.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The text is not what it should be, at this byte of the stream.
    Text {
        offset: u64,
        error: TextError,
    },
    Io(std::io::Error),
}

/// Reads documents from text, holding one buffer of it, or one document where that is larger.
pub(super) struct TextDocuments<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where in the buffer the unread text begins.
    at: usize,
    /// The place of the buffer's first byte in the stream.
    offset: u64,
    ended: bool,
    arrangement: Arrangement,
    expected: Expected,
}

impl<R: Read> TextDocuments<R> {
    /// Reads on at `offset`, which is the beginning of the stream or right after a document.
    pub fn new(input: R, offset: u64, arrangement: Arrangement) -> Self {
        let expected = if offset == 0 { Expected::Opening } else { Expected::CommaOrClosing };
        Self { input, buffer: Vec::new(), at: 0, offset, ended: false, arrangement, expected }
    }

    /// Appends the next document to `out` as BSON; false at the end of the text.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        if self.position() == 0 {
            while self.buffer.len() < BYTE_ORDER_MARK.len() && !self.ended {
                self.fill()?;
            }
            self.at += if self.buffer.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        }
        let there_is_more = match self.arrangement {
            Arrangement::Sequence => self.peek()?.is_some(),
            Arrangement::Array => self.enter_array()?,
        };
        if there_is_more {
            self.document(out)?;
        }
        Ok(there_is_more)
    }

    /// The place in the stream right after the last document.
    pub fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    fn document(&mut self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        loop {
            match parse_document(&self.buffer[self.at..], out) {
                Ok(taken) => {
                    self.at += taken;
                    return Ok(());
                }
                Err(error) if error.ended && !self.ended => {
                    let unread = self.buffer.len() - self.at;
                    if unread > TEXT_BYTES_MAX {
                        let expected = format!("the end of a document within {TEXT_BYTES_MAX} bytes of text");
                        return Err(self.wrong(0, expected, "more of it"));
                    }
                    self.fill()?;
                }
                Err(error) => return Err(ReadError::Text { offset: self.position() + error.at as u64, error }),
            }
        }
    }

    /// Passes over brackets and commas; true in front of a document, false behind the closing bracket.
    fn enter_array(&mut self) -> Result<bool, ReadError> {
        loop {
            let byte = self.peek()?;
            self.expected = match (self.expected, byte) {
                (Expected::Opening, Some(b'[')) => Expected::FirstOrClosing,
                (Expected::FirstOrClosing | Expected::CommaOrClosing, Some(b']')) => Expected::Nothing,
                (Expected::Nothing, None) => return Ok(false),
                (Expected::CommaOrClosing, Some(b',')) => {
                    self.at += 1;
                    // After a comma there must be a document, so an array that ends in one is refused.
                    self.peek()?;
                    return Ok(true);
                }
                (Expected::FirstOrClosing, Some(_)) => {
                    self.expected = Expected::CommaOrClosing;
                    return Ok(true);
                }
                (Expected::Opening, _) => return Err(self.unexpected("an array, which begins with [")),
                (Expected::FirstOrClosing | Expected::CommaOrClosing, _) => return Err(self.unexpected("a comma or ]")),
                (Expected::Nothing, Some(_)) => return Err(self.unexpected("nothing after the array")),
            };
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let unread = &self.buffer[self.at..];
            match unread.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(white) => {
                    self.at += white;
                    return Ok(Some(self.buffer[self.at]));
                }
                None if self.ended => return Ok(None),
                None => {
                    self.at = self.buffer.len();
                    self.fill()?;
                }
            }
        }
    }

    /// Lets go of what was read, and reads as much as is unread, or a buffer where that is more.
    fn fill(&mut self) -> Result<(), ReadError> {
        self.buffer.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        let wanted = BUFFER_BYTES.max(self.buffer.len());
        self.buffer.reserve(wanted);
        let read = (&mut self.input).take(wanted as u64).read_to_end(&mut self.buffer).map_err(ReadError::Io)?;
        self.ended = read < wanted;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> ReadError {
        let rest = &self.buffer[self.at..];
        let found = if rest.is_empty() {
            String::from("the end")
        } else {
            format!("{:?}", String::from_utf8_lossy(&rest[..rest.len().min(20)]))
        };
        self.wrong(0, expected.into(), &found)
    }

    fn wrong(&self, ahead: usize, expected: String, found: &str) -> ReadError {
        let offset = self.position() + ahead as u64;
        let error = TextError { at: ahead, expected: expected.into(), found: found.into(), ended: self.ended };
        ReadError::Text { offset, error }
    }
}

/// How the documents of a text follow each other, told by its first bytes.
pub(super) fn arrangement(head: &[u8]) -> Arrangement {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => Arrangement::Array,
        _ => Arrangement::Sequence,
    }
}

/// Whether a text can be cut at line ends, as far as its first bytes tell: its first document ends on its first line.
pub(super) fn is_lines(head: &[u8]) -> bool {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let begin = head.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let head = &head[begin..];
    match head.iter().position(|byte| *byte == b'\n') {
        Some(line) => head.starts_with(b"{") && parse_document(&head[..line], &mut Vec::new()).is_ok(),
        // A first line longer than what was looked at is one of few; a file of one line is not worth cutting.
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, so that every boundary is met.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(self.0.len()).min(out.len());
            out[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    /// Each document with where it ends, or where the text goes wrong and how.
    type Found = Result<Vec<(u64, Vec<u8>)>, (u64, String)>;

    fn read(text: &[u8]) -> Found {
        let mut documents = TextDocuments::new(Trickle(text, 3), 0, arrangement(text));
        let mut found = Vec::new();
        loop {
            let mut out = Vec::new();
            match documents.next(&mut out) {
                Ok(true) => found.push((documents.position(), out)),
                Ok(false) => return Ok(found),
                Err(ReadError::Text { offset, error }) => return Err((offset, error.to_string())),
                Err(ReadError::Io(error)) => panic!("{error}"),
            }
        }
    }

    fn ends(text: &str) -> Vec<u64> {
        read(text.as_bytes()).unwrap().into_iter().map(|(end, _)| end).collect()
    }

    #[test]
    fn documents_follow_each_other_in_every_way_that_files_have() {
        assert!(ends("").is_empty());
        assert!(ends(" \n\n").is_empty());
        assert_eq!(ends("{}\n{\"a\":1}\n"), [2, 10]);
        assert_eq!(ends("\u{feff}{}\r\n\r\n{}"), [5, 11]);
        assert_eq!(ends("{}{}\t{\n\"a\":\n1}"), [2, 4, 14]);
        assert!(ends("[]").is_empty());
        assert!(ends(" [ ] \n").is_empty());
        assert_eq!(ends("[{},{}\n,\n{}]\n"), [3, 6, 11]);
    }

    #[test]
    fn what_is_no_sequence_of_documents_is_refused_where_it_goes_wrong() {
        for (text, offset, reason) in [
            ("{},{}", 2, "a document, which begins with { expected, \",{}\" found"),
            ("{}\n1", 3, "a document, which begins with { expected, \"1\" found"),
            ("{}\n{\"a\":", 8, "a value expected, the end found"),
            ("[{}", 3, "a comma or ] expected, the end found"),
            ("[{},]", 4, "a document, which begins with { expected, \"]\" found"),
            ("[{} {}]", 4, "a comma or ] expected, \"{}]\" found"),
            ("[{}] x", 5, "nothing after the array expected, \"x\" found"),
            ("[", 1, "a comma or ] expected, the end found"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), (offset, reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn reading_goes_on_after_any_document() {
        for text in ["{\"a\":1}\n{\"a\":2} {\"a\":3}\n", "[{\"a\":1},{\"a\":2}\n,{\"a\":3}]"] {
            let all = read(text.as_bytes()).unwrap();
            for (index, (end, _)) in all.iter().enumerate() {
                let rest = &text.as_bytes()[*end as usize..];
                let mut documents = TextDocuments::new(rest, *end, arrangement(text.as_bytes()));
                for (later_end, later) in &all[index + 1..] {
                    let mut out = Vec::new();
                    assert!(documents.next(&mut out).unwrap());
                    assert_eq!((documents.position(), &out), (*later_end, later));
                }
                assert!(!documents.next(&mut Vec::new()).unwrap());
            }
        }
    }

    #[test]
    fn a_document_larger_than_the_buffer_is_read() {
        let text = format!("{{\"a\":1}}\n{{\"b\":\"{}\"}}\n{{\"c\":1}}", "é".repeat(3 * BUFFER_BYTES));
        let mut documents = TextDocuments::new(text.as_bytes(), 0, Arrangement::Sequence);
        let mut out = Vec::new();
        while documents.next(&mut out).unwrap() {}
        assert_eq!(crate::bson_frames::walk(&out).count(), 3);
        assert_eq!(documents.position() as usize, text.len());
    }

    #[test]
    fn lines_are_told_by_the_first_of_them() {
        assert!(is_lines(b"\xef\xbb\xbf{\"a\":1}\n"));
        assert!(is_lines(b"\n {} {}\n{"));
        assert!(!is_lines(b"{\n\"a\":1}\n"));
        assert!(!is_lines(b"[{}\n]"));
        assert!(!is_lines(b"{\"a\":1}"));
    }
}
