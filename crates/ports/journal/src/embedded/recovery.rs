//! What an opening journal finds, proves and mends.
//!
//! Every segment but the last is sealed and wholly below the mark: all of it must be there. In the last one, frames are
//! taken as far as they prove themselves and their place. Behind that, a whole frame whose mark is higher than what was
//! reached says that something durable is missing: damage. Otherwise a power cut left it: it is zeroed, and that is
//! durable before anything is appended, so that no frame behind it ever comes back to life.

use super::files::{File, Files};
use super::frame::{self, FrameKind};
use super::log::{Live, Log, Place};
use super::scan::{Frames, Step, look_behind};
use super::segment::{
    LOG_DIR, PREPARED, SEGMENT_HEAD, Segment, SegmentHead, SegmentKind, failed, named_position, open, segment_name,
};
use crate::JournalError;
use capstan_ids::{Epoch, Position, WallTime};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Reads the log in `files`; none if there is no segment at all.
pub(super) fn recover(files: &Arc<dyn Files>) -> Result<Option<Log>, JournalError> {
    let mut firsts = Vec::new();
    for name in files.list(LOG_DIR).map_err(failed("list", &**files, LOG_DIR))? {
        if format!("{LOG_DIR}/{name}") == PREPARED {
            files.remove(PREPARED).map_err(failed("remove", &**files, PREPARED))?;
        } else if let Some(first) = named_position(&name, ".segment") {
            firsts.push(first);
        } else {
            tracing::warn!(
                file = files.place(&format!("{LOG_DIR}/{name}")),
                "a file in the log's directory is none of ours"
            );
        }
    }
    let Some((&last, closed)) = firsts.split_last() else { return Ok(None) };

    let mut walk = Walk::new(&**files, firsts[0])?;
    let mut segments = VecDeque::with_capacity(closed.len());
    for (&first, &following) in closed.iter().zip(&firsts[1..]) {
        segments.push_back(walk.closed(files, first, following, following == last)?);
    }
    let live = walk.live(files, last)?;
    Ok(Some(Log::recovered(Arc::clone(files), walk.identity, segments, live, walk.place)))
}

/// Goes through the segments in order.
struct Walk {
    identity: u64,
    seed: u32,
    place: Place,
}

/// Where the frames of a segment stop.
enum Stop {
    Sealed(u64),
    Unsealed(u64, &'static str),
}

impl Walk {
    fn new(files: &dyn Files, first: Position) -> Result<Self, JournalError> {
        let name = segment_name(first);
        let head = SegmentHead::read(files, &name, &*open(files, &name)?, SegmentKind::Log, first)?;
        let place = Place { next: head.follows, chain: head.previous, epoch: head.epoch, at: head.at };
        Ok(Self { identity: head.identity, seed: frame::seed(head.identity), place })
    }

    /// A segment that another follows.
    fn closed(
        &mut self,
        files: &Arc<dyn Files>,
        first: Position,
        following: Position,
        may_lack_its_seal: bool,
    ) -> Result<Segment, JournalError> {
        let name = segment_name(first);
        let (file, _) = self.enter(files, first)?;
        let length = length(&*file).map_err(failed("measure", &**files, &name))?;
        let stop = self.frames(&file, length).map_err(failed("read", &**files, &name))?;
        let next_name = segment_name(following);
        let next_file = open(&**files, &next_name)?;
        let next_head = SegmentHead::read(&**files, &next_name, &*next_file, SegmentKind::Log, following)?;
        let whole = next_head.follows == self.place.next && next_head.previous == self.place.chain;

        let end_offset = match stop {
            Stop::Sealed(offset) if whole => offset,
            Stop::Sealed(offset) => {
                return Err(self.damaged(&**files, &name, offset, "the segment that follows it is missing"));
            }
            // The power went after the next segment stood and before this one was sealed.
            Stop::Unsealed(offset, _)
                if whole
                    && may_lack_its_seal
                    && is_empty(&next_file, self.seed).map_err(failed("read", &**files, &next_name))? =>
            {
                let behind = look_behind(&file, self.seed, offset, length).map_err(failed("read", &**files, &name))?;
                zero(&*file, offset, behind.dirty_end).map_err(failed("clear", &**files, &name))?;
                let seal = self.place.seal(self.seed);
                file.write_at(offset, &seal)
                    .and_then(|()| file.sync_data())
                    .map_err(failed("seal", &**files, &name))?;
                offset
            }
            Stop::Unsealed(offset, why) => return Err(self.damaged(&**files, &name, offset, why)),
        };
        Ok(Segment { name, first, end: self.place.next, end_offset })
    }

    /// The segment that is appended to.
    fn live(&mut self, files: &Arc<dyn Files>, first: Position) -> Result<Live, JournalError> {
        let name = segment_name(first);
        let (file, head) = self.enter(files, first)?;
        let length = length(&*file).map_err(failed("measure", &**files, &name))?;
        let (offset, why) = match self.frames(&file, length).map_err(failed("read", &**files, &name))? {
            Stop::Sealed(offset) => {
                return Err(self.damaged(&**files, &name, offset, "the segment that follows it is missing"));
            }
            Stop::Unsealed(offset, why) => (offset, why),
        };
        let behind = look_behind(&file, self.seed, offset, length).map_err(failed("read", &**files, &name))?;
        if behind.mark > self.place.next {
            return Err(self.damaged(&**files, &name, offset, why));
        }
        if behind.dirty_end > offset {
            tracing::warn!(
                position = self.place.next.get(),
                file = files.place(&name),
                byte = offset,
                bytes = behind.dirty_end - offset,
                "the last write was not finished and was never acknowledged; cutting it off"
            );
            zero(&*file, offset, behind.dirty_end).map_err(failed("clear", &**files, &name))?;
        }
        // A process that died before its flush has left frames which only the kernel holds.
        file.sync_data().map_err(failed("flush", &**files, &name))?;
        files.sync_dir(LOG_DIR).map_err(failed("flush", &**files, LOG_DIR))?;
        Ok(Live { name, file, head, size: length, offset, dirty_end: 0 })
    }

    /// Checks that a segment follows those before it.
    fn enter(&mut self, files: &Arc<dyn Files>, first: Position) -> Result<(Arc<dyn File>, SegmentHead), JournalError> {
        let name = segment_name(first);
        let file = open(&**files, &name)?;
        let head = SegmentHead::read(&**files, &name, &*file, SegmentKind::Log, first)?;
        if head.identity != self.identity {
            return Err(self.damaged(&**files, &name, 16, "the segment belongs to another journal"));
        }
        if head.follows != self.place.next || head.previous != self.place.chain || head.first < head.follows {
            return Err(self.damaged(&**files, &name, 24, "a segment before this one is missing or not whole"));
        }
        self.place.next = head.first;
        self.place.epoch = self.place.epoch.max(head.epoch);
        Ok((file, head))
    }

    fn frames(&mut self, file: &Arc<dyn File>, length: u64) -> io::Result<Stop> {
        let mut frames = Frames::new(Arc::clone(file), self.seed, SEGMENT_HEAD as u64, length);
        loop {
            let offset = frames.offset();
            let frame = match frames.step()? {
                Step::Frame(_, frame) => frame,
                Step::End => return Ok(Stop::Unsealed(offset, "the segment's seal is missing")),
                Step::Broken(why) => return Ok(Stop::Unsealed(offset, why)),
            };
            if frame.head.previous != self.place.chain || frame.head.position != self.place.next {
                return Ok(Stop::Unsealed(offset, "a frame does not follow the one before it"));
            }
            if frame.head.kind == FrameKind::Seal {
                return Ok(Stop::Sealed(offset));
            }
            self.place.pass(&frame);
        }
    }

    fn damaged(&self, files: &dyn Files, name: &str, offset: u64, what: &str) -> JournalError {
        JournalError::Damaged { position: self.place.next, place: files.place(name), offset, what: what.to_owned() }
    }
}

fn is_empty(file: &Arc<dyn File>, seed: u32) -> io::Result<bool> {
    let mut frames = Frames::new(Arc::clone(file), seed, SEGMENT_HEAD as u64, file.length()?);
    Ok(!matches!(frames.step()?, Step::Frame(..)))
}

fn length(file: &dyn File) -> io::Result<u64> {
    file.length()
}

/// Zeroes what lies between two offsets.
fn zero(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; (to - from).min(1 << 20) as usize];
    let mut at = from;
    while at < to {
        let length = (to - at).min(zeros.len() as u64);
        file.write_at(at, &zeros[..length as usize])?;
        at += length;
    }
    Ok(())
}

/// The place of a log in which nothing stands yet.
pub(super) fn beginning() -> Place {
    Place { next: Position::new(1), chain: 0, epoch: Epoch::ZERO, at: WallTime(0) }
}
