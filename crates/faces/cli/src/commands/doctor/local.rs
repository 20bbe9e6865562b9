//! This machine, and a data directory on it.

use super::finding::Finding;
use crate::home::dead_letters;
use crate::secrets;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Less room than this is wrong: the journal takes segments of 64 MiB, and dumping stops below 256 MiB.
const ROOM_MIN: u64 = 512 << 20;
/// Each connection is an open file, and a server holds up to 16,384.
const FILES_MIN: u64 = 4_096;
/// How far the wall clock may be from what its stepping says; it is only shown, and decides not-before times.
const STEP_MAX: Duration = Duration::from_secs(1);

/// Everything that needs no server.
pub async fn look(data_dir: &Path) -> Vec<Finding> {
    let mut findings = vec![Finding::good("version", env!("CARGO_PKG_VERSION"))];
    findings.extend([
        writable(data_dir),
        room(data_dir),
        journal(&data_dir.join("journal")),
        spool(&data_dir.join("spool")),
        refused(&dead_letters(data_dir)),
        kept_secrets(&secrets::folder(data_dir)),
        clock().await,
        open_files(),
    ]);
    findings.extend(tools().await);
    findings
}

fn writable(data_dir: &Path) -> Finding {
    let check = "data directory";
    let shown = data_dir.display();
    let there = data_dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let probe = there.join(format!(".capstan-doctor-{}", std::process::id()));
    let tried = File::create_new(&probe).and_then(|file| file.sync_all());
    // What was not made needs no removal.
    let _ = fs::remove_file(&probe);
    match tried {
        Ok(()) if data_dir.is_dir() => Finding::good(check, format!("{shown} can be written to")),
        Ok(()) => Finding::good(check, format!("{shown} is not there yet, and can be made")),
        Err(error) => Finding::wrong(
            check,
            format!("{} cannot be written to: {error}", there.display()),
            "give it to the user that runs capstan, or choose another with --data-dir",
        ),
    }
}

fn room(data_dir: &Path) -> Finding {
    let check = "free space";
    let there = data_dir.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let told = format!("{} MiB free at {}", free >> 20, there.display());
            if free >= ROOM_MIN {
                Finding::good(check, told)
            } else {
                Finding::wrong(check, told, format!("make room: {} MiB are the least", ROOM_MIN >> 20))
            }
        }
        Err(error) => {
            Finding::wrong(check, format!("{} cannot be asked: {error}", there.display()), "look at the file system")
        }
    }
}

/// Readable, and who has it. Whether it is whole is proved by whoever opens it, for it may be cut then.
fn journal(folder: &Path) -> Finding {
    let check = "journal";
    if !folder.exists() {
        return Finding::good(check, "none yet");
    }
    match held_by(&folder.join("LOCK")) {
        Ok(Some(holder)) => return Finding::good(check, format!("in use by {holder}")),
        Ok(None) => {}
        Err(error) => return unreadable(check, &folder.join("LOCK"), &error),
    }
    match sum(folder) {
        Ok((files, bytes)) => {
            Finding::good(check, format!("nobody has it; {files} files of {} MiB can be read", bytes >> 20))
        }
        Err(error) => unreadable(check, folder, &error),
    }
}

fn unreadable(check: &'static str, path: &Path, error: &io::Error) -> Finding {
    Finding::wrong(
        check,
        format!("{} cannot be read: {error}", path.display()),
        "give it to the user that runs capstan; where the disk says so, restore the data directory from a backup",
    )
}

/// Who holds a lock file, if anybody does.
fn held_by(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            Ok(Some(if holder.is_empty() { "another process".to_owned() } else { holder }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Files and bytes below a folder, each opened for reading.
fn sum(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = sum(&entry.path())?;
            (files, bytes) = (files + below.0, bytes + below.1);
        } else {
            File::open(entry.path())?;
            (files, bytes) = (files + 1, bytes + entry.metadata()?.len());
        }
    }
    Ok((files, bytes))
}

fn spool(folder: &Path) -> Finding {
    let check = "spool";
    if !folder.exists() {
        return Finding::good(check, "none yet");
    }
    let marker = folder.join("capstan-spool.marker");
    match fs::read_to_string(&marker) {
        Ok(text) if text.trim_end().len() == 32 && text.trim_end().bytes().all(|b| b.is_ascii_hexdigit()) => {
            match sum(folder) {
                Ok((files, bytes)) => {
                    Finding::good(check, format!("marked {}; {files} files of {} MiB", text.trim_end(), bytes >> 20))
                }
                Err(error) => unreadable(check, folder, &error),
            }
        }
        Ok(_) => Finding::wrong(
            check,
            format!("{} is no marker", marker.display()),
            "put back the file that was there: without it nobody takes the restores of this spool",
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::wrong(
            check,
            format!("{} has no marker", folder.display()),
            "put back capstan-spool.marker, or mount what should be here",
        ),
        Err(error) => unreadable(check, &marker, &error),
    }
}

fn refused(folder: &Path) -> Finding {
    let check = "dead letters";
    match fs::read_dir(folder) {
        Ok(jobs) => Finding::noted(check, format!("of {} jobs in {}", jobs.count(), folder.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::good(check, "none"),
        Err(error) => unreadable(check, folder, &error),
    }
}

fn kept_secrets(folder: &Path) -> Finding {
    let check = "secrets";
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    let exposed = |path: &Path, mode: u32, right: &str| {
        Finding::wrong(
            check,
            format!("{} has mode {mode:03o}: others may read it", path.display()),
            format!("chmod {right} it, and change the password it holds"),
        )
    };
    match mode(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Finding::good(check, "none"),
        Err(error) => return unreadable(check, folder, &error),
        Ok(mode) if mode & 0o077 != 0 => return exposed(folder, mode, "700"),
        Ok(_) => {}
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return unreadable(check, folder, &error),
    };
    let mut count = 0;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        match mode(&path) {
            Ok(mode) if mode & 0o077 != 0 => return exposed(&path, mode, "600"),
            Ok(_) => count += 1,
            Err(error) => return unreadable(check, &path, &error),
        }
    }
    Finding::good(check, format!("{count}, for this user alone"))
}

/// Leases are counted by a clock that counts sleep and never goes back; the wall clock is only shown.
async fn clock() -> Finding {
    use rustix::time::{ClockId, clock_gettime};
    let check = "clock";
    let now = || {
        let (boot, real) = (clock_gettime(ClockId::Boottime), clock_gettime(ClockId::Realtime));
        let nanos = |time: rustix::time::Timespec| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        (nanos(boot), nanos(real))
    };
    let before = now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = now();
    let (boot, real) = (after.0 - before.0, after.1 - before.1);
    if boot < 50_000_000 {
        return Finding::wrong(
            check,
            "CLOCK_BOOTTIME does not move on",
            "leases cannot be counted here; use another machine",
        );
    }
    if (real - boot).unsigned_abs() > STEP_MAX.as_nanos() {
        return Finding::noted(check, "the wall clock was just set; times that are shown jump, leases do not");
    }
    let sleep = (i128::from(clock_gettime(ClockId::Boottime).tv_sec)
        - i128::from(clock_gettime(ClockId::Monotonic).tv_sec))
    .max(0);
    Finding::good(check, format!("CLOCK_BOOTTIME moves on; {sleep} s asleep since the start"))
}

fn open_files() -> Finding {
    let check = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(most) if most < FILES_MIN => Finding::wrong(
            check,
            format!("at most {most}"),
            format!("raise the limit to {FILES_MIN} or more (ulimit -n): each connection is an open file"),
        ),
        Some(most) => Finding::good(check, format!("at most {most}")),
        None => Finding::good(check, "not limited"),
    }
}

#[cfg(feature = "mongodb")]
async fn tools() -> Vec<Finding> {
    let found = capstan_mongotools::check(&capstan_mongotools::ToolsOptions::from_environment()).await;
    let finding = |(tool, found): (
        capstan_mongotools::Tool,
        Result<capstan_mongotools::Program, capstan_mongotools::Unusable>,
    )| {
        let check = match tool {
            capstan_mongotools::Tool::Mongodump => "mongodump",
            capstan_mongotools::Tool::Mongorestore => "mongorestore",
        };
        match found {
            Ok(program) => Finding::good(check, format!("{} {}", program.path.display(), program.version)),
            // Only jobs that ask for them need them.
            Err(unusable) => Finding::noted(check, unusable.to_string()),
        }
    };
    found.into_iter().map(finding).collect()
}

#[cfg(not(feature = "mongodb"))]
async fn tools() -> Vec<Finding> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Standing;
    use super::*;

    #[test]
    fn secrets_that_others_may_read_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        fs::write(&file, "hunter2").unwrap();
        let with = |folder_mode, file_mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(folder_mode)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(file_mode)).unwrap();
            let found = kept_secrets(folder.path());
            assert!(!found.told().contains("hunter2"));
            found.standing
        };
        assert_eq!(with(0o700, 0o600), Standing::Good);
        assert_eq!(with(0o755, 0o600), Standing::Wrong);
        assert_eq!(with(0o700, 0o644), Standing::Wrong);
    }

    #[test]
    fn a_spool_without_its_marker_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("spool");
        assert_eq!(spool(&there).standing, Standing::Good);
        fs::create_dir(&there).unwrap();
        assert_eq!(spool(&there).standing, Standing::Wrong);
        fs::write(there.join("capstan-spool.marker"), "0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(spool(&there).standing, Standing::Good);
    }

    #[test]
    fn who_has_the_journal_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(journal(&folder.path().join("none")).found, "none yet");
        let path = folder.path().join("LOCK");
        fs::write(&path, "process 42").unwrap();
        assert!(journal(folder.path()).found.starts_with("nobody has it"));
        let held = File::open(&path).unwrap();
        held.try_lock().unwrap();
        assert_eq!(journal(folder.path()).found, "in use by process 42");
    }
}
