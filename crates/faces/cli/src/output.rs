//! Printing: tables for people, JSON and YAML for programs.

use crate::failure::Failure;
use crate::yaml;
use clap::ValueEnum;
use serde_json::Value;
use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::sync::Mutex;

/// How output is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people
    Table,
    /// One JSON document, or JSON lines for streams
    Json,
    /// One YAML document, or several
    Yaml,
}

/// Writes to stdout in the form that was asked for.
#[derive(Debug)]
pub struct Printer {
    output: Output,
    colour: bool,
    to: Mutex<BufWriter<Stdout>>,
}

/// Rows under a heading.
#[derive(Debug)]
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub fn new(heading: impl Into<Vec<&'static str>>) -> Self {
        Self { heading: heading.into(), rows: Vec::new() }
    }

    /// One more row, with a cell for each heading.
    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.heading.len());
        self.rows.push(cells);
    }

    /// The table as text. Colour marks the heading and the states.
    pub fn text(&self, colour: bool) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.heading[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.heading.len()).map(width).collect();
        let mut text = String::new();
        let heading = self.heading.iter().map(|cell| cell.to_string()).collect::<Vec<_>>();
        line(&mut text, &heading, &widths, |_| if colour { Some("1") } else { None });
        for row in &self.rows {
            line(&mut text, row, &widths, |cell| if colour { paint(cell) } else { None });
        }
        text
    }
}

fn line(text: &mut String, cells: &[String], widths: &[usize], paint: impl Fn(&str) -> Option<&'static str>) {
    let start = text.len();
    for (cell, width) in cells.iter().zip(widths) {
        if text.len() > start {
            text.push_str("  ");
        }
        match paint(cell) {
            Some(code) => text.push_str(&format!("\u{1b}[{code}m{cell}\u{1b}[0m")),
            None => text.push_str(cell),
        }
        text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
    }
    text.truncate(text.trim_end().len().max(start));
    text.push('\n');
}

/// The states that somebody may have to look at, and the good ends.
fn paint(cell: &str) -> Option<&'static str> {
    match cell {
        "failed" | "blocked" => Some("31"),
        "paused" | "pausing" | "cancelled" | "completed_with_failures" => Some("33"),
        "completed" | "leader" => Some("32"),
        _ => None,
    }
}

impl Printer {
    /// Prints to stdout; with colour only on a terminal, and only where nobody has asked for none.
    pub fn to_stdout(output: Output) -> Self {
        let stdout = std::io::stdout();
        let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { output, colour, to: Mutex::new(BufWriter::new(stdout)) }
    }

    /// Whether programs read along.
    pub fn is_data(&self) -> bool {
        self.output != Output::Table
    }

    /// Whether programs read along that take one JSON document a line.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints a document, or what people see of it.
    pub fn show(&self, json: impl FnOnce() -> Value, table: impl FnOnce() -> Table) -> Result<(), Failure> {
        let text = match self.output {
            Output::Json => format!("{:#}\n", json()),
            Output::Yaml => yaml::document(&json()),
            Output::Table => table().text(self.colour),
        };
        self.write(&text)
    }

    /// Prints a document, or the text that people see of it.
    pub fn show_text(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.output {
            Output::Table => self.write(&text()),
            _ => self.show(json, || Table::new([])),
        }
    }

    /// Prints one of many documents on a line of its own, or what people see of it.
    pub fn stream(&self, json: impl FnOnce() -> Value, line: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = match self.output {
            Output::Json => format!("{}\n", json()),
            Output::Yaml => format!("---\n{}", yaml::document(&json())),
            Output::Table => format!("{}\n", line()),
        };
        self.write(&text)
    }

    /// Whether what is printed may be coloured.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// Prints text as it is.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.write(text)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut to = self.to.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        to.write_all(text.as_bytes())?;
        Ok(to.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces() {
        let mut table = Table::new(["ID", "STATE", "WORKER"]);
        table.row(["orders/ü".into(), "pending".into(), String::new()]);
        table.row(["b".into(), "failed".into(), "alice".into()]);

        assert_eq!(table.text(false), "ID        STATE    WORKER\norders/ü  pending\nb         failed   alice\n");
    }

    #[test]
    fn colour_changes_no_width() {
        let mut table = Table::new(["STATE", "N"]);
        table.row(["failed".into(), "1".into()]);
        table.row(["completed".into(), "2".into()]);

        let plain = table
            .text(true)
            .replace("\u{1b}[1m", "")
            .replace("\u{1b}[31m", "")
            .replace("\u{1b}[32m", "")
            .replace("\u{1b}[0m", "");

        assert_eq!(plain, table.text(false));
    }
}
