//! A commit as bytes, the same in every adapter.
//!
//! ```text
//! streams  varint          how many names
//! events   varint          how many events
//! names    streams × (length u8, UTF-8)
//! marks    events × (stream varint, length varint)
//! bytes    the events, one after the other
//! ```
//!
//! The wall time is not in it: adapters keep it where they can look at it without decoding the rest.

use crate::commit::Commit;
use capstan_ids::{StreamName, WallTime};

/// Why bytes are not a commit. Adapters check a sum over the bytes first, so this is a bug or a forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded commit: {0}")]
pub struct Undecodable(&'static str);

/// Names met before, so that a log of a million events of three streams makes three names.
#[derive(Debug, Default)]
pub struct Names {
    met: Vec<StreamName>,
    turn: usize,
}

const NAMES_REMEMBERED: usize = 64;

impl Names {
    fn get(&mut self, text: &str) -> Result<StreamName, Undecodable> {
        if let Some(name) = self.met.iter().find(|n| n.as_str() == text) {
            return Ok(name.clone());
        }
        let name = StreamName::new(text).map_err(|_| Undecodable("a stream's name is not valid"))?;
        if self.met.len() < NAMES_REMEMBERED {
            self.met.push(name.clone());
        } else {
            self.met[self.turn % NAMES_REMEMBERED] = name.clone();
            self.turn += 1;
        }
        Ok(name)
    }
}

impl Commit {
    /// The most bytes that [`Commit::encode`] may add.
    pub fn encoded_max(&self) -> usize {
        let (streams, marks, bytes) = self.parts();
        10 + streams.iter().map(|s| 1 + s.as_str().len()).sum::<usize>() + marks.len() * 10 + bytes.len()
    }

    /// Adds its bytes to the end of `into`.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let (streams, marks, bytes) = self.parts();
        into.reserve(self.encoded_max());
        put(into, streams.len() as u32);
        put(into, marks.len() as u32);
        for stream in streams {
            into.push(stream.as_str().len() as u8);
            into.extend_from_slice(stream.as_str().as_bytes());
        }
        let mut start = 0;
        for &(stream, end) in marks {
            put(into, stream);
            put(into, end - start);
            start = end;
        }
        into.extend_from_slice(bytes);
    }

    /// Reads a commit back; answers it and how many bytes it took.
    pub fn decode(at: WallTime, bytes: &[u8], names: &mut Names) -> Result<(Self, usize), Undecodable> {
        let mut rest = bytes;
        let stream_count = take(&mut rest)? as usize;
        let event_count = take(&mut rest)? as usize;
        // Each needs two bytes at least: no allocation is larger than what was read.
        if stream_count.saturating_add(event_count) > rest.len() {
            return Err(Undecodable("more streams and events than bytes"));
        }
        let mut streams = Vec::with_capacity(stream_count);
        for _ in 0..stream_count {
            let (&length, after) = rest.split_first().ok_or(Undecodable("ends within the names"))?;
            let name = after.get(..length as usize).ok_or(Undecodable("ends within a name"))?;
            streams.push(names.get(std::str::from_utf8(name).map_err(|_| Undecodable("a name is not UTF-8"))?)?);
            rest = &after[length as usize..];
        }
        let mut marks = Vec::with_capacity(event_count);
        let mut end = 0_u32;
        for _ in 0..event_count {
            let stream = take(&mut rest)?;
            if stream as usize >= stream_count {
                return Err(Undecodable("an event of a stream that is not listed"));
            }
            end = end.checked_add(take(&mut rest)?).ok_or(Undecodable("events longer than 4 GiB"))?;
            marks.push((stream, end));
        }
        let events = rest.get(..end as usize).ok_or(Undecodable("ends within the events"))?;
        let taken = bytes.len() - rest.len() + events.len();
        Ok((Self::from_parts(at, streams, marks, events.to_vec()), taken))
    }
}

fn put(into: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Result<u32, Undecodable> {
    let mut number = 0_u64;
    for (index, &byte) in rest.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *rest = &rest[index + 1..];
            return u32::try_from(number).map_err(|_| Undecodable("a number above 32 bits"));
        }
    }
    Err(Undecodable("ends within a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(at: i64, events in prop::collection::vec((0..40_u8, prop::collection::vec(any::<u8>(), 0..300)), 0..60)) {
            let mut commit = Commit::new(WallTime(at));
            for (stream, event) in &events {
                commit.push(&StreamName::new(format!("work/s-{stream}")).unwrap(), |b| b.extend_from_slice(event));
            }

            let mut bytes = Vec::new();
            commit.encode(&mut bytes);
            prop_assert!(bytes.len() <= commit.encoded_max());
            let (back, taken) = Commit::decode(WallTime(at), &bytes, &mut Names::default()).unwrap();

            prop_assert_eq!(back, commit);
            prop_assert_eq!(taken, bytes.len());
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((_, taken)) = Commit::decode(WallTime(0), &bytes, &mut Names::default()) {
                prop_assert!(taken <= bytes.len());
            }
        }
    }
}
