//! Finding the two programs, and what version they are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use capstan_endpoint::{EndpointError, Result};
use tokio::process::Command;

use crate::ToolsOptions;

/// The oldest major version whose flags, streams and last lines are known to be those that we rely on.
pub const VERSION_MIN: u32 = 100;
/// How long a program may take to say its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    Mongodump,
    Mongorestore,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mongodump => "mongodump",
            Self::Mongorestore => "mongorestore",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A program that was found and is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub tool: Tool,
    pub path: PathBuf,
    /// As it says itself: `100.12.2`.
    pub version: String,
}

/// Why a program cannot be used, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "{tool} is not {searched}; install the MongoDB Database Tools (mongodump and mongorestore, version {VERSION_MIN} or newer) \
         from MongoDB's download page, or name the program in {variable}; the native engine needs neither"
    )]
    Missing { tool: Tool, searched: String, variable: &'static str },
    #[error(
        "{} does not run as {tool}: {reason}; install the MongoDB Database Tools from MongoDB's download page, or use the native engine",
        path.display()
    )]
    Broken { tool: Tool, path: PathBuf, reason: String },
    #[error(
        "{} is {tool} {version}, and {VERSION_MIN} or newer is needed; install newer MongoDB Database Tools from MongoDB's download page",
        path.display()
    )]
    Old { tool: Tool, path: PathBuf, version: String },
}

impl From<Unusable> for EndpointError {
    fn from(unusable: Unusable) -> Self {
        let place = "this machine".to_owned();
        Self::Unsupported { what: "engine mongo-tools".into(), place, reason: unusable.to_string() }
    }
}

/// What was found of both programs, for `capstan doctor`.
pub async fn check(options: &ToolsOptions) -> [(Tool, Result<Program, Unusable>); 2] {
    let (dump, restore) = tokio::join!(find(Tool::Mongodump, options), find(Tool::Mongorestore, options));
    [(Tool::Mongodump, dump), (Tool::Mongorestore, restore)]
}

/// Finds a program and asks for its version.
pub(crate) async fn find(tool: Tool, options: &ToolsOptions) -> Result<Program, Unusable> {
    let path = locate(tool, options, std::env::var_os("PATH"))?;
    let broken = |reason: String| Unusable::Broken { tool, path: path.clone(), reason };
    let mut asking = Command::new(&path);
    asking.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let answer = tokio::time::timeout(VERSION_PATIENCE, asking.output())
        .await
        .map_err(|_| broken(format!("`--version` gave no answer in {} s", VERSION_PATIENCE.as_secs())))?
        .map_err(|error| broken(error.to_string()))?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let version = version(tool, &text)
        .ok_or_else(|| broken(format!("`--version` does not begin with `{tool} version: ` and a number")))?;
    let major: u32 = version.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    if major < VERSION_MIN {
        return Err(Unusable::Old { tool, path, version });
    }
    Ok(Program { tool, path, version })
}

fn locate(tool: Tool, options: &ToolsOptions, path: Option<std::ffi::OsString>) -> Result<PathBuf, Unusable> {
    let (named, variable) = match tool {
        Tool::Mongodump => (&options.mongodump, crate::MONGODUMP_VARIABLE),
        Tool::Mongorestore => (&options.mongorestore, crate::MONGORESTORE_VARIABLE),
    };
    let missing = |searched: String| Unusable::Missing { tool, searched, variable };
    if let Some(named) = named {
        return if named.is_file() { Ok(named.clone()) } else { Err(missing(format!("at {}", named.display()))) };
    }
    let folders = path.unwrap_or_default();
    let mut candidates = std::env::split_paths(&folders).map(|folder| folder.join(tool.name()));
    candidates.find(|candidate| is_program(candidate)).ok_or_else(|| missing("on PATH".into()))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The version in the first line of an answer; none where it has no number.
fn version(tool: Tool, answer: &str) -> Option<String> {
    let said = answer.lines().next()?.strip_prefix(tool.name())?.strip_prefix(" version: ")?.trim();
    let said = said.strip_prefix(['r', 'v']).unwrap_or(said);
    said.starts_with(|c: char| c.is_ascii_digit()).then(|| said.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_first_line_of_the_right_program() {
        let answer = "mongodump version: 100.12.2\ngit version: x\n";
        assert_eq!(version(Tool::Mongodump, answer).as_deref(), Some("100.12.2"));
        assert_eq!(version(Tool::Mongorestore, answer), None);
        assert_eq!(version(Tool::Mongodump, "mongodump version: built-without-version-string"), None);
        assert_eq!(version(Tool::Mongodump, "mongodump version: r4.2.8").as_deref(), Some("4.2.8"));
    }

    #[test]
    fn a_missing_program_is_an_error_that_says_what_to_install_and_where() {
        let nowhere = tempfile::tempdir().unwrap();
        let missing = locate(Tool::Mongodump, &ToolsOptions::default(), Some(nowhere.path().into())).unwrap_err();
        let text = EndpointError::from(missing).to_string();
        for part in
            ["mongodump is not on PATH", "MongoDB Database Tools", "download page", "CAPSTAN_MONGODUMP", "native"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }

        let options = ToolsOptions { mongorestore: Some("/nowhere/mongorestore".into()), ..ToolsOptions::default() };
        let missing = locate(Tool::Mongorestore, &options, None).unwrap_err().to_string();
        assert!(missing.contains("not at /nowhere/mongorestore"), "{missing}");
    }
}
