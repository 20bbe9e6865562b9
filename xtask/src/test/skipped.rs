//! Tests that did not run, and why.
//!
//! The convention, for tests in any crate: a test that finds no server to talk to or no program to call appends a line
//! `NAME: REASON` to the file named by [`FILE_VARIABLE`], where that is set, and returns. A reason that lacks a
//! program reads `needs the program NAME`. The harness hides what passing tests print, so printing is not enough.

use std::collections::BTreeMap;
use std::fmt;

/// Names the file that a skipped test appends its line to.
pub const FILE_VARIABLE: &str = "CAPSTAN_SKIPPED_FILE";

/// Programs that no package registry has: a run may be strict without them.
const UNPACKAGED: [&str; 4] = ["mongodump", "mongorestore", "mongoexport", "mongoimport"];

/// One test that did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub name: String,
    pub reason: String,
}

impl Skipped {
    /// Whether what it lacks is a program that cannot be installed from a package registry.
    pub fn is_excused(&self) -> bool {
        self.reason.strip_prefix("needs the program ").is_some_and(|program| UNPACKAGED.contains(&program.trim()))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped: {}: {}", self.name, self.reason)
    }
}

/// What tests wrote into the file. A test that reports twice is one test.
pub fn read(text: &str) -> Vec<Skipped> {
    let mut by_name = BTreeMap::new();
    for line in
        text.lines().map(|line| line.strip_prefix("skipped: ").unwrap_or(line)).filter(|line| !line.trim().is_empty())
    {
        // A test's name may hold `::`, so the name ends at a colon that a space follows.
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        by_name.entry(name.to_owned()).or_insert_with(|| reason.to_owned());
    }
    by_name.into_iter().map(|(name, reason)| Skipped { name, reason }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_once_a_test_with_their_reasons() {
        let text = "skipped: journal::takes_over: CAPSTAN_TEST_POSTGRES_URL is not set\n\nskipped: b: why: so\nskipped: b: again\nodd\n";

        let lines = read(text).iter().map(Skipped::to_string).collect::<Vec<_>>();

        assert_eq!(
            lines,
            [
                "skipped: b: why: so",
                "skipped: journal::takes_over: CAPSTAN_TEST_POSTGRES_URL is not set",
                "skipped: odd: no reason given"
            ]
        );
    }

    #[test]
    fn only_a_program_that_no_registry_has_is_an_excuse() {
        let skipped = |reason: &str| Skipped { name: "a".to_owned(), reason: reason.to_owned() };

        assert!(skipped("needs the program mongorestore").is_excused());

        for reason in ["needs the program redis-server", "CAPSTAN_TEST_REDIS_URL is not set", "mongorestore"] {
            assert!(!skipped(reason).is_excused(), "{reason}");
        }
    }
}
