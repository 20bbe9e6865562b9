//! Prometheus' own tool, which reads the alert rules that are shipped and runs their cases.
//!
//! It is taken out of Debian's package of Prometheus and kept in the user's cache folder: installed, that package would
//! start a server and bring what its pages are made of.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::services::{built, on_path};
use crate::setup;
use crate::workspace::succeed;

const NAME: &str = "promtool";
const PACKAGE: &str = "prometheus";

/// The tool, where this machine has it or it was fetched before.
pub fn find() -> Option<PathBuf> {
    on_path(NAME).or_else(|| built::find(NAME, &[]).map(|folder| folder.join(NAME)))
}

/// The tool, fetched if it has to be; without it the tests that need it are skipped.
pub fn install() -> Option<PathBuf> {
    if find().is_none() {
        println!("setup: fetching {NAME}");
        if let Err(why) = built::build(NAME, &[], fetch) {
            eprintln!("setup: cannot fetch {NAME}: {why:#}");
        }
    }
    find()
}

/// Leaves the tool alone in the folder.
fn fetch(folder: &Path) -> Result<()> {
    let download = || {
        let mut apt = Command::new("apt-get");
        apt.args(["download", "-qq", PACKAGE]).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
        succeed(&mut apt, &format!("apt-get download {PACKAGE}"))
    };
    // A machine that never installed anything does not know its packages yet.
    download().or_else(|_| setup::apt_get(&["update", "-qq"]).and_then(|()| download()))?;
    let mut downloaded = fs::read_dir(folder).context("list what was downloaded")?.flatten().map(|entry| entry.path());
    let package = downloaded.find(|path| path.extension() == Some(OsStr::new("deb")));
    let package = package.context("no package was downloaded")?;
    let unpacked = folder.join("package");
    succeed(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked), "dpkg-deb")?;
    fs::rename(unpacked.join("usr/bin").join(NAME), folder.join(NAME)).context("find the tool in its package")?;
    fs::remove_dir_all(&unpacked).with_context(|| format!("remove {}", unpacked.display()))?;
    fs::remove_file(&package).with_context(|| format!("remove {}", package.display()))
}
