//! Reading gzip files member by member, so that reading can begin again at a member.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::GzDecoder;

/// Bytes read from a compressed file at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Whether bytes begin a gzip member.
pub(crate) fn begins_member(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 0x08])
}

/// Where a member begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberStart {
    /// Offset in the compressed file.
    pub compressed: u64,
    /// Offset in what it unpacks to.
    pub unpacked: u64,
}

/// Unpacks all members of a file, and notes where each begins.
///
/// Every member's checksum and length are checked at its end; bytes after the last one are refused.
pub(crate) struct GzipReader<R> {
    decoder: Option<GzDecoder<Counted<R>>>,
    unpacked: u64,
    /// Members begun since these were last taken.
    pub starts: Vec<MemberStart>,
}

impl<R: Read + Seek> GzipReader<R> {
    /// Begins at a member. `at` says where.
    pub(crate) fn new(mut file: R, at: MemberStart) -> io::Result<Self> {
        file.seek(SeekFrom::Start(at.compressed))?;
        let input = Counted { input: BufReader::with_capacity(BUFFER_BYTES, file), position: at.compressed };
        Ok(Self { decoder: Some(GzDecoder::new(input)), unpacked: at.unpacked, starts: vec![at] })
    }
}

impl<R: Read> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let read = decoder.read(out)?;
            self.unpacked += read as u64;
            if read > 0 {
                return Ok(read);
            }
            let mut input = self.decoder.take().expect("was there a moment ago").into_inner();
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.starts.push(MemberStart { compressed: input.position, unpacked: self.unpacked });
            self.decoder = Some(GzDecoder::new(input));
        }
    }
}

/// Knows how many bytes were taken from it.
struct Counted<R> {
    input: BufReader<R>,
    position: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
        self.input.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reading_can_begin_at_any_member_that_was_passed() {
        let bytes = [member("one"), member(""), member("two and three")].concat();
        let mut reader = GzipReader::new(Cursor::new(&bytes), MemberStart { compressed: 0, unpacked: 0 }).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo and three");
        assert_eq!(reader.starts.len(), 3);

        for start in reader.starts {
            let mut rest = String::new();
            GzipReader::new(Cursor::new(&bytes), start).unwrap().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, text[start.unpacked as usize..]);
        }
    }

    #[test]
    fn a_file_cut_inside_a_member_or_followed_by_other_bytes_is_refused() {
        let bytes = member("some text that is long enough");
        for cut in 1..bytes.len() {
            let mut reader =
                GzipReader::new(Cursor::new(&bytes[..cut]), MemberStart { compressed: 0, unpacked: 0 }).unwrap();
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{cut}");
        }
        let mut reader =
            GzipReader::new(Cursor::new([&bytes[..], b"x"].concat()), MemberStart { compressed: 0, unpacked: 0 })
                .unwrap();
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}
