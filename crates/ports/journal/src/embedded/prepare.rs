//! The next segment, filled with zeros before it is needed.
//!
//! Zeros are really written: a flush into blocks that are allocated and written costs no change of the file system's
//! own records, and an append into them cannot run out of room.

use super::files::{File, Files};
use super::segment::{LOG_DIR, PREPARED};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

const FILL_BYTES: usize = 1 << 20;
/// Flushing often keeps each flush short: an append that comes meanwhile waits for one of them at most.
const FILL_FLUSH_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct NextSegment {
    files: Arc<dyn Files>,
    bytes: u64,
    in_background: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    None,
    Running(JoinHandle<io::Result<Arc<dyn File>>>, Arc<AtomicBool>),
    Ready(Arc<dyn File>),
}

impl NextSegment {
    pub fn new(files: Arc<dyn Files>, bytes: u64, in_background: bool) -> Self {
        Self { files, bytes, in_background, state: State::None }
    }

    /// Begins to prepare a segment, where that is done in the background.
    pub fn begin(&mut self) {
        if !self.in_background || !matches!(self.state, State::None) {
            return;
        }
        let (files, bytes, stop) = (Arc::clone(&self.files), self.bytes, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let spawned =
            thread::Builder::new().name("journal-prepare".to_owned()).spawn(move || prepare(&*files, bytes, &stopped));
        match spawned {
            Ok(running) => self.state = State::Running(running, stop),
            Err(error) => tracing::warn!(%error, "no thread to prepare the next segment; it is prepared when needed"),
        }
    }

    /// Sees that a segment of at least `bytes` is ready; waits for it if it is not.
    pub fn ready(&mut self, bytes: u64) -> io::Result<()> {
        let file = match std::mem::replace(&mut self.state, State::None) {
            State::Ready(file) => Some(file),
            // One that failed is tried again below: there may be room by now.
            State::Running(running, _) => running.join().map_err(|_| io::Error::other("preparing panicked"))?.ok(),
            State::None => None,
        };
        let file = match file {
            Some(file) => file,
            None => prepare(&*self.files, self.bytes.max(bytes), &AtomicBool::new(false))?,
        };
        let length = file.length()?;
        self.state = State::Ready(Arc::clone(&file));
        if length < bytes {
            fill(&*self.files, &*file, length, bytes, &AtomicBool::new(false))?;
        }
        Ok(())
    }

    /// The segment that [`NextSegment::ready`] answered for.
    pub fn take(&mut self) -> Option<Arc<dyn File>> {
        match std::mem::replace(&mut self.state, State::None) {
            State::Ready(file) => Some(file),
            other => {
                self.state = other;
                None
            }
        }
    }
}

impl Drop for NextSegment {
    fn drop(&mut self) {
        // The directory may have another owner in a moment: nothing of ours may write there then.
        if let State::Running(running, stop) = std::mem::replace(&mut self.state, State::None) {
            stop.store(true, Ordering::Relaxed);
            let _ = running.join();
        }
    }
}

fn prepare(files: &dyn Files, bytes: u64, stop: &AtomicBool) -> io::Result<Arc<dyn File>> {
    let file = files.create(PREPARED)?;
    let made = fill(files, &*file, 0, bytes, stop);
    if let Err(error) = made {
        // A half-made file must not take the last room of a full disk.
        let _ = files.remove(PREPARED);
        return Err(error);
    }
    files.sync_dir(LOG_DIR)?;
    Ok(file)
}

fn fill(files: &dyn Files, file: &dyn File, from: u64, to: u64, stop: &AtomicBool) -> io::Result<()> {
    if files.free_bytes()? < to - from {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let zeros = vec![0; FILL_BYTES.min((to - from) as usize)];
    let (mut at, mut flushed) = (from, from);
    while at < to {
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = (to - at).min(zeros.len() as u64);
        file.write_at(at, &zeros[..length as usize])?;
        at += length;
        if at - flushed >= FILL_FLUSH_BYTES || at == to {
            file.sync_data()?;
            flushed = at;
        }
    }
    Ok(())
}
