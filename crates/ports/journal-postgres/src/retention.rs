//! Letting go of the log, a slice at a time: no statement is so long that an append would notice.

use crate::archive::Sheet;
use crate::fault::Fault;
use crate::head;
use crate::line::Line;
use crate::pages::Shared;
use crate::reader::Reader;
use crate::row::{number, unsigned};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::JournalError;

/// One call lets go of so many slices at most; the next one goes on.
const SLICES_MAX: usize = 10;

const SLICE: &str = "SELECT position + events, at FROM (SELECT position, events, at FROM commits \
    WHERE position >= $1 AND position < $2 AND position + events <= $2 ORDER BY position LIMIT 1000) slice \
    ORDER BY position DESC LIMIT 1";

/// Drops commits that end at or before `to`, copying the events of `audited` first.
///
/// `epoch` is the caller's leadership; one that never led trims whoever leads.
pub(crate) fn trim(
    line: &mut Line,
    reading: &Shared,
    identity: i64,
    epoch: Option<Epoch>,
    to: Position,
    audited: &[StreamName],
) -> Result<(), Fault> {
    for _ in 0..SLICES_MAX {
        let head = head::look(line, identity, to)?;
        if let Some(epoch) = epoch.filter(|epoch| head.epoch > *epoch) {
            return Err(Fault::Unusable(JournalError::Deposed { epoch, seen: head.epoch }));
        }
        let rows = line.query(SLICE, &[&number(head.first.get()), &number(to.get())])?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (end, at) = (Position::new(unsigned(row.get(0))), WallTime(row.get(1)));
        if !audited.is_empty() {
            let mut sheet = Sheet::new(identity);
            let slice = head::Head { ended: end, holding: None, ..head };
            for recorded in Reader::new(reading.clone(), identity, head.first, &slice) {
                sheet.keep(line, &recorded.map_err(Fault::Unusable)?, audited)?;
            }
            sheet.flow(line)?;
        }
        let epoch = epoch.map_or(i64::MAX, |epoch| number(epoch.get()));
        if !head::trim(line, identity, epoch, end, at)? {
            return Ok(());
        }
    }
    Ok(())
}
