//! The file layer: all that the embedded journal asks of a disk, so that tests can make it fail.

use crate::JournalError;
use std::fmt::Debug;
use std::fs::{self, File as StdFile, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of the journal. Names are relative to it and use `/`.
pub trait Files: Send + Sync + Debug {
    /// How an error names this file.
    fn place(&self, name: &str) -> String;
    /// Takes the directory for this process until what is returned is dropped.
    fn lock(&self) -> Result<Box<dyn Send + Sync>, JournalError>;
    /// Makes a directory, if there is none, and makes that durable.
    fn make_dir(&self, name: &str) -> io::Result<()>;
    /// Makes an empty file in place of any that has the name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Renames within one directory, in place of any file that has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Makes what was created, renamed and deleted in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// How many bytes can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file; all access is positional.
pub trait File: Send + Sync + Debug {
    /// Writes all of `bytes`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads until `into` is full or the file ends; answers how much was read.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Makes the contents, and the length, durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Its length.
    fn length(&self) -> io::Result<u64>;
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct OsFiles {
    root: PathBuf,
}

const LOCK: &str = "LOCK";

impl OsFiles {
    /// The directory `root`, made if there is none.
    pub fn new(root: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(root).map_err(|source| JournalError::Store {
            operation: "create the journal's directory",
            place: root.display().to_string(),
            source,
        })?;
        Ok(Self { root: root.to_owned() })
    }
}

impl Files for OsFiles {
    fn place(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    fn lock(&self) -> Result<Box<dyn Send + Sync>, JournalError> {
        let path = self.root.join(LOCK);
        let failed = |operation| {
            let place = path.display().to_string();
            move |source| JournalError::Store { operation, place, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {
                // Only for the message that another process gets; the lock itself is the kernel's.
                let holder = format!("process {}", std::process::id());
                file.set_len(0)
                    .and_then(|()| file.write_all(holder.as_bytes()))
                    .map_err(failed("write the lock file"))?;
                Ok(Box::new(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                let holder = if known { holder } else { "which has not said its number".to_owned() };
                Err(JournalError::Locked { place: self.root.clone(), holder })
            }
            Err(TryLockError::Error(source)) => Err(failed("lock the directory")(source)),
        }
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir(&path)?;
        StdFile::open(path.parent().unwrap_or(&self.root))?.sync_all()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.root.join(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OsFile(OpenOptions::new().read(true).write(true).open(self.root.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(name))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(dir))? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        StdFile::open(self.root.join(dir))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let facts = rustix::fs::statvfs(&self.root)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

#[derive(Debug)]
struct OsFile(StdFile);

impl File for OsFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.0.read_at(&mut into[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
