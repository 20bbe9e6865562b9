//! Finding data that lie beside the project, and saying so where they do not.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A path under the shared data, or `None` after the test's name and the reason have been written down.
pub fn data(test: &str, path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared");
    let root = std::env::var_os("CAPSTAN_SHARED").map_or_else(beside, PathBuf::from);
    let found = root.join("data").join(path);
    if found.exists() {
        return Some(found);
    }
    let reason = format!("{} is not there; set CAPSTAN_SHARED", found.display());
    println!("skipped: {test}: {reason}");
    if let Some(list) = std::env::var_os("CAPSTAN_SKIPPED_FILE") {
        let mut list =
            std::fs::OpenOptions::new().append(true).create(true).open(list).expect("the list of skipped tests opens");
        writeln!(list, "{test}: {reason}").expect("the list of skipped tests takes a line");
    }
    None
}
