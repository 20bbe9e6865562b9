//! Folders that nobody else can look into, gone when they are dropped, and gone at the next start where that was cut short.
//!
//! ```text
//! TMPDIR/capstan-mongotools-UID/            of one user, mode 0700
//!   lock                                    held while a process makes its folder or sweeps
//!   4711-x7Kq2a/                            of one process, gone with the last folder in it
//!     lock                                  held as long as the process lives: the kernel lets go of it, whatever ends it
//!     f3Zb81/config.yaml                    of one program
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use capstan_endpoint::{EndpointError, Result};
use tempfile::TempDir;

const LOCK: &str = "lock";
const MAKING: &str = "making a private folder";

/// Holds a program's secrets, and what it has not confirmed yet, for as long as it runs.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    // Goes first: the process's folder is only removed empty-handed.
    folder: TempDir,
    _process: Arc<ProcessFolder>,
}

/// What holds all private folders of this process.
#[derive(Debug)]
struct ProcessFolder {
    folder: TempDir,
    _alive: File,
}

/// This process's folder, while there is one.
static OWN: Mutex<Weak<ProcessFolder>> = Mutex::new(Weak::new());

/// Removes what processes of this user that were killed have left. Those that live are not touched.
///
/// Done besides whenever a first program is started; a worker does it when it starts, so that secrets of the one before do
/// not lie there until then.
pub fn sweep() -> Result<()> {
    let place = place();
    // Nothing to sweep is the usual case, and leaves no trace.
    if !place.exists() {
        return Ok(());
    }
    let swept = Shared::open(&place).and_then(|shared| shared.sweep());
    swept.map_err(|error| EndpointError::from_io(error, "removing what killed workers left", &place))
}

impl PrivateFolder {
    /// A new one, mode 0700, among the temporary files.
    pub fn make() -> Result<Self> {
        let place = place();
        Self::make_in(&place, &OWN).map_err(|error| EndpointError::from_io(error, MAKING, &place))
    }

    fn make_in(place: &Path, own: &Mutex<Weak<ProcessFolder>>) -> io::Result<Self> {
        // A panic cannot have left it half-set.
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let process = match own.upgrade() {
            Some(process) => process,
            None => {
                let shared = Shared::open(place)?;
                shared.sweep()?;
                Arc::new(shared.process_folder()?)
            }
        };
        *own = Arc::downgrade(&process);
        let mode = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("").permissions(mode).tempdir_in(process.folder.path())?;
        Ok(Self { folder, _process: process })
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
        self.folder.path().join(name)
    }
}

/// The folder of this user's processes, locked: nobody else makes or sweeps meanwhile.
struct Shared {
    place: PathBuf,
    _locked: File,
}

impl Shared {
    /// Makes it where it is not there; one that others can write into or look into is refused.
    fn open(place: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(place)?;
        let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
        if !is_ours {
            let why = "expected a folder of this user with mode 0700, found another; remove it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let locked = lock_file(place)?;
        locked.lock()?;
        Ok(Self { place: place.to_owned(), _locked: locked })
    }

    fn process_folder(&self) -> io::Result<ProcessFolder> {
        let (prefix, mode) = (format!("{}-", std::process::id()), Permissions::from_mode(0o700));
        let folder = tempfile::Builder::new().prefix(&prefix).permissions(mode).tempdir_in(&self.place)?;
        let alive = lock_file(folder.path())?;
        alive.lock()?;
        Ok(ProcessFolder { folder, _alive: alive })
    }

    /// A process id may be another's by now, or one of another container; that a lock can be had is proof.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.place)? {
            let folder = entry?.path();
            if folder.is_dir() && lock_file(&folder).is_ok_and(|lock| lock.try_lock().is_ok()) {
                fs::remove_dir_all(&folder)?;
            }
        }
        Ok(())
    }
}

fn lock_file(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(LOCK))
}

fn place() -> PathBuf {
    std::env::temp_dir().join(format!("capstan-mongotools-{}", rustix::process::geteuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_its_owner_looks_into_it_and_it_is_gone_when_dropped() {
        let (temporary, own) = (tempfile::tempdir().unwrap(), Mutex::default());
        let place = temporary.path().join("place");
        let folder = PrivateFolder::make_in(&place, &own).unwrap();
        let file = folder.put("config.yaml", "uri: x").unwrap();
        let above = file.ancestors().skip(1).take(3).map(mode).collect::<Vec<_>>();
        assert_eq!((mode(&file), above), (0o600, vec![0o700; 3]));

        drop(folder);

        assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "the lock alone is left");
    }

    #[test]
    fn what_a_killed_process_left_is_swept_by_the_next_and_what_a_live_one_has_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let place = temporary.path().join("place");
        let (killed, living) = (Mutex::default(), Mutex::default());
        let live = PrivateFolder::make_in(&place, &living).unwrap();
        let secret = live.put("config.yaml", "uri: x").unwrap();
        let PrivateFolder { folder, _process } = PrivateFolder::make_in(&place, &killed).unwrap();
        // As SIGKILL leaves it: nothing is removed, and the kernel lets go of the lock.
        let left = folder.keep();
        fs::write(left.join("config.yaml"), "uri: hunter2").unwrap();
        let ProcessFolder { folder, _alive } = Arc::into_inner(_process).unwrap();
        let left = [left, folder.keep()];
        drop(_alive);
        assert!(left.iter().all(|folder| folder.exists()));

        let next = PrivateFolder::make_in(&place, &Mutex::default()).unwrap();

        assert!(!left.iter().any(|folder| folder.exists()), "{left:?}");
        assert!(secret.exists() && next.path("").exists());
    }

    #[test]
    fn a_place_that_others_can_look_into_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let open = temporary.path().join("open");
        DirBuilder::new().mode(0o755).create(&open).unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(temporary.path(), &link).unwrap();

        for place in [open, link] {
            let error = PrivateFolder::make_in(&place, &Mutex::default()).unwrap_err();
            assert!(error.to_string().contains("mode 0700"), "{error}");
        }
    }
}
