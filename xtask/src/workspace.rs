//! Where the project lies, and how its `cargo` is called.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 4] = ["target", ".git", "node_modules", ".capstan"];

/// The checkout this command was called in.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
}

impl Workspace {
    /// Finds the checkout that `cargo xtask` was started from.
    pub fn find() -> Result<Self> {
        let manifest =
            std::env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`, not by its path")?;
        let root = Path::new(&manifest).parent().context("the xtask crate has no parent folder")?;
        Ok(Self { root: root.to_owned() })
    }

    /// The dependency graph as cargo resolved it from the manifests, workspace members only.
    pub fn metadata(&self) -> Result<Metadata> {
        MetadataCommand::new()
            .manifest_path(self.root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("read the workspace's manifests with `cargo metadata`")
    }

    /// A `cargo` of the same toolchain, in the root, with nothing on its standard input.
    pub fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        // These describe xtask itself; a build script or test that reads them would be told the wrong crate.
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
        command
    }

    /// A folder for logs and other leavings of these commands, inside the build directory.
    pub fn scratch(&self) -> Result<PathBuf> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        let folder = target.join("xtask");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
    }

    /// Every file of the project whose name ends in `.extension`, by path relative to the root, in order.
    pub fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    if !FOREIGN.iter().any(|name| path.file_name() == Some(OsStr::new(name))) {
                        folders.push(path);
                    }
                } else if path.extension() == Some(OsStr::new(extension)) {
                    found.push(path.strip_prefix(&self.root).expect("found below the root").to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Reads a file named relative to the root.
    pub fn read(&self, file: &Path) -> Result<String> {
        fs::read_to_string(self.root.join(file)).with_context(|| format!("read {}", file.display()))
    }
}

/// Runs a command with its output on the terminal, and fails with `what` where it does.
pub fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}
