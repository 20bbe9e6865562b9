//! PostgreSQL in a cluster of its own.
//!
//! It refuses to run as root, so there it runs as the user that its package made, in a folder that this user owns.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Durability, Place, on_path};

const USER: &str = "postgres";
/// Debian keeps the server's programs here, by version, and not on `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A program of the newest version installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut versions =
        versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let newest = versions.by_ref().map(|(version, path)| (version, path.join("bin").join(name)));
    newest.filter(|(_, program)| program.is_file()).max().map(|(_, program)| program).or_else(|| on_path(name))
}

/// Makes the cluster if there is none yet.
pub fn prepare(server: &Path, place: &Place) -> Result<Command> {
    let owner = owner()?;
    if let Some((user, group)) = owner {
        chown(&place.folder, Some(user), Some(group))
            .with_context(|| format!("give {} to {USER}", place.folder.display()))?;
    }
    let data = place.folder.join("data");
    if !data.join("PG_VERSION").exists() {
        let mut initdb = as_owner(&server.with_file_name("initdb"), owner, &place.folder);
        initdb.arg("-D").arg(&data).args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let output = initdb.output().context("start initdb")?;
        if !output.status.success() {
            bail!("initdb failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
    }
    let synchronous = match place.durability {
        Durability::BeforeAck => "on",
        Durability::Later => "off",
    };
    let mut command = as_owner(server, owner, &place.folder);
    command.arg("-D").arg(&data).arg("-k").arg(&place.folder).args(["-p", &place.port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "max_connections=200", &format!("synchronous_commit={synchronous}")] {
        command.args(["-c", setting]);
    }
    Ok(command)
}

pub fn answers(port: u16) -> bool {
    let Some(ready) = program("pg_isready") else { return false };
    let mut command = Command::new(ready);
    command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// The user and group to run as; none where we are not root and run it ourselves.
fn owner() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").context("ask who we are")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let account = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == USER);
    let account = account.with_context(|| format!("PostgreSQL does not run as root and there is no user {USER}"))?;
    let number = |at: usize| account.get(at).and_then(|field| field.parse().ok());
    number(2).zip(number(3)).map(Some).with_context(|| format!("the entry of {USER} in /etc/passwd has no numbers"))
}
