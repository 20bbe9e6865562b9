//! What is in a folder against what should be.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A file that is not as it would be generated.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub file: String,
    pub what: &'static str,
}

/// Compares a folder with what it should hold: nothing else, and all of it the same.
pub fn differences(folder: &Path, wanted: &Files) -> Result<Vec<Difference>> {
    let found = read(folder)?;
    let mut differences = Vec::new();
    for (file, content) in wanted {
        match found.get(file) {
            None => differences.push(Difference { file: file.clone(), what: "missing" }),
            Some(there) if there != content => differences.push(Difference { file: file.clone(), what: "out of date" }),
            Some(_) => {}
        }
    }
    let left_over = found.keys().filter(|file| !wanted.contains_key(*file));
    differences.extend(left_over.map(|file| Difference { file: file.clone(), what: "left over" }));
    Ok(differences)
}

/// Writes or removes exactly the files that differ, so that an unchanged file stays untouched and nothing is rebuilt.
pub fn settle(folder: &Path, wanted: &Files, differences: &[Difference]) -> Result<()> {
    if !differences.is_empty() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    for Difference { file, .. } in differences {
        let path = folder.join(file);
        match wanted.get(file) {
            Some(content) => fs::write(&path, content).with_context(|| format!("write {}", path.display()))?,
            None => fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?,
        }
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Files> {
    if !folder.exists() {
        return Ok(Files::new());
    }
    let mut files = Files::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has no name")?.to_string_lossy().into_owned();
        files.insert(name, fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_changed_and_left_over_files_are_found_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("changed.rs"), "old").unwrap();
        fs::write(folder.path().join("left.rs"), "").unwrap();
        let wanted = Files::from([("changed.rs".to_owned(), b"new".to_vec()), ("missing.rs".to_owned(), Vec::new())]);

        let found = differences(folder.path(), &wanted).unwrap();
        let whats = found.iter().map(|difference| (difference.file.as_str(), difference.what)).collect::<Vec<_>>();
        assert_eq!(whats, [("changed.rs", "out of date"), ("missing.rs", "missing"), ("left.rs", "left over")]);

        settle(folder.path(), &wanted, &found).unwrap();
        assert_eq!(differences(folder.path(), &wanted).unwrap(), []);
    }
}
