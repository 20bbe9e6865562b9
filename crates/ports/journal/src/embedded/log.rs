//! The writer: one append, one write, one flush.

use super::files::{File, Files};
use super::frame::{self, FRAME_ALIGNMENT, FRAME_HEAD, Frame, FrameHead, FrameKind};
use super::options::EmbeddedOptions;
use super::prepare::NextSegment;
use super::segment::{LOG_DIR, PREPARED, SEGMENT_HEAD, Segment, SegmentHead, SegmentKind, failed, segment_name};
use crate::{Beginning, Commit, JournalError, Recorded, Refusal};
use capstan_ids::{Epoch, Position, WallTime};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// How far a log has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The position the next event takes.
    pub next: Position,
    /// The checksum of the last frame.
    pub chain: u32,
    /// The highest epoch seen.
    pub epoch: Epoch,
    /// The latest time that any commit was made at.
    pub at: WallTime,
}

/// The segment that is appended to.
#[derive(Debug)]
pub(super) struct Live {
    pub name: String,
    pub file: Arc<dyn File>,
    pub head: SegmentHead,
    pub size: u64,
    /// Where the next frame begins.
    pub offset: u64,
    /// Where the remains of a write end that found no room; 0 if there are none.
    pub dirty_end: u64,
}

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum Halt {
    Refused(Refusal),
    Broken(JournalError),
}

/// How much room to encode in is kept from append to append.
const BUFFER_KEPT: usize = 8 << 20;
/// Of many commits about so many bytes are flushed together.
const FLUSH_BYTES: usize = 4 << 20;
/// What a reservation takes besides twice the bytes asked for.
const RESERVE_MARGIN: u64 = 4 << 10;

#[derive(Debug)]
pub(super) struct Log {
    files: Arc<dyn Files>,
    identity: u64,
    seed: u32,
    commit_bytes_max: u64,
    closed: VecDeque<Segment>,
    live: Live,
    next_segment: NextSegment,
    place: Place,
    /// Whether the mark of the last commit is durable too.
    marked: bool,
    buffer: Vec<u8>,
    broken: Option<String>,
}

impl Place {
    /// Goes past a frame.
    pub fn pass(&mut self, frame: &Frame<'_>) {
        self.chain = frame.checksum;
        self.epoch = self.epoch.max(frame.head.epoch);
        if frame.head.kind == FrameKind::Commit {
            self.next = self.next.plus(u64::from(frame.head.events));
            self.at = self.at.max(frame.head.at);
        }
    }

    /// The frame that ends a segment here.
    pub fn seal(&self, seed: u32) -> Vec<u8> {
        let mut buffer = Vec::new();
        frame::encode(&mut buffer, seed, &self.head(FrameKind::Seal), None);
        buffer
    }

    fn head(&self, kind: FrameKind) -> FrameHead {
        let Self { next, chain, epoch, at } = *self;
        FrameHead { kind, previous: chain, position: next, mark: next, epoch, at, events: 0 }
    }
}

impl Log {
    /// A log in which nothing stands yet; its first segment is durable.
    pub fn begin(
        files: Arc<dyn Files>,
        options: &EmbeddedOptions,
        identity: u64,
        place: Place,
    ) -> Result<Self, JournalError> {
        let mut first = NextSegment::new(Arc::clone(&files), options.segment_bytes, false);
        first.ready(options.segment_bytes).map_err(failed("prepare the first segment", &*files, PREPARED))?;
        let file = first.take().expect("it was ready");
        let head = SegmentHead {
            kind: SegmentKind::Log,
            identity,
            first: place.next,
            follows: place.next,
            epoch: place.epoch,
            at: place.at,
            previous: place.chain,
        };
        let live = establish(&*files, file, head)?;
        let mut log = Self::recovered(files, identity, VecDeque::new(), live, place);
        log.configure(options);
        Ok(log)
    }

    /// A log as it was found.
    pub fn recovered(
        files: Arc<dyn Files>,
        identity: u64,
        closed: VecDeque<Segment>,
        live: Live,
        place: Place,
    ) -> Self {
        let options = EmbeddedOptions::default();
        let next_segment = NextSegment::new(Arc::clone(&files), options.segment_bytes, false);
        let commit_bytes_max = options.commit_bytes_max;
        Self {
            files,
            identity,
            seed: frame::seed(identity),
            commit_bytes_max,
            closed,
            live,
            next_segment,
            place,
            marked: false,
            buffer: Vec::new(),
            broken: None,
        }
    }

    /// Takes over the settings, and begins to prepare the next segment.
    pub fn configure(&mut self, options: &EmbeddedOptions) {
        self.commit_bytes_max = options.commit_bytes_max;
        self.next_segment =
            NextSegment::new(Arc::clone(&self.files), options.segment_bytes, options.prepare_in_background);
        self.next_segment.begin();
    }

    pub fn place(&self) -> Place {
        self.place
    }

    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// The first position that can be read.
    pub fn first(&self) -> Position {
        self.closed.front().map_or(self.live.head.first, |s| s.first)
    }

    /// The segments as they are now; of the live one what is durable.
    pub fn segments(&self) -> Vec<Segment> {
        let Live { name, head, offset, .. } = &self.live;
        let live = Segment {
            name: name.clone(),
            first: head.first,
            end: self.place.next,
            end_offset: *offset,
            before: head.at,
        };
        self.closed.iter().cloned().chain([live]).collect()
    }

    /// The oldest closed segment.
    pub fn oldest(&self) -> Option<&Segment> {
        self.closed.front()
    }

    /// Deletes the oldest closed segment.
    pub fn delete_oldest(&mut self) -> Result<(), JournalError> {
        let Some(segment) = self.closed.front() else { return Ok(()) };
        self.files.remove(&segment.name).map_err(failed("remove", &*self.files, &segment.name))?;
        // Durable before the next one goes: a hole in the middle would be damage.
        self.files.sync_dir(LOG_DIR).map_err(failed("flush", &*self.files, LOG_DIR))?;
        self.closed.pop_front();
        Ok(())
    }

    /// Why nothing more is appended, once a flush has failed.
    pub fn broken(&self) -> Option<JournalError> {
        self.broken.as_ref().map(|what| JournalError::Store {
            operation: "append after a failed flush (stop, look at the disk, start again)",
            place: self.files.place(&self.live.name),
            source: io::Error::other(what.clone()),
        })
    }

    /// Leaves the log as a process that is killed would: without a last mark.
    pub fn abandon(&mut self) {
        self.broken = Some("the journal was abandoned".to_owned());
    }

    /// Sees that a commit of about `bytes` would find room: names and lengths come on top, and the caller did not know
    /// the commit yet.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), Halt> {
        if bytes > self.commit_bytes_max {
            return Err(Halt::Refused(Refusal::TooLarge { size: bytes, limit: self.commit_bytes_max }));
        }
        let ample = (2 * bytes + RESERVE_MARGIN).min(self.commit_bytes_max);
        if self.fits(ample) { Ok(()) } else { self.prepare(ample) }
    }

    /// Makes a commit durable at the next position. The caller has checked position and epoch.
    pub fn append(&mut self, epoch: Epoch, commit: &Commit) -> Result<(), Halt> {
        let size = commit.size() as u64;
        if size > self.commit_bytes_max {
            return Err(Halt::Refused(Refusal::TooLarge { size, limit: self.commit_bytes_max }));
        }
        let events = u32::try_from(commit.events()).expect("commits are limited far below 2^32 events");
        let head = FrameHead { epoch, at: commit.at(), events, ..self.place.head(FrameKind::Commit) };
        let checksum = frame::encode(&mut self.buffer, self.seed, &head, Some(commit));
        let size = self.buffer.len() as u64;
        if size > self.commit_bytes_max {
            return Err(Halt::Refused(Refusal::TooLarge { size, limit: self.commit_bytes_max }));
        }
        if !self.fits(size) {
            // A new segment at the same position changes nothing that the frame says.
            self.roll(size, self.place.next)?;
        }
        self.write()?;
        self.place = Place {
            next: self.place.next.plus(u64::from(events)),
            chain: checksum,
            epoch,
            at: self.place.at.max(commit.at()),
        };
        self.marked = false;
        Ok(())
    }

    /// Makes commits durable where they stood, at the next position or above it: as many with one flush as a segment has
    /// room for. The caller has checked positions and epochs.
    pub fn append_all(&mut self, mut commits: &[Recorded]) -> Result<(), Halt> {
        while let Some(first) = commits.first() {
            if first.position > self.place.next {
                self.roll(0, first.position)?;
            }
            let (mut place, durable) = (self.place, self.place.next);
            let mut taken = 0;
            self.buffer.clear();
            for Recorded { position, epoch, commit } in commits {
                let begins = self.buffer.len();
                if *position != place.next || (taken > 0 && begins >= FLUSH_BYTES) {
                    break;
                }
                let events = u32::try_from(commit.events()).expect("commits are limited far below 2^32 events");
                // Of what is flushed together nothing may claim that the rest was durable before it.
                let head = FrameHead {
                    epoch: *epoch,
                    at: commit.at(),
                    events,
                    mark: durable,
                    ..place.head(FrameKind::Commit)
                };
                let chain = frame::add(&mut self.buffer, self.seed, &head, Some(commit));
                let size = (self.buffer.len() - begins) as u64;
                if size > self.commit_bytes_max {
                    return Err(Halt::Refused(Refusal::TooLarge { size, limit: self.commit_bytes_max }));
                }
                if !self.fits(self.buffer.len() as u64) {
                    self.buffer.truncate(begins);
                    break;
                }
                let next = place.next.plus(u64::from(events));
                place = Place { next, chain, epoch: *epoch, at: place.at.max(commit.at()) };
                taken += 1;
            }
            if taken == 0 {
                let first = &commits[0];
                self.roll(first.commit.encoded_max() as u64 + (FRAME_HEAD + FRAME_ALIGNMENT) as u64, self.place.next)?;
                continue;
            }
            self.write()?;
            (self.place, self.marked) = (place, false);
            commits = &commits[taken..];
        }
        Ok(())
    }

    /// Writes the mark of what is durable, if there is something it would say.
    pub fn mark(&mut self) -> Result<(), Halt> {
        if self.marked || self.place.next == self.live.head.first {
            return Ok(());
        }
        if !self.fits(FRAME_HEAD as u64) {
            // The head of a segment says the same.
            return self.roll(0, self.place.next);
        }
        self.place.chain = frame::encode(&mut self.buffer, self.seed, &self.place.head(FrameKind::Mark), None);
        self.write()?;
        self.marked = true;
        Ok(())
    }

    /// Makes a log in which nothing stands yet begin elsewhere.
    pub fn begin_again(&mut self, beginning: &Beginning) -> Result<(), Halt> {
        (self.place.epoch, self.place.at) = (beginning.epoch, beginning.before);
        self.roll(0, beginning.first)?;
        self.delete_oldest().map_err(|error| self.break_with(error))
    }

    /// Goes on in a new segment at `first`, which is the next position or higher.
    pub fn roll(&mut self, bytes: u64, first: Position) -> Result<(), Halt> {
        self.prepare(bytes)?;
        let file = self.next_segment.take().expect("it was ready");
        // A live segment without a commit is replaced, under the name it shares with the new one.
        let replaces = first == self.live.head.first;
        let Place { next, chain, epoch, at } = self.place;
        let follows = if replaces { self.live.head.follows } else { next };
        let head =
            SegmentHead { kind: SegmentKind::Log, identity: self.identity, first, follows, epoch, at, previous: chain };
        let live = establish(&*self.files, file, head).map_err(|e| self.break_with(e))?;
        if !replaces {
            // Only now: a sealed segment without a successor is damage.
            let seal = self.place.seal(self.seed);
            let sealed = self.live.file.write_at(self.live.offset, &seal).and_then(|()| self.live.file.sync_data());
            sealed.map_err(failed("seal", &*self.files, &self.live.name)).map_err(|e| self.break_with(e))?;
            let Live { name, head, offset, .. } = &self.live;
            self.closed.push_back(Segment {
                name: name.clone(),
                first: head.first,
                end: next,
                end_offset: *offset,
                before: head.at,
            });
        }
        self.live = live;
        self.place.next = first;
        self.marked = true;
        self.next_segment.begin();
        Ok(())
    }

    /// Room must stay for the seal.
    fn fits(&self, frame: u64) -> bool {
        self.live.offset + frame + FRAME_HEAD as u64 <= self.live.size
    }

    fn prepare(&mut self, frame: u64) -> Result<(), Halt> {
        let bytes = SEGMENT_HEAD as u64 + frame + FRAME_HEAD as u64;
        self.next_segment.ready(bytes).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Halt::Refused(self.full(bytes)),
            _ => {
                let error = failed("prepare the next segment", &*self.files, PREPARED)(source);
                self.break_with(error)
            }
        })
    }

    fn full(&self, needed: u64) -> Refusal {
        Refusal::Full { needed, free: self.files.free_bytes().unwrap_or(0), place: self.files.place(LOG_DIR) }
    }

    /// Writes the buffer's frame and flushes it.
    fn write(&mut self) -> Result<(), Halt> {
        let frame = self.buffer.len() as u64;
        let Live { file, offset, dirty_end, .. } = &mut self.live;
        if *dirty_end > *offset + frame {
            self.buffer.resize((*dirty_end - *offset) as usize, 0);
        }
        if let Err(source) = file.write_at(*offset, &self.buffer) {
            // Blocks that were written once can still run out where the file system copies on write. What was refused
            // must not be found by the next process: without its first bytes it is no frame.
            let no_room = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            if no_room && file.write_at(*offset, &[0; FRAME_ALIGNMENT]).is_ok() {
                *dirty_end = (*dirty_end).max(*offset + self.buffer.len() as u64);
                return Err(Halt::Refused(self.full(frame)));
            }
            let error = failed("write", &*self.files, &self.live.name)(source);
            return Err(self.break_with(error));
        }
        if let Err(source) = file.sync_data() {
            let error = failed("flush", &*self.files, &self.live.name)(source);
            return Err(self.break_with(error));
        }
        *offset += frame;
        *dirty_end = 0;
        // One large commit must not hold its memory for ever.
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        Ok(())
    }

    fn break_with(&mut self, error: JournalError) -> Halt {
        let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
        self.broken = Some(format!("{error}{source}"));
        Halt::Broken(error)
    }
}

/// Makes a prepared file the segment that its head describes.
fn establish(files: &dyn Files, file: Arc<dyn File>, head: SegmentHead) -> Result<Live, JournalError> {
    let name = segment_name(head.first);
    // The head is durable before the name: a segment with a broken head is damage, never half a step.
    file.write_at(0, &head.encode()).and_then(|()| file.sync_data()).map_err(failed(
        "begin a segment",
        files,
        &name,
    ))?;
    files.rename(PREPARED, &name).map_err(failed("name a segment", files, &name))?;
    files.sync_dir(LOG_DIR).map_err(failed("flush", files, LOG_DIR))?;
    let size = file.length().map_err(failed("measure", files, &name))?;
    Ok(Live { name, file, head, size, offset: SEGMENT_HEAD as u64, dirty_end: 0 })
}
