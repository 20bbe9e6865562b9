//! Frames: what makes a backup prove itself.

use super::{BackupError, VERSION};
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"CAPSTANB";
const FILE_HEAD: usize = 16;
const FRAME_HEAD: usize = 12;
/// The largest body: more than any adapter takes for a commit or a row.
const BODY_MAX: u32 = (1 << 30) + (1 << 20);

/// Writes frames.
pub(super) struct Ink<'a> {
    into: &'a mut dyn Write,
    chain: u32,
    pub bytes: u64,
}

impl<'a> Ink<'a> {
    pub fn begin(into: &'a mut dyn Write) -> Result<Self, BackupError> {
        let mut head = [0; FILE_HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let chain = crc32c::crc32c(&head[..12]);
        head[12..].copy_from_slice(&chain.to_le_bytes());
        into.write_all(&head).map_err(BackupError::Write)?;
        Ok(Self { into, chain, bytes: FILE_HEAD as u64 })
    }

    pub fn frame(&mut self, kind: u32, body: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= BODY_MAX).ok_or_else(|| {
            let text = format!("a commit or row of {} bytes is larger than a backup takes, {BODY_MAX}", body.len());
            BackupError::Write(io::Error::new(io::ErrorKind::FileTooLarge, text))
        })?;
        let mut head = [0; FRAME_HEAD];
        head[4..8].copy_from_slice(&kind.to_le_bytes());
        head[8..].copy_from_slice(&length.to_le_bytes());
        self.chain = crc32c::crc32c_append(crc32c::crc32c_append(self.chain, &head[4..]), body);
        head[..4].copy_from_slice(&self.chain.to_le_bytes());
        self.into.write_all(&head).and_then(|()| self.into.write_all(body)).map_err(BackupError::Write)?;
        self.bytes += (FRAME_HEAD + body.len()) as u64;
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), BackupError> {
        self.into.flush().map_err(BackupError::Write)
    }
}

/// Reads frames, and proves each.
pub(super) struct Frames<'a> {
    from: &'a mut dyn Read,
    chain: u32,
    /// Where the next frame begins.
    pub offset: u64,
    body: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub fn begin(from: &'a mut dyn Read) -> Result<Self, BackupError> {
        let mut head = [0; FILE_HEAD];
        let read = fill(from, &mut head)?;
        let damaged = |offset, what: &str| Err(BackupError::Damaged { offset, what: what.to_owned() });
        if head[..8] != MAGIC {
            return damaged(0, "it does not begin with CAPSTANB: this is no backup of Capstan's");
        }
        if read < FILE_HEAD {
            return damaged(read as u64, "it ends within its head");
        }
        let chain = crc32c::crc32c(&head[..12]);
        if chain.to_le_bytes() != head[12..] {
            return damaged(0, "the checksum of its head does not match");
        }
        let found = u32_at(&head, 8);
        if found != VERSION {
            return Err(BackupError::Version { found, known: VERSION });
        }
        Ok(Self { from, chain, offset: FILE_HEAD as u64, body: Vec::new() })
    }

    /// The next frame: its kind and its body.
    pub fn next(&mut self) -> Result<(u32, &[u8]), BackupError> {
        let mut head = [0; FRAME_HEAD];
        let read = fill(self.from, &mut head)?;
        if read < FRAME_HEAD {
            return Err(self.damaged("it ends before its last frame: it was cut off"));
        }
        let (kind, length) = (u32_at(&head, 4), u32_at(&head, 8));
        if length > BODY_MAX {
            return Err(self.damaged("a frame's length is impossible"));
        }
        self.body.clear();
        // Grows as it is read: a length that is wrong takes no memory that is not filled.
        let read = self.from.take(u64::from(length)).read_to_end(&mut self.body).map_err(BackupError::Read)?;
        if read < length as usize {
            return Err(self.damaged("it ends within a frame: it was cut off"));
        }
        self.chain = crc32c::crc32c_append(crc32c::crc32c_append(self.chain, &head[4..]), &self.body);
        if self.chain.to_le_bytes() != head[..4] {
            return Err(self.damaged("a frame's checksum does not match"));
        }
        self.offset += (FRAME_HEAD + read) as u64;
        Ok((kind, &self.body))
    }

    /// Sees that nothing comes after the last frame.
    pub fn end(&mut self) -> Result<(), BackupError> {
        match fill(self.from, &mut [0])? {
            0 => Ok(()),
            _ => Err(self.damaged("something follows its last frame")),
        }
    }

    pub fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged { offset: self.offset, what: what.to_owned() }
    }
}

/// Reads until `into` is full or there is no more; answers how much was read.
fn fill(from: &mut dyn Read, into: &mut [u8]) -> Result<usize, BackupError> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BackupError::Read(error)),
        }
    }
    Ok(filled)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
