//! Reads a backup through, and sees that it is what it says.

use super::frame::Frames;
use super::piece::{self, Piece};
use super::{BackupError, Contents};
use crate::encoding::Names;
use crate::takeover::Beginning;
use capstan_ids::{Epoch, Position};
use std::io::Read;

/// Reads all of a backup, changing nothing: every frame is whole and in its place, and nothing is missing.
pub fn verify(from: &mut dyn Read) -> Result<Contents, BackupError> {
    let mut pieces = Pieces::begin(from)?;
    while pieces.next()?.is_some() {}
    Ok(pieces.counted)
}

/// The pieces of a backup, in an order that makes sense.
pub(super) struct Pieces<'a> {
    frames: Frames<'a>,
    names: Names,
    pub beginning: Beginning,
    /// What has come so far; all that there is, once there are no more.
    pub counted: Contents,
    at: Place,
    /// Where the run or commit before ended.
    reached: Position,
    /// The epoch of the snapshot or commit before.
    epoch: Epoch,
}

/// Where in a backup, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Beginning,
    Snapshot,
    Archive,
    Log,
    End,
}

impl<'a> Pieces<'a> {
    pub fn begin(from: &'a mut dyn Read) -> Result<Self, BackupError> {
        let (mut frames, mut names) = (Frames::begin(from)?, Names::default());
        let Piece::Beginning(beginning, taken) = piece::next(&mut frames, &mut names)? else {
            return Err(frames.damaged("its first frame does not say where the log begins"));
        };
        let counted = Contents { taken, first: beginning.first, ..Contents::default() };
        let (at, reached, epoch) = (Place::Beginning, Position::ZERO, Epoch::ZERO);
        Ok(Self { frames, names, beginning, counted, at, reached, epoch })
    }

    /// The next snapshot, row, archive, run or commit; none after the last.
    pub fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        if self.at == Place::End {
            return Ok(None);
        }
        let piece = piece::next(&mut self.frames, &mut self.names)?;
        if let Err(what) = self.take(&piece) {
            return Err(self.frames.damaged(what));
        }
        if self.at < Place::End {
            return Ok(Some(piece));
        }
        self.frames.end()?;
        self.counted.bytes = self.frames.offset;
        Ok(None)
    }

    fn take(&mut self, piece: &Piece) -> Result<(), &'static str> {
        let Contents { snapshots, rows, archived, commits, .. } = &mut self.counted;
        match piece {
            Piece::Beginning(..) => return Err("it begins a second time"),
            Piece::Snapshot(info) if self.at <= Place::Snapshot && info.epoch >= self.epoch => {
                *snapshots += 1;
                (self.at, self.epoch) = (Place::Snapshot, info.epoch);
            }
            Piece::Row(_) if self.at == Place::Snapshot => *rows += 1,
            Piece::Archive(_) if self.at <= Place::Archive => {
                (self.at, self.reached) = (Place::Archive, Position::ZERO)
            }
            Piece::Run(run) if self.at == Place::Archive && run.position >= self.reached => {
                *archived += 1;
                self.reached = run.position.plus(run.commit.events());
                if self.reached > self.beginning.first {
                    return Err("what is archived is not older than the log");
                }
            }
            Piece::Commit(recorded) if self.at <= Place::Log => {
                if self.at < Place::Log {
                    (self.at, self.reached, self.epoch) = (Place::Log, self.beginning.first, self.beginning.epoch);
                }
                if recorded.position < self.reached || recorded.epoch < self.epoch {
                    return Err("a commit does not follow the one before it");
                }
                *commits += 1;
                self.counted.events += recorded.commit.events();
                self.counted.largest = self.counted.largest.max(recorded.commit.size() as u64);
                (self.reached, self.epoch) = (recorded.position.plus(recorded.commit.events()), recorded.epoch);
            }
            Piece::End(said) => return self.end(said),
            _ => return Err("a frame is not in its place"),
        }
        Ok(())
    }

    fn end(&mut self, said: &Contents) -> Result<(), &'static str> {
        let Contents { taken, first, .. } = self.counted;
        let (reached, epoch) = match self.at {
            Place::Log => (self.reached, self.epoch),
            _ => (first, self.beginning.epoch),
        };
        self.counted = Contents { next: said.next, epoch: said.epoch, ..self.counted };
        self.at = Place::End;
        if self.counted != (Contents { taken, first, ..*said }) {
            return Err("its last frame counts other things than there are");
        }
        if said.next < reached || said.epoch < epoch { Err("it ends before its last commit") } else { Ok(()) }
    }
}
