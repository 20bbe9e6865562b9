//! Streams commits back, and proves that none is missing.

use crate::head::{self, Head};
use crate::pages::{Pages, Shared, locked};
use crate::row::{damaged, table_of};
use capstan_ids::Position;
use capstan_journal::{JournalError, Recorded};

/// The commits of the log as they were when the reader was made.
pub(crate) struct Reader {
    line: Shared,
    identity: i64,
    pages: Pages,
    from: Position,
    /// Where the last commit that was read ended.
    reached: Option<Position>,
    /// Where the last commit of all ended.
    ended: Position,
    over: bool,
}

impl Reader {
    /// Reads from the commit that holds `from`, which `head` was looked at for.
    pub fn new(line: Shared, identity: i64, from: Position, head: &Head) -> Self {
        let start = head.holding.unwrap_or(from);
        let pages = Pages::new(line.clone(), identity, None, start, head.ended);
        Self { line, identity, pages, from, reached: None, ended: head.ended, over: false }
    }

    fn read(&mut self) -> Result<Option<Recorded>, JournalError> {
        while let Some((recorded, follows)) = self.pages.next()? {
            let whole = match self.reached {
                Some(reached) => follows == reached,
                // The first one: it holds the position, or ends before it, or comes next after it.
                None => recorded.position <= self.from || follows <= self.from,
            };
            if !whole {
                return Err(self.missing());
            }
            let end = recorded.position.plus(recorded.commit.events());
            self.reached = Some(end);
            if end > self.from {
                return Ok(Some(recorded));
            }
        }
        if self.from < self.ended && self.reached != Some(self.ended) {
            return Err(self.missing());
        }
        Ok(None)
    }

    /// Why a commit is not there: retention has passed it since, or it was lost.
    fn missing(&self) -> JournalError {
        let asked = self.reached.unwrap_or(self.from);
        let mut line = locked(&self.line);
        let place = line.server.place.clone();
        match head::look(&mut line, self.identity, asked) {
            Ok(head) if head.first > asked => JournalError::Dropped { asked, first: head.first },
            Ok(_) => damaged(asked, table_of(&place, "commits"), "the commit that holds it is missing".to_owned()),
            Err(fault) => fault.told("read", &place),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read();
        self.over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}
