//! Servers that are built here from sources of ours and what a package registry has: once, in the user's cache folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a server is built from: the names and contents of files that lie in `xtask/services`.
pub type Sources = &'static [(&'static str, &'static str)];

/// Written last, so that a build that was interrupted is begun anew.
const MARK: &str = "built";

/// Where a server's build is kept.
pub fn folder(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("capstan").join("services").join(name))
}

/// The build of exactly these sources, if there is one.
pub fn find(name: &str, sources: Sources) -> Option<PathBuf> {
    let folder = folder(name)?;
    let same = |(file, text): &(&str, &str)| fs::read_to_string(folder.join(file)).is_ok_and(|found| found == *text);
    (folder.join(MARK).is_file() && sources.iter().all(same)).then_some(folder)
}

/// Builds in a new folder that holds the sources.
pub fn build(name: &str, sources: Sources, act: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = folder(name).context("there is no home folder to keep a build in; set HOME or XDG_CACHE_HOME")?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (file, text) in sources {
        fs::write(folder.join(file), text).with_context(|| format!("write {file} into {}", folder.display()))?;
    }
    act(&folder)?;
    fs::write(folder.join(MARK), "").with_context(|| format!("write into {}", folder.display()))
}
