//! Which stream an event belongs to, and what is known of each stream for retention.

use capstan_ids::{Position, SessionName, StreamName, WallTime};
use capstan_journal::{Commit, Entry, SnapshotInfo, retention};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Limits over all sessions.
pub(crate) const WORK: &str = "work";
/// Migrations.
pub(crate) const JOBS: &str = "jobs";
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
    pub leader: StreamName,
    logs: BTreeMap<StreamName, StreamLog>,
    /// Bytes of events counted so far, and what that was at some positions.
    bytes: u64,
    marks: VecDeque<(Position, u64)>,
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
            leader: named(LEADER),
            logs: BTreeMap::new(),
            bytes: 0,
            marks: VecDeque::new(),
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
        for entry in commit.entries(first) {
            // Who leads is in every commit's epoch: it needs no snapshot and holds nothing back.
            if *entry.stream != self.leader {
                self.count_event(&entry);
            }
        }
        self.bytes += commit.size() as u64;
        if self.marks.back().is_none_or(|(_, bytes)| self.bytes - bytes >= MARK_EVERY) {
            self.marks.push_back((first, self.bytes));
        }
    }

    fn count_event(&mut self, entry: &Entry<'_>) {
        if !self.logs.contains_key(entry.stream) {
            self.logs.insert(entry.stream.clone(), StreamLog::default());
        }
        let log = self.logs.get_mut(entry.stream).expect("it was just inserted");
        log.first.get_or_insert(entry.position);
        for snapshot in log.snapshots.iter_mut().rev().take_while(|snapshot| snapshot.first_after.is_none()) {
            if entry.position > snapshot.position {
                snapshot.first_after = Some(entry.position);
            }
        }
        if log.snapshots.last().is_none_or(|newest| entry.position > newest.position) {
            log.events_since += 1;
            log.bytes_since += entry.event.len() as u64;
        }
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

    pub fn names(&self) -> Vec<StreamName> {
        self.logs.keys().cloned().collect()
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

    pub fn newest_wall(&self) -> WallTime {
        self.logs.values().flat_map(|log| &log.snapshots).map(|snapshot| snapshot.at).max().unwrap_or_default()
    }
}
