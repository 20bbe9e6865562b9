//! Streams commits back, beside the writer and without holding it up.

use super::files::Files;
use super::frame::{FrameKind, seed};
use super::scan::{Frames, Step};
use super::segment::{SEGMENT_HEAD, Segment, failed};
use crate::encoding::Names;
use crate::{JournalError, Recorded};
use capstan_ids::Position;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The commits of some segments, as they were when the reader was made.
#[derive(Debug)]
pub(super) struct Reader {
    files: Arc<dyn Files>,
    seed: u32,
    from: Position,
    segments: VecDeque<Segment>,
    /// Of the first of `segments`.
    frames: Option<Frames>,
    reached: Position,
    names: Names,
    /// Nothing is read beyond the first failure.
    failed: bool,
}

impl Reader {
    pub fn new(files: Arc<dyn Files>, identity: u64, segments: Vec<Segment>, from: Position) -> Self {
        let segments = segments.into_iter().filter(|s| s.end > from).collect();
        Self {
            files,
            seed: seed(identity),
            from,
            segments,
            frames: None,
            reached: from,
            names: Names::default(),
            failed: false,
        }
    }

    fn read(&mut self) -> Result<Option<Recorded>, JournalError> {
        while let Some(segment) = self.segments.front() {
            let frames = match &mut self.frames {
                Some(frames) => frames,
                none => {
                    let file = self.files.open(&segment.name).map_err(|source| match source.kind() {
                        // Retention has passed it since.
                        io::ErrorKind::NotFound => {
                            JournalError::Dropped { asked: self.reached.max(segment.first), first: segment.end }
                        }
                        _ => failed("open", &*self.files, &segment.name)(source),
                    })?;
                    none.insert(Frames::new(file, self.seed, SEGMENT_HEAD as u64, segment.end_offset))
                }
            };
            let damaged = |reached: Position, offset: u64, what: &str| JournalError::Damaged {
                position: reached.max(segment.first),
                place: self.files.place(&segment.name),
                offset,
                what: what.to_owned(),
            };
            let offset = frames.offset();
            match frames.step().map_err(failed("read", &*self.files, &segment.name))? {
                Step::Frame(offset, frame) => {
                    let after = frame.head.position.plus(u64::from(frame.head.events));
                    self.reached = self.reached.max(after);
                    if frame.head.kind == FrameKind::Commit && after > self.from {
                        let commit = frame
                            .commit(&mut self.names)
                            .map_err(|e| damaged(frame.head.position, offset, &e.to_string()))?;
                        return Ok(Some(Recorded { position: frame.head.position, epoch: frame.head.epoch, commit }));
                    }
                }
                Step::Broken(why) => return Err(damaged(self.reached, offset, why)),
                Step::End => {
                    self.frames = None;
                    self.segments.pop_front();
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Reader {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}
