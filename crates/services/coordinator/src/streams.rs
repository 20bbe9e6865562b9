//! Which stream an event belongs to, and what is known of each stream for retention.

use capstan_ids::{Position, SessionName, StreamName, WallTime};
use capstan_journal::{Commit, Entry, SnapshotInfo, retention};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Limits over all sessions.
pub(crate) const WORK: &str = "work";
/// Migrations.
pub(crate) const JOBS: &str = "jobs";
/// Pipelines.
pub(crate) const REGISTRY: &str = capstan_registry::STREAM;
/// Who leads.
pub(crate) const LEADER: &str = "leader";
const SESSION: &str = "work/";
/// How far apart the places are at which the size of the log is remembered.
const MARK_EVERY: u64 = 1 << 20;

pub(crate) fn named(name: &str) -> StreamName {
    StreamName::new(name).expect("a valid stream name")
}

/// The session that a stream is of.
pub(crate) fn session_of(stream: &StreamName) -> Option<SessionName> {
    SessionName::new(stream.as_str().strip_prefix(SESSION)?).ok()
}

/// Streams by session, made once.
#[derive(Debug)]
pub(crate) struct Streams {
    sessions: HashMap<SessionName, StreamName>,
    pub work: StreamName,
    pub jobs: StreamName,
    pub registry: StreamName,
    pub leader: StreamName,
    logs: BTreeMap<StreamName, StreamLog>,
    /// Bytes of events counted so far, and what that was at some positions.
    bytes: u64,
    marks: VecDeque<(Position, u64)>,
    /// The latest time that a commit or a snapshot was made at.
    newest: WallTime,
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct StreamLog {
    first: Option<Position>,
    events_since: u64,
    bytes_since: u64,
    snapshots: Vec<retention::SnapshotFacts>,
    writing: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            work: named(WORK),
            jobs: named(JOBS),
            registry: named(REGISTRY),
            leader: named(LEADER),
            logs: BTreeMap::new(),
            bytes: 0,
            marks: VecDeque::new(),
            newest: WallTime::default(),
        }
    }
}

impl Streams {
    pub fn of(&mut self, session: Option<&SessionName>) -> &StreamName {
        match session {
            None => &self.work,
            Some(session) => {
                if !self.sessions.contains_key(session) {
                    self.sessions.insert(session.clone(), StreamName::session(session));
                }
                &self.sessions[session]
            }
        }
    }

    /// Counts a commit's events, made durable now or read back.
    pub fn count(&mut self, first: Position, commit: &Commit) {
        let mut run: Option<(Entry<'_>, u64, u64)> = None;
        for entry in commit.entries(first) {
            match &mut run {
                // Neighbours are mostly of one stream, and are looked up once.
                Some((begun, events, bytes)) if std::ptr::eq(begun.stream, entry.stream) => {
                    *events += 1;
                    *bytes += entry.event.len() as u64;
                }
                _ => {
                    if let Some((begun, events, bytes)) = run.replace((entry, 1, entry.event.len() as u64)) {
                        self.count_run(&begun, events, bytes);
                    }
                }
            }
        }
        if let Some((begun, events, bytes)) = run {
            self.count_run(&begun, events, bytes);
        }
        self.newest = self.newest.max(commit.at());
        self.bytes += commit.size() as u64;
        if self.marks.back().is_none_or(|(_, bytes)| self.bytes - bytes >= MARK_EVERY) {
            self.marks.push_back((first, self.bytes));
        }
    }

    /// Counts neighbouring events of one stream, which begin with `begun`. A snapshot's position never lies between
    /// them: it is a commit's last.
    fn count_run(&mut self, begun: &Entry<'_>, events: u64, bytes: u64) {
        // Who leads is in every commit's epoch: it needs no snapshot and holds nothing back.
        if *begun.stream == self.leader {
            return;
        }
        if !self.logs.contains_key(begun.stream) {
            self.logs.insert(begun.stream.clone(), StreamLog::default());
        }
        let log = self.logs.get_mut(begun.stream).expect("it was just inserted");
        log.first.get_or_insert(begun.position);
        for snapshot in log.snapshots.iter_mut().rev().take_while(|snapshot| snapshot.first_after.is_none()) {
            if begun.position > snapshot.position {
                snapshot.first_after = Some(begun.position);
            }
        }
        if log.snapshots.last().is_none_or(|newest| begun.position > newest.position) {
            log.events_since += events;
            log.bytes_since += bytes;
        }
    }

    /// The next place after `position` up to which the log may be trimmed in one step.
    pub fn next_mark(&self, position: Position) -> Option<Position> {
        self.marks.get(self.marks.partition_point(|(mark, _)| *mark <= position)).map(|(mark, _)| *mark)
    }

    /// About how many bytes of events the log holds from `first` on.
    pub fn log_bytes(&mut self, first: Position) -> u64 {
        while self.marks.get(1).is_some_and(|(position, _)| *position <= first) {
            self.marks.pop_front();
        }
        self.bytes - self.marks.front().map_or(0, |(_, bytes)| *bytes)
    }

    /// A snapshot has begun: what comes from now on comes after it.
    pub fn begin(&mut self, stream: &StreamName) {
        let log = self.logs.entry(stream.clone()).or_default();
        log.writing = true;
        log.events_since = 0;
        log.bytes_since = 0;
    }

    pub fn finish(&mut self, info: &SnapshotInfo, first_after: Option<Position>) {
        let log = self.logs.entry(info.stream.clone()).or_default();
        log.writing = false;
        log.snapshots.push(retention::SnapshotFacts {
            position: info.position,
            at: info.at,
            bytes: info.bytes,
            first_after,
        });
        log.snapshots.sort_unstable_by_key(|snapshot| snapshot.position);
        self.newest = self.newest.max(info.at);
    }

    /// Some other server has taken and dropped snapshots: these are all there are now.
    pub fn snapshots_are(&mut self, there: &BTreeMap<StreamName, Vec<SnapshotInfo>>) {
        for stream in there.keys() {
            self.logs.entry(stream.clone()).or_default();
        }
        for (stream, log) in &mut self.logs {
            let mut snapshots = Vec::new();
            for info in there.get(stream).into_iter().flatten() {
                let known = log.snapshots.iter().find(|known| known.position == info.position).copied();
                // The first event after one that is not known is not known either: at the earliest it is the next one.
                let first_after = Some(info.position.plus(1));
                let (position, at, bytes) = (info.position, info.at, info.bytes);
                snapshots.push(known.unwrap_or(retention::SnapshotFacts { position, at, bytes, first_after }));
            }
            snapshots.sort_unstable_by_key(|snapshot| snapshot.position);
            log.snapshots = snapshots;
        }
    }

    pub fn give_up(&mut self, stream: &StreamName) {
        if let Some(log) = self.logs.get_mut(stream) {
            log.writing = false;
        }
    }

    pub fn dropped(&mut self, stream: &StreamName, position: Position) {
        if let Some(log) = self.logs.get_mut(stream) {
            log.snapshots.retain(|snapshot| snapshot.position != position);
        }
    }

    /// Everything before `first` has gone from the log.
    pub fn trimmed(&mut self, first: Position) {
        for log in self.logs.values_mut() {
            // Only a stream with snapshots loses events, and its first one is then told by those.
            if log.first.is_some_and(|position| position < first) {
                log.first = log.snapshots.first().and_then(|snapshot| snapshot.first_after);
            }
        }
    }

    /// A stream's session is no more.
    pub fn forget(&mut self, stream: &StreamName) {
        self.logs.remove(stream);
        if let Some(session) = session_of(stream) {
            self.sessions.remove(&session);
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &StreamName> {
        self.logs.keys()
    }

    pub fn facts(&self, policy: impl Fn(&StreamName) -> retention::StreamPolicy) -> Vec<retention::StreamFacts> {
        self.logs
            .iter()
            .map(|(stream, log)| retention::StreamFacts {
                stream: stream.clone(),
                policy: policy(stream),
                first: log.first,
                events_since: log.events_since,
                bytes_since: log.bytes_since,
                snapshots: log.snapshots.clone(),
                writing: log.writing,
            })
            .collect()
    }

    /// The stream's first event after a position that has been counted.
    pub fn any_since_begin(&self, stream: &StreamName) -> bool {
        self.logs.get(stream).is_some_and(|log| log.events_since > 0)
    }

    /// The latest time in the log.
    pub fn newest_wall(&self) -> WallTime {
        self.newest
    }
}
