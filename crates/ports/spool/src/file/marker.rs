//! Who a folder is: a random number in a file, so that a spool on another machine is not taken for this one.

use super::{Folder, flush_folder};
use crate::error::SpoolError;
use crate::port::Marker;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

const MARKER: &str = "capstan-spool.marker";
/// 32 digits and a newline. What is shorter was never flushed, so nobody was told of it.
const MARKER_BYTES: usize = 33;

impl Folder {
    /// Makes the folder if need be and finds out who it is.
    pub fn open(root: PathBuf, fresh: Marker) -> Result<Self, SpoolError> {
        let place = root.display().to_string();
        let failed = |operation, e| SpoolError::io(operation, place.clone(), e);
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(|e| failed("make a folder", e))?;
        // Made durable with whatever of it is below an existing folder; one level is all an operator's path lacks mostly.
        let text = settle(&root.join(MARKER), fresh).map_err(|e| failed("read or write the marker", e))?;
        flush_folder(&root).map_err(|e| failed("flush the folder", e))?;
        let marker = text.trim_end().parse()?;
        Ok(Self { root, place, marker })
    }

    /// Makes sure that the folder is still the one that was opened.
    pub fn check_marker(&self) -> Result<(), SpoolError> {
        let path = self.root.join(MARKER);
        let expected = self.marker.to_string();
        let found = match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().chars().take(64).collect(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                String::from("none")
            }
            Err(error) => return Err(self.failed("read the marker", &path, error)),
        };
        if found == expected {
            return Ok(());
        }
        Err(SpoolError::Away { place: self.place.clone(), expected, found })
    }
}

/// The marker's text; `fresh` becomes it where there is none. Of workers that open a new spool at once, one decides.
fn settle(path: &std::path::Path, fresh: Marker) -> io::Result<String> {
    let mut file: File =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.lock()?;
    let mut text = String::new();
    (&mut file).take(4096).read_to_string(&mut text)?;
    if text.len() < MARKER_BYTES {
        text = format!("{fresh}\n");
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(text)
}
