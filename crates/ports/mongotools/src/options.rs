//! Which programs are run, and for how long they may be silent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Names the mongodump to run, instead of the one on `PATH`.
pub const MONGODUMP_VARIABLE: &str = "CAPSTAN_MONGODUMP";
/// Names the mongorestore to run, instead of the one on `PATH`.
pub const MONGORESTORE_VARIABLE: &str = "CAPSTAN_MONGORESTORE";

/// How the programs are found and watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolsOptions {
    /// The mongodump to run; none looks on `PATH`.
    pub mongodump: Option<PathBuf>,
    /// The mongorestore to run; none looks on `PATH`.
    pub mongorestore: Option<PathBuf>,
    /// A program that for so long gives nothing, takes nothing and does not end is ended. A query that finds its first
    /// document only after reading a large collection is silent for as long as that takes.
    pub silence_max: Duration,
    /// How long a program that was asked to end (SIGTERM) may take before it is killed (SIGKILL).
    pub grace: Duration,
    /// One mongorestore is given at most so many bytes, and as many are kept in a private file until it has confirmed them.
    pub part_bytes_max: u64,
}

impl Default for ToolsOptions {
    fn default() -> Self {
        Self {
            mongodump: None,
            mongorestore: None,
            silence_max: Duration::from_secs(600),
            grace: Duration::from_secs(5),
            part_bytes_max: 256 << 20,
        }
    }
}

impl ToolsOptions {
    /// The defaults, with the programs that the environment names.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { mongodump: path(MONGODUMP_VARIABLE), mongorestore: path(MONGORESTORE_VARIABLE), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_programs_and_an_empty_variable_names_none() {
        let options = ToolsOptions::from_variables(|name| {
            Some(if name == MONGODUMP_VARIABLE { "/opt/mongodump".into() } else { OsString::new() })
        });
        assert_eq!((options.mongodump, options.mongorestore), (Some("/opt/mongodump".into()), None));
    }
}
