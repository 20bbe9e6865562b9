//! What a program says on its error stream: how many documents it means to have moved, and its last words.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a line that are looked at; the rest of it is passed over.
const LINE_BYTES_MAX: usize = 2 << 10;
/// Lines that are kept for an error.
const LINES_KEPT: usize = 6;

/// What was heard so far. The last word of a kind counts: what came before it may repeat the name of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Documents that mongodump says it wrote.
    pub dumped: Option<u64>,
    /// Documents that mongorestore says it restored, and that failed.
    pub restored: Option<(u64, u64)>,
    /// mongodump found no such collection.
    pub no_collection: bool,
    lines: VecDeque<String>,
}

impl Heard {
    fn line(&mut self, line: &str) {
        // A time stamp and a tab come first.
        let said = line.split_once('\t').map_or(line, |(_, said)| said).trim_end();
        if let Some(count) = dumped(said) {
            self.dumped = Some(count);
        }
        if let Some(counts) = restored(said) {
            self.restored = Some(counts);
        }
        self.no_collection |= said.starts_with("namespace with DB ") && said.ends_with(" does not exist");
        if !said.is_empty() && !is_progress(said) {
            if self.lines.len() == LINES_KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(said.to_owned());
        }
    }

    /// The last lines, as one.
    pub fn last_words(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        if lines.is_empty() { "it says nothing".into() } else { lines.join(" | ") }
    }
}

/// `dumped 12 documents`
fn dumped(said: &str) -> Option<u64> {
    let (count, what) = said.strip_prefix("dumped ")?.split_once(' ')?;
    if ["document", "documents"].contains(&what) { count.parse().ok() } else { None }
}

/// `12 document(s) restored successfully. 0 document(s) failed to restore.`
fn restored(said: &str) -> Option<(u64, u64)> {
    let (restored, rest) = said.split_once(" document(s) restored successfully. ")?;
    let failed = rest.strip_suffix(" document(s) failed to restore.")?;
    Some((restored.parse().ok()?, failed.parse().ok()?))
}

/// `[####....]  shop.orders  12/100  (12.0%)`, said again and again.
fn is_progress(said: &str) -> bool {
    said.strip_prefix('[').is_some_and(|bar| bar.starts_with(['#', '.', ']']))
}

/// Listens until the stream ends, and tells after each line what was heard.
pub(crate) async fn listen(mut stream: impl AsyncRead + Unpin, told: impl Fn(Heard)) {
    let (mut heard, mut line, mut buffer) = (Heard::default(), Vec::new(), vec![0; 4 << 10]);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        for byte in &buffer[..length] {
            match byte {
                b'\n' => {
                    heard.line(&String::from_utf8_lossy(&line));
                    line.clear();
                }
                byte if line.len() < LINE_BYTES_MAX => line.push(*byte),
                _ => {}
            }
        }
        told(heard.clone());
    }
    heard.line(&String::from_utf8_lossy(&line));
    told(heard);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    async fn hear(text: &str) -> Heard {
        let last = RefCell::new(Heard::default());
        listen(text.as_bytes(), |heard| *last.borrow_mut() = heard).await;
        last.into_inner()
    }

    #[tokio::test]
    async fn counts_are_read_from_their_own_lines_and_the_last_one_counts() {
        let heard = hear("2026-01-01T00:00:00.000+0000\twriting a.dumped 7 documents to stdout\nx\tdumped 1 document\nx\tdumped 12 documents\n").await;
        assert_eq!(heard.dumped, Some(12));

        let heard = hear("t\t5000000000 document(s) restored successfully. 3 document(s) failed to restore.").await;
        assert_eq!(heard.restored, Some((5_000_000_000, 3)));

        let heard =
            hear("t\tdumped -1 documents\nt\tdumped 3 documents of 4\nt\tx document(s) restored successfully. 1\n")
                .await;
        assert_eq!((heard.dumped, heard.restored), (None, None));
    }

    #[tokio::test]
    async fn a_flood_of_words_is_kept_short_and_progress_is_left_out() {
        let flood: String =
            (0..1_000).map(|n| format!("t\t[##..]  a.b  {n}/1000\nt\tline {n} {}\n", "x".repeat(10_000))).collect();

        let heard = hear(&flood).await;

        assert!(heard.last_words().starts_with("line 994 ") && heard.last_words().len() < 6 * (LINE_BYTES_MAX + 3));
        assert!(!heard.last_words().contains("[##"));
    }
}
