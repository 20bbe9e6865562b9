//! Finding data that lie beside the project, and saying so where they do not.

use std::path::PathBuf;

/// A path under the shared data, or `None` after the test's name and the reason have been written down.
pub fn data(test: &str, path: &str) -> Option<PathBuf> {
    let found = capstan_testkit::shared_data().map(|data| data.join(path)).filter(|found| found.exists());
    if found.is_none() {
        capstan_testkit::skipped(test, &format!("{path} is not in the shared data; set CAPSTAN_SHARED"));
    }
    found
}
