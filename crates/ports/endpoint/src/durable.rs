//! Files that are there whole or not at all, and stay there through a power cut.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::{EndpointError, Result};

/// Writes a file beside its place, makes it durable and moves it there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Shortened, because the name itself may already be as long as a name can be.
    name = format!(".new-{:016x}", xxhash_rust::xxh3::xxh3_64(name.as_encoded_bytes())).into();
    let beside = path.with_file_name(name);
    let failed = |e| EndpointError::from_io(e, "writing", path);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    move_into(&beside, path)
}

/// Moves a durable file to its place, over what is there, and makes the move durable.
pub(crate) fn move_into(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| EndpointError::from_io(e, "moving into place", to))?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = |e| EndpointError::from_io(e, "flushing the folder", folder);
    File::open(folder).and_then(|open| open.sync_all()).map_err(failed)
}

/// Makes a folder and those above it, durably.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(e) => return Err(EndpointError::from_io(e, "making the folder", folder)),
        Ok(()) => {}
    }
    sync_folder(folder.parent().unwrap_or(Path::new(".")))
}

/// Removes a file or a folder with all in it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(EndpointError::from_io(e, "removing", path)),
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("/"))),
    }
}
