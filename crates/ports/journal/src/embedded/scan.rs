//! Reads the frames of one segment in order.

use super::files::File;
use super::frame::{FRAME_ALIGNMENT, FRAME_HEAD, FRAME_MAGIC, Frame, claimed_length};
use capstan_ids::Position;
use std::io;
use std::sync::Arc;

const READ_BYTES: usize = 1 << 20;

/// The frames of a segment, from an offset on, through one buffer.
#[derive(Debug)]
pub(super) struct Frames {
    file: Arc<dyn File>,
    seed: u32,
    buffer: Vec<u8>,
    /// The file's offset of the buffer's first byte.
    base: u64,
    cursor: usize,
    filled: usize,
    end: u64,
}

/// What stands where a frame could begin.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A whole frame, and where it begins.
    Frame(u64, Frame<'a>),
    /// Nothing more: the segment ends here.
    End,
    /// No whole frame, and why.
    Broken(&'static str),
}

impl Frames {
    /// The frames between two offsets; `end` must not lie beyond the file's.
    pub fn new(file: Arc<dyn File>, seed: u32, start: u64, end: u64) -> Self {
        Self { file, seed, buffer: Vec::new(), base: start, cursor: 0, filled: 0, end }
    }

    /// Where the next frame begins, if there is one.
    pub fn offset(&self) -> u64 {
        self.base + self.cursor as u64
    }

    /// Looks at the next frame, and goes past it if it is whole.
    pub fn step(&mut self) -> io::Result<Step<'_>> {
        let offset = self.offset();
        let left = self.end.saturating_sub(offset);
        if left == 0 {
            return Ok(Step::End);
        }
        if left < FRAME_HEAD as u64 || !self.fill(FRAME_HEAD)? {
            return Ok(Step::Broken("the segment ends within a frame's head"));
        }
        let length = match claimed_length(&self.buffer[self.cursor..self.cursor + FRAME_HEAD]) {
            Ok(length) => length,
            Err(why) => return Ok(Step::Broken(why)),
        };
        if length as u64 > left || !self.fill(length)? {
            return Ok(Step::Broken("a frame reaches beyond the segment's end"));
        }
        let start = self.cursor;
        Ok(match Frame::check(&self.buffer[start..start + length], self.seed) {
            Ok(frame) => {
                self.cursor += length;
                Step::Frame(offset, frame)
            }
            Err(why) => Step::Broken(why),
        })
    }

    /// Sees that `wanted` bytes from the cursor on are in the buffer; says whether the file has them.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.filled - self.cursor >= wanted {
            return Ok(true);
        }
        self.buffer.copy_within(self.cursor..self.filled, 0);
        self.base += self.cursor as u64;
        self.filled -= self.cursor;
        self.cursor = 0;
        let room = (self.end - self.base).min(wanted.max(READ_BYTES) as u64) as usize;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        self.filled += self.file.read_at(self.base + self.filled as u64, &mut self.buffer[self.filled..room])?;
        Ok(self.filled >= wanted)
    }
}

/// What lies behind the place where the frames stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Behind {
    /// The highest mark of any whole frame.
    pub mark: Position,
    /// Where the last byte that is not zero ends.
    pub dirty_end: u64,
}

/// Looks through everything from `start` to `end` for whole frames, wherever they may begin, and for anything that
/// is not zero.
pub(super) fn look_behind(file: &Arc<dyn File>, seed: u32, start: u64, end: u64) -> io::Result<Behind> {
    const BLOCK: usize = 4096;
    let mut behind = Behind { mark: Position::ZERO, dirty_end: start };
    let mut buffer = vec![0; READ_BYTES];
    let mut base = start;
    while base < end {
        // Frames are aligned and so are the pieces: no magic is cut in two.
        let wanted = ((end - base) as usize).min(READ_BYTES);
        let read = file.read_at(base, &mut buffer[..wanted])?;
        if read == 0 {
            break;
        }
        for (index, block) in buffer[..read].chunks(BLOCK).enumerate() {
            if block.iter().all(|&b| b == 0) {
                continue;
            }
            let at = base + (index * BLOCK) as u64;
            let last = block.iter().rposition(|&b| b != 0).expect("the block is not all zero");
            behind.dirty_end = at + last as u64 + 1;
            for (word, bytes) in block.chunks_exact(FRAME_ALIGNMENT).enumerate() {
                if bytes[4..] == FRAME_MAGIC {
                    let candidate = at + (word * FRAME_ALIGNMENT) as u64;
                    if let Step::Frame(_, frame) = Frames::new(Arc::clone(file), seed, candidate, end).step()? {
                        behind.mark = behind.mark.max(frame.head.mark);
                    }
                }
            }
        }
        base += read as u64;
    }
    Ok(behind)
}
