//! What an opening journal finds, proves and mends.
//!
//! Every segment but the last is sealed and wholly below the mark: all of it must be there. In the last one, frames are
//! taken as far as they prove themselves and their place. Behind that, a whole frame whose mark is higher than what was
//! reached says that something durable is missing: damage. Otherwise a power cut left it: it is zeroed, and that is
//! durable before anything is appended, so that no frame behind it ever comes back to life.
//!
//! What is above the mark and whole is written again before it is flushed. Where the last process ended because its flush
//! failed, the kernel may still show what the medium never got, and would not write it a second time on its own.

use super::files::{File, Files};
use super::frame::{self, FrameHead, FrameKind};
use super::log::{Live, Log, Place};
use super::scan::{Frames, Step, look_behind};
use super::segment::{
    LOG_DIR, PREPARED, RESTORING, SEGMENT_HEAD, Segment, SegmentHead, SegmentKind, failed, named_position, open,
    segment_name,
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
        } else if format!("{LOG_DIR}/{name}") == RESTORING {
            let what = "a restore into it was begun and has not ended; delete this directory, and restore again";
            return Err(JournalError::Unfit { place: files.place(""), what: what.to_owned() });
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
    /// The frames of this segment that no later one's mark covers: their positions, and where they begin.
    unmarked: VecDeque<(Position, u64)>,
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
        Ok(Self { identity: head.identity, seed: frame::seed(head.identity), place, unmarked: VecDeque::new() })
    }

    /// A segment that another follows.
    fn closed(
        &mut self,
        files: &Arc<dyn Files>,
        first: Position,
        following: Position,
        is_last_closed: bool,
    ) -> Result<Segment, JournalError> {
        let name = segment_name(first);
        let (file, head) = self.enter(files, first)?;
        let length = file.length().map_err(failed("measure", &**files, &name))?;
        let stop = self.frames(&file, length).map_err(failed("read", &**files, &name))?;
        let next_name = segment_name(following);
        let next_file = open(&**files, &next_name)?;
        let next_head = SegmentHead::read(&**files, &next_name, &*next_file, SegmentKind::Log, following)?;
        let whole = next_head.follows == self.place.next && next_head.previous == self.place.chain;

        let end_offset = match stop {
            Stop::Sealed(offset) if whole && !is_last_closed => offset,
            Stop::Sealed(offset) if whole => {
                self.seal(&*file, offset).map_err(failed("seal", &**files, &name))?;
                offset
            }
            Stop::Sealed(offset) => {
                return Err(self.damaged(&**files, &name, offset, "the segment that follows it is missing"));
            }
            // The power went after the next segment stood and before this one was sealed.
            Stop::Unsealed(offset, _)
                if whole
                    && is_last_closed
                    && is_empty(&next_file, self.seed).map_err(failed("read", &**files, &next_name))? =>
            {
                let behind = look_behind(&file, self.seed, offset, length).map_err(failed("read", &**files, &name))?;
                zero(&*file, offset, behind.dirty_end).map_err(failed("clear", &**files, &name))?;
                self.seal(&*file, offset).map_err(failed("seal", &**files, &name))?;
                offset
            }
            Stop::Unsealed(offset, why) => return Err(self.damaged(&**files, &name, offset, why)),
        };
        Ok(Segment { name, first, end: self.place.next, end_offset, before: head.at })
    }

    /// The segment that is appended to.
    fn live(&mut self, files: &Arc<dyn Files>, first: Position) -> Result<Live, JournalError> {
        let name = segment_name(first);
        let (file, head) = self.enter(files, first)?;
        let length = file.length().map_err(failed("measure", &**files, &name))?;
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
        let unmarked = self.unmarked.front().map_or(offset, |&(_, begins)| begins);
        write_again(&*file, unmarked, offset)
            .and_then(|()| file.sync_data())
            .map_err(failed("flush", &**files, &name))?;
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
        self.unmarked.clear();
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
            let FrameHead { position, mark, .. } = frame.head;
            while self.unmarked.front().is_some_and(|&(position, _)| position < mark) {
                self.unmarked.pop_front();
            }
            self.unmarked.push_back((position, offset));
        }
    }

    fn seal(&self, file: &dyn File, offset: u64) -> io::Result<()> {
        file.write_at(offset, &self.place.seal(self.seed)).and_then(|()| file.sync_data())
    }

    fn damaged(&self, files: &dyn Files, name: &str, offset: u64, what: &str) -> JournalError {
        JournalError::Damaged { position: self.place.next, place: files.place(name), offset, what: what.to_owned() }
    }
}

fn is_empty(file: &Arc<dyn File>, seed: u32) -> io::Result<bool> {
    let mut frames = Frames::new(Arc::clone(file), seed, SEGMENT_HEAD as u64, file.length()?);
    Ok(!matches!(frames.step()?, Step::Frame(..)))
}

const PIECE_BYTES: u64 = 1 << 20;

/// Zeroes what lies between two offsets.
fn zero(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; (to - from).min(PIECE_BYTES) as usize];
    let mut at = from;
    while at < to {
        let length = (to - at).min(zeros.len() as u64);
        file.write_at(at, &zeros[..length as usize])?;
        at += length;
    }
    Ok(())
}

/// Writes what lies between two offsets once more.
fn write_again(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; (to - from).min(PIECE_BYTES) as usize];
    let mut at = from;
    while at < to {
        let length = ((to - at) as usize).min(buffer.len());
        let read = file.read_at(at, &mut buffer[..length])?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(at, &buffer[..length])?;
        at += length as u64;
    }
    Ok(())
}

/// The place of a log in which nothing stands yet.
pub(super) fn beginning() -> Place {
    Place { next: Position::new(1), chain: 0, epoch: Epoch::ZERO, at: WallTime(0) }
}

#[cfg(test)]
mod tests {
    use super::super::faulty::FaultyDisk;
    use super::super::{EmbeddedJournal, EmbeddedOptions};
    use super::*;
    use crate::{Append, Commit, Journal};
    use capstan_ids::StreamName;

    const SEGMENT: &str = "log/00000000000000000001.segment";
    const IDENTITY: u64 = 7;

    fn open(disk: &FaultyDisk) -> Result<EmbeddedJournal, JournalError> {
        let options = EmbeddedOptions {
            segment_bytes: 4 << 10,
            prepare_in_background: false,
            identity: Some(IDENTITY),
            ..EmbeddedOptions::default()
        };
        EmbeddedJournal::open_in(disk.files(), options)
    }

    fn commit(position: u64) -> Commit {
        let mut commit = Commit::new(WallTime(position as i64));
        commit.push(&StreamName::new("jobs").unwrap(), |b| b.extend_from_slice(&position.to_le_bytes()));
        commit
    }

    /// A log of commits 1 to 14, of which one flush carried 10 to 14: each says that what is below 10 was durable.
    /// Answers where each of the five begins.
    fn one_flush_carries_10_to_14() -> (FaultyDisk, Vec<u8>, Vec<usize>) {
        let disk = FaultyDisk::new();
        let mut journal = open(&disk).unwrap();
        for position in 1..10 {
            assert!(matches!(
                journal.append(Epoch::new(1), Position::new(position), &commit(position)),
                Append::Committed
            ));
        }
        let (mut chain, mut at) = (journal.log.place().chain, journal.log.segments()[0].end_offset as usize);
        journal.abandon();
        let mut bytes = disk.contents(SEGMENT).unwrap();
        let (mut frame, mut begins) = (Vec::new(), Vec::new());
        for position in 10..15 {
            let head = FrameHead {
                kind: FrameKind::Commit,
                previous: chain,
                position: Position::new(position),
                mark: Position::new(10),
                epoch: Epoch::new(1),
                at: WallTime(position as i64),
                events: 1,
            };
            chain = frame::encode(&mut frame, frame::seed(IDENTITY), &head, Some(&commit(position)));
            bytes[at..at + frame.len()].copy_from_slice(&frame);
            begins.push(at);
            at += frame.len();
        }
        (disk, bytes, begins)
    }

    fn positions(journal: &EmbeddedJournal) -> Vec<u64> {
        journal.read(Position::new(1)).unwrap().map(|r| r.unwrap().position.get()).collect()
    }

    #[test]
    fn frames_12_to_14_never_come_back_to_life_after_11_was_torn_and_written_again() {
        let (disk, mut bytes, begins) = one_flush_carries_10_to_14();
        bytes[begins[1] + 30..begins[2]].fill(0);
        disk.put(SEGMENT, bytes);

        let mut journal = open(&disk).unwrap();
        assert_eq!(journal.tail().unwrap().next, Position::new(11));
        disk.cut_power(|_| 0);
        journal.abandon();
        let mut journal = open(&disk).unwrap();
        assert!(matches!(journal.append(Epoch::new(1), Position::new(11), &commit(11)), Append::Committed));
        disk.cut_power(|_| 0);
        journal.abandon();

        let mut journal = open(&disk).unwrap();
        assert_eq!(journal.tail().unwrap().next, Position::new(12));
        assert_eq!(positions(&journal), (1..12).collect::<Vec<_>>());
        // Two things keep them dead: they are chained to another 11, and they are not there any more.
        assert!(disk.contents(SEGMENT).unwrap()[begins[2]..].iter().all(|&b| b == 0));
    }

    #[test]
    fn a_whole_flush_of_several_frames_is_kept_whole() {
        let (disk, bytes, _) = one_flush_carries_10_to_14();
        disk.put(SEGMENT, bytes);

        assert_eq!(positions(&open(&disk).unwrap()), (1..15).collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_that_follows_another_than_the_one_before_it_is_cut_off() {
        let (disk, mut bytes, begins) = one_flush_carries_10_to_14();
        // 11 is gone and 12 stands in its place, whole.
        let rest = bytes[begins[2]..begins[4]].to_vec();
        bytes[begins[1]..].fill(0);
        bytes[begins[1]..begins[1] + rest.len()].copy_from_slice(&rest);
        disk.put(SEGMENT, bytes);

        assert_eq!(positions(&open(&disk).unwrap()), (1..11).collect::<Vec<_>>());
    }

    #[test]
    fn frames_behind_another_11_than_theirs_are_cut_off() {
        let (disk, mut bytes, begins) = one_flush_carries_10_to_14();
        let mut other = Commit::new(WallTime(11));
        other.push(&StreamName::new("jobs").unwrap(), |b| b.extend_from_slice(&[0xEE; 8]));
        let previous = super::frame::u32_at(&bytes, begins[0]);
        let head = FrameHead {
            kind: FrameKind::Commit,
            previous,
            position: Position::new(11),
            mark: Position::new(10),
            epoch: Epoch::new(1),
            at: WallTime(11),
            events: 1,
        };
        let mut rewritten = Vec::new();
        frame::encode(&mut rewritten, frame::seed(IDENTITY), &head, Some(&other));
        bytes[begins[1]..begins[2]].copy_from_slice(&rewritten);
        disk.put(SEGMENT, bytes);

        assert_eq!(positions(&open(&disk).unwrap()), (1..12).collect::<Vec<_>>());
    }

    #[test]
    fn a_break_below_the_mark_of_a_later_flush_is_damage() {
        let (disk, mut bytes, begins) = one_flush_carries_10_to_14();
        // The frame of 9 is broken, and those behind it say that 9 was durable.
        bytes[begins[0] - 9] ^= 1;
        disk.put(SEGMENT, bytes);

        let found = open(&disk);

        assert!(
            matches!(&found, Err(JournalError::Damaged { position, .. }) if *position == Position::new(9)),
            "{found:?}"
        );
    }
}
