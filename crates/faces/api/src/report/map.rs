//! A unit's chunks as cells of a picture.

use super::CELLS_MAX;
use capstan_proto::v1;

/// How a chunk stands; the order says which one a cell for several chunks shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// At the target.
    Restored,
    /// In the spool.
    Dumped,
    /// Not read yet.
    Planned,
    /// Being read.
    Dumping,
    /// Being written.
    Restoring,
    /// Out of attempts.
    Failed,
}

impl State {
    /// Every state, in the order in which a chunk goes through them.
    pub const ALL: [Self; 6] =
        [Self::Planned, Self::Dumping, Self::Dumped, Self::Restoring, Self::Restored, Self::Failed];

    /// Its name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Dumping => "dumping",
            Self::Dumped => "dumped",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
            Self::Failed => "failed",
        }
    }

    /// The state of that name; one that is not known yet counts as planned.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.name() == name).unwrap_or(Self::Planned)
    }

    /// At most so many cells for the chunks of a unit; a cell for several shows the one that most needs a look.
    pub fn folded(states: &[Self], most: usize) -> Vec<Self> {
        let (chunks, cells) = (states.len(), states.len().min(most));
        let cell = |at: usize| {
            let (from, to) = (at * chunks / cells, (at + 1) * chunks / cells);
            states[from..to].iter().copied().max().unwrap_or(Self::Planned)
        };
        (0..cells).map(cell).collect()
    }
}

/// How the chunks of one unit stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkMap {
    /// The unit's collection at the source.
    pub source: String,
    /// Chunks that it has.
    pub chunks: u64,
    /// In the order of the chunks; a cell for several shows the one that most needs a look.
    pub(super) cells: Vec<State>,
}

impl ChunkMap {
    /// From every chunk's state.
    pub(super) fn of(unit: &v1::Unit, states: &[State]) -> Self {
        let cells = State::folded(states, CELLS_MAX);
        Self { source: unit.source.clone(), chunks: states.len() as u64, cells }
    }

    /// The cells, in the order of the chunks.
    pub fn cells(&self) -> &[State] {
        &self.cells
    }

    /// From a unit's counts alone, as if its chunks had been done in their order.
    pub fn counted(unit: &v1::Unit) -> Self {
        let cells = unit.chunks.min(CELLS_MAX as u64);
        let upto = |done: u64| done * cells / unit.chunks.max(1);
        let (restored, dumped) = (upto(unit.chunks_restored), upto(unit.chunks_dumped));
        let cell = |at| match at {
            at if at < restored => State::Restored,
            at if at < dumped => State::Dumped,
            _ => State::Planned,
        };
        Self { source: unit.source.clone(), chunks: unit.chunks, cells: (0..cells).map(cell).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(chunks: u64) -> v1::Unit {
        v1::Unit { source: "shop.orders".into(), chunks, ..Default::default() }
    }

    #[test]
    fn one_failed_chunk_among_thousands_is_seen() {
        let mut states = vec![State::Restored; 9_999];
        states[7_777] = State::Failed;

        let map = ChunkMap::of(&unit(9_999), &states);

        assert_eq!(map.cells.len(), CELLS_MAX);
        assert_eq!(map.cells.iter().filter(|state| **state == State::Failed).count(), 1);
    }

    #[test]
    fn few_chunks_have_a_cell_each_and_none_has_no_cells() {
        let states = [State::Restored, State::Dumping, State::Planned];
        assert_eq!(ChunkMap::of(&unit(3), &states).cells, states);
        assert_eq!(ChunkMap::of(&unit(0), &[]).cells, []);
        assert_eq!(ChunkMap::counted(&unit(0)).cells, []);
    }

    #[test]
    fn counts_alone_make_a_map_too() {
        let unit = v1::Unit { chunks_dumped: 3, chunks_restored: 1, ..unit(4) };
        assert_eq!(ChunkMap::counted(&unit).cells, [State::Restored, State::Dumped, State::Dumped, State::Planned]);
    }
}
