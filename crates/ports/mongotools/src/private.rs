//! A folder that nobody else can look into, gone when it is dropped.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use capstan_endpoint::{EndpointError, Result};

/// Holds a program's secrets, and what it has not confirmed yet, for as long as it runs.
#[derive(Debug)]
pub(crate) struct PrivateFolder(tempfile::TempDir);

impl PrivateFolder {
    /// A new one, mode 0700, among the temporary files.
    pub fn make() -> Result<Self> {
        let mode = std::fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("capstan-mongotools-").permissions(mode).tempdir();
        made.map(Self).map_err(|error| EndpointError::from_io(error, "making a private folder", &std::env::temp_dir()))
    }

    /// Puts a file of mode 0600 into it.
    pub fn put(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|error| EndpointError::from_io(error, "writing a private file", &path))?;
        Ok(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_looks_into_it_and_it_is_gone_when_dropped() {
        let folder = PrivateFolder::make().unwrap();
        let file = folder.put("config.yaml", "uri: x").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

        drop(folder);

        assert!(!file.exists() && !file.parent().unwrap().exists());
    }
}
