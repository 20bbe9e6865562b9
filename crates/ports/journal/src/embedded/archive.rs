//! Audited events that have left the log: per stream a directory of segments, one for each segment of the log that
//! held events of it.
//!
//! Events of one commit that stood apart in the log stand apart here too: each run of neighbours is a commit of its
//! own under its first event's position.

use super::files::{File, Files};
use super::frame::{self, FRAME_HEAD, FrameHead, FrameKind};
use super::reader::Reader;
use super::scan::{Frames, Step};
use super::segment::{SEGMENT_HEAD, Segment, SegmentHead, SegmentKind, failed, named_position, open};
use crate::{Commit, JournalError, Recorded};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use std::io;
use std::sync::Arc;

const DIR: &str = "archive";
const FINISHED: &str = ".archive";
const UNFINISHED: &str = ".unfinished";
const WRITE_BYTES: usize = 1 << 20;

fn directory(stream: &StreamName) -> String {
    format!("{DIR}/{}", stream.as_str().replace('/', "."))
}

/// Copies what `segment` holds of `stream` to the stream's archive, durably.
pub(super) fn keep(
    files: &Arc<dyn Files>,
    identity: u64,
    segment: &Segment,
    stream: &StreamName,
) -> Result<(), JournalError> {
    let mut sheet: Option<Sheet> = None;
    for recorded in Reader::new(Arc::clone(files), identity, vec![segment.clone()], segment.first) {
        let recorded = recorded?;
        for run in runs(&recorded, stream) {
            let sheet = match &mut sheet {
                Some(sheet) => sheet,
                none => none.insert(Sheet::begin(&**files, identity, segment, stream)?),
            };
            sheet.add(&**files, &run)?;
        }
    }
    sheet.map_or(Ok(()), |sheet| sheet.finish(&**files, identity, segment, stream))
}

/// Puts runs of `stream` into its archive as they are, durably.
pub(super) fn put(
    files: &dyn Files,
    identity: u64,
    stream: &StreamName,
    runs: &[Recorded],
) -> Result<(), JournalError> {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Ok(()) };
    let end = last.position.plus(last.commit.events());
    // Stands for the segment of the log that they have left.
    let segment =
        Segment { name: String::new(), first: first.position, end, end_offset: 0, before: WallTime(i64::MIN) };
    let mut sheet = Sheet::begin(files, identity, &segment, stream)?;
    for run in runs {
        sheet.add(files, run)?;
    }
    sheet.finish(files, identity, &segment, stream)
}

/// The events of one stream in a commit, neighbours together.
fn runs(recorded: &Recorded, stream: &StreamName) -> Vec<Recorded> {
    let mut runs: Vec<Recorded> = Vec::new();
    for entry in recorded.commit.entries(recorded.position).filter(|e| e.stream == stream) {
        match runs.last_mut() {
            Some(run) if run.position.plus(run.commit.events()) == entry.position => {
                run.commit.push(stream, |b| b.extend_from_slice(entry.event));
            }
            _ => {
                let mut commit = Commit::new(recorded.commit.at());
                commit.push(stream, |b| b.extend_from_slice(entry.event));
                runs.push(Recorded { position: entry.position, epoch: recorded.epoch, commit });
            }
        }
    }
    runs
}

/// An archive's segment as it is written.
struct Sheet {
    file: Arc<dyn File>,
    temporary: String,
    buffer: Vec<u8>,
    frame: Vec<u8>,
    offset: u64,
    seed: u32,
    chain: u32,
    end: Position,
    epoch: Epoch,
    newest: WallTime,
}

impl Sheet {
    fn begin(files: &dyn Files, identity: u64, segment: &Segment, stream: &StreamName) -> Result<Self, JournalError> {
        files.make_dir(DIR).map_err(failed("create", files, DIR))?;
        let dir = directory(stream);
        files.make_dir(&dir).map_err(failed("create", files, &dir))?;
        let temporary = format!("{dir}/{:020}{UNFINISHED}", segment.first.get());
        let file = files.create(&temporary).map_err(failed("create", files, &temporary))?;
        Ok(Self {
            file,
            temporary,
            buffer: Vec::new(),
            frame: Vec::new(),
            offset: SEGMENT_HEAD as u64,
            seed: frame::seed(identity),
            chain: 0,
            end: segment.first,
            epoch: Epoch::ZERO,
            newest: segment.before,
        })
    }

    fn add(&mut self, files: &dyn Files, run: &Recorded) -> Result<(), JournalError> {
        let events = run.commit.events();
        let head = FrameHead {
            kind: FrameKind::Commit,
            previous: self.chain,
            position: run.position,
            mark: run.position,
            epoch: run.epoch,
            at: run.commit.at(),
            events: u32::try_from(events).expect("commits are limited far below 2^32 events"),
        };
        self.chain = frame::encode(&mut self.frame, self.seed, &head, Some(&run.commit));
        self.buffer.extend_from_slice(&self.frame);
        self.end = run.position.plus(events);
        self.epoch = self.epoch.max(run.epoch);
        self.newest = self.newest.max(run.commit.at());
        if self.buffer.len() >= WRITE_BYTES { self.flow(files) } else { Ok(()) }
    }

    fn flow(&mut self, files: &dyn Files) -> Result<(), JournalError> {
        self.file.write_at(self.offset, &self.buffer).map_err(failed("write", files, &self.temporary))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(
        mut self,
        files: &dyn Files,
        identity: u64,
        segment: &Segment,
        stream: &StreamName,
    ) -> Result<(), JournalError> {
        let head = FrameHead {
            kind: FrameKind::Seal,
            previous: self.chain,
            position: self.end,
            mark: self.end,
            epoch: self.epoch,
            at: self.newest,
            events: 0,
        };
        frame::encode(&mut self.frame, self.seed, &head, None);
        self.buffer.extend_from_slice(&self.frame);
        self.flow(files)?;
        let head = SegmentHead {
            kind: SegmentKind::Archive,
            identity,
            first: segment.first,
            follows: segment.first,
            epoch: self.epoch,
            at: self.newest,
            previous: 0,
        };
        let dir = directory(stream);
        let name = format!("{dir}/{:020}{FINISHED}", segment.first.get());
        self.file.write_at(0, &head.encode()).and_then(|()| self.file.sync_data()).map_err(failed(
            "flush",
            files,
            &self.temporary,
        ))?;
        files.rename(&self.temporary, &name).map_err(failed("name an archive", files, &name))?;
        files.sync_dir(&dir).map_err(failed("flush", files, &dir))
    }
}

/// The archive's segments of a stream, oldest first.
fn listed(files: &dyn Files, stream: &StreamName) -> Result<Vec<(String, Position)>, JournalError> {
    let dir = directory(stream);
    let names = match files.list(&dir) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(failed("list", files, &dir)(e)),
    };
    Ok(names.iter().filter_map(|n| Some((format!("{dir}/{n}"), named_position(n, FINISHED)?))).collect())
}

/// What the archive of `stream` holds from `from` on, up to `log_first`, where the log begins.
pub(super) fn read(
    files: &Arc<dyn Files>,
    stream: &StreamName,
    from: Position,
    log_first: Position,
) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
    let mut readers = Vec::new();
    let all = listed(&**files, stream)?;
    for (index, (name, first)) in all.iter().enumerate() {
        let ends_before = all.get(index + 1).is_some_and(|(_, next)| *next <= from);
        // A crash between keeping and deleting leaves events that the log still has.
        if *first >= log_first || ends_before {
            continue;
        }
        let file = open(&**files, name)?;
        let head = SegmentHead::read(&**files, name, &*file, SegmentKind::Archive, *first)?;
        let end_offset = sealed_at(&**files, name, &file, &head)?;
        let segment = Segment { name: name.clone(), first: *first, end: Position::MAX, end_offset, before: head.at };
        readers.push(Reader::new(Arc::clone(files), head.identity, vec![segment], from));
    }
    Ok(Box::new(readers.into_iter().flatten()))
}

/// Where the frames of an archive's segment end: its seal is the last thing in it.
fn sealed_at(files: &dyn Files, name: &str, file: &Arc<dyn File>, head: &SegmentHead) -> Result<u64, JournalError> {
    let length = file.length().map_err(failed("measure", files, name))?;
    let offset = length.saturating_sub(FRAME_HEAD as u64);
    let mut frames = Frames::new(Arc::clone(file), frame::seed(head.identity), offset, length);
    match frames.step().map_err(failed("read", files, name))? {
        Step::Frame(_, frame) if frame.head.kind == FrameKind::Seal => Ok(offset),
        _ => Err(JournalError::Damaged {
            position: head.first,
            place: files.place(name),
            offset,
            what: "the archive does not end in its seal".to_owned(),
        }),
    }
}

/// Deletes the archive's segments of `stream` whose last event was made before `before`.
pub(super) fn trim(files: &dyn Files, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
    let dir = directory(stream);
    for (name, first) in listed(files, stream)? {
        let head = SegmentHead::read(files, &name, &*open(files, &name)?, SegmentKind::Archive, first)?;
        if head.at >= before {
            continue;
        }
        files.remove(&name).map_err(failed("remove", files, &name))?;
        files.sync_dir(&dir).map_err(failed("flush", files, &dir))?;
    }
    Ok(())
}

/// Removes what was never finished.
pub(super) fn sweep(files: &dyn Files) -> Result<(), JournalError> {
    let streams = match files.list(DIR) {
        Ok(streams) => streams,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("list", files, DIR)(e)),
    };
    for stream in streams {
        let dir = format!("{DIR}/{stream}");
        for file in files.list(&dir).map_err(failed("list", files, &dir))? {
            if file.ends_with(UNFINISHED) {
                let name = format!("{dir}/{file}");
                files.remove(&name).map_err(failed("remove", files, &name))?;
            }
        }
    }
    Ok(())
}
