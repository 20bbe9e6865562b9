//! What a test needs and the project does not hold.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Says that the test `name` was skipped, and why: on stdout, and in the file that `CAPSTAN_SKIPPED_FILE` names, if any.
///
/// The test then returns; it must not look as if it had passed.
pub fn skipped(name: &str, reason: &str) {
    println!("skipped: {name}: {reason}");
    if let Some(list) = env::var_os("CAPSTAN_SKIPPED_FILE") {
        // One write to a file opened for appending: lines of tests that run at once do not mix.
        let line = format!("{name}: {reason}\n");
        let mut list =
            OpenOptions::new().append(true).create(true).open(list).expect("CAPSTAN_SKIPPED_FILE can be written");
        list.write_all(line.as_bytes()).expect("CAPSTAN_SKIPPED_FILE can be written");
    }
}

/// The folder of data that lies beside the project: `data` in `CAPSTAN_SHARED`, or in `../shared` seen from the workspace.
pub fn shared_data() -> Option<PathBuf> {
    let root = env::var_os("CAPSTAN_SHARED").map_or_else(
        || {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
                .ancestors()
                .nth(3)
                .expect("crates/dev/testkit lies in a workspace");
            workspace.join("../shared")
        },
        PathBuf::from,
    );
    let data = root.join("data");
    data.is_dir().then_some(data)
}
