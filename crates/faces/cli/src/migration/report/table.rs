//! A report's rows under each other.

use std::fmt::Write as _;

/// Two columns of names, then figures against the right; the last one is words again where it has a head of words.
pub(super) struct Table {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A line for the heads, then one for each row, each column as wide as it needs to be.
    pub fn write(&self, text: &mut String) -> std::fmt::Result {
        let heads = self.heads.iter().map(|head| (*head).to_owned()).collect();
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(self.rows.iter().cloned()).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        for line in &lines {
            let mut told = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                match self.heads[column] {
                    "CHUNKS" | "DOCUMENTS" | "COMPARED" | "BYTES" => write!(told, "{cell:>width$}  ")?,
                    _ => write!(told, "{cell:width$}  ")?,
                }
            }
            writeln!(text, "{}", told.trim_end())?;
        }
        Ok(())
    }
}
