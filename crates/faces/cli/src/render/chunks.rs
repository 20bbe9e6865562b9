//! Chunks as cells of a picture made of characters: told apart by their shape, and by colour where there is any.

use capstan_api::report::State;
use std::fmt::Write as _;

/// Where nobody says how wide the terminal is.
const COLUMNS: usize = 100;

/// How wide the terminal is.
pub fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(asked).filter(|columns| *columns >= 20).unwrap_or(COLUMNS)
}

/// The chunks of one unit.
pub struct ChunkMap<'a> {
    /// Its collection.
    pub name: &'a str,
    /// How much of it is done.
    pub percent: f64,
    /// How each chunk stands, in their order.
    pub states: &'a [State],
}

impl ChunkMap<'_> {
    /// What each cell means, on one line.
    pub fn legend(colour: bool) -> String {
        let entry = |state: State| {
            let mut text = String::new();
            cells(&mut text, &[state], colour);
            format!("{text} {}", state.name())
        };
        State::ALL.map(entry).join("  ")
    }

    /// A line that says whose map it is, and lines of at most `width` cells, `most` in all.
    pub fn text(&self, width: usize, most: usize, colour: bool) -> String {
        let folded = State::folded(self.states, most.max(1));
        let (chunks, each) = (self.states.len(), self.states.len().div_ceil(folded.len().max(1)));
        let several = if each > 1 { format!(", up to {each} a cell") } else { String::new() };
        let noun = if chunks == 1 { "chunk" } else { "chunks" };
        let mut text = format!("{}  {:.1}%  {chunks} {noun}{several}\n", self.name, self.percent);
        for row in folded.chunks(width.saturating_sub(2).max(1)) {
            text.push_str("  ");
            cells(&mut text, row, colour);
            text.push('\n');
        }
        text
    }
}

/// Neighbours of one state share their colour's marks.
pub fn cells(text: &mut String, row: &[State], colour: bool) {
    for run in row.chunk_by(|a, b| a == b) {
        let (shape, paint) = look(run[0]);
        let shapes: String = std::iter::repeat_n(shape, run.len()).collect();
        if colour {
            write!(text, "\u{1b}[{paint}m{shapes}\u{1b}[0m").expect("writing to a string cannot fail");
        } else {
            text.push_str(&shapes);
        }
    }
}

const fn look(state: State) -> (char, &'static str) {
    match state {
        State::Planned => ('·', "2"),
        State::Dumping => ('▒', "36"),
        State::Dumped => ('▓', "34"),
        State::Restoring => ('▞', "35"),
        State::Restored => ('█', "32"),
        State::Failed => ('x', "31;1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_shows_every_chunk_in_its_place() {
        use State::*;
        let states = [Restored, Restored, Restoring, Dumped, Failed, Dumping, Planned, Planned];
        let map = ChunkMap { name: "shop.orders", percent: 31.25, states: &states };

        insta::assert_snapshot!(map.text(7, 100, false), @r"
        shop.orders  31.2%  8 chunks
          ██▞▓x
          ▒··
        ");
        insta::assert_snapshot!(map.text(80, 4, false), @r"
        shop.orders  31.2%  8 chunks, up to 2 a cell
          █▞x·
        ");
    }

    #[test]
    fn a_unit_without_chunks_has_a_line_and_no_cells() {
        let map = ChunkMap { name: "shop.empty", percent: 0.0, states: &[] };
        assert_eq!(map.text(80, 10, true), "shop.empty  0.0%  0 chunks\n");
    }

    #[test]
    fn colour_stands_around_each_run_once() {
        let mut text = String::new();
        cells(&mut text, &[State::Restored, State::Restored, State::Planned], true);
        assert_eq!(text, "\u{1b}[32m██\u{1b}[0m\u{1b}[2m·\u{1b}[0m");
        assert!(ChunkMap::legend(false).starts_with("· planned  ▒ dumping"), "{}", ChunkMap::legend(false));
    }
}
