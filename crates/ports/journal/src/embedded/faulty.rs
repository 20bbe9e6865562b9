//! A disk in memory that fails as disks do: for tests and simulations.
//!
//! What was written is seen at once, and survives a power cut only if it was flushed, or by luck, byte by byte. Names
//! survive once their directory was flushed, or by luck in the order they were given. A flush that fails loses what it
//! should have written, although it can still be read: that is what Linux does.

use super::files::{File, Files};
use crate::JournalError;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    /// How often the power went; handles from before it are dead.
    power_cuts: u64,
    contents: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    renames: Vec<NameChange>,
    dirs: Vec<String>,
    locked: bool,
    capacity: Option<u64>,
    flushes: u64,
    failing_flush: Option<u64>,
    last_flush: Option<u64>,
    /// How much the next write writes before it finds no room.
    half_write: Option<usize>,
}

#[derive(Debug, Default, Clone)]
struct Contents {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unflushed: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone)]
struct NameChange {
    dir: String,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Named(String, usize),
    Renamed(String, String),
    Removed(String),
}

/// Sectors are written or not, one by one; a torn one at any byte.
const SECTOR: u64 = 512;

impl FaultyDisk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a file layer.
    pub fn files(&self) -> Arc<dyn Files> {
        Arc::new(Mounted { disk: self.clone(), power_cuts: self.disk().power_cuts })
    }

    /// Cuts the power. `surviving` is asked for each piece of what was not flushed, of at most a sector, how many of
    /// its bytes are on the disk; and for how many of the changes of names are.
    pub fn cut_power(&self, mut surviving: impl FnMut(usize) -> usize) {
        let mut disk = self.disk();
        disk.power_cuts += 1;
        disk.locked = false;
        disk.last_flush = None;
        let kept = surviving(disk.renames.len());
        for change in std::mem::take(&mut disk.renames).into_iter().take(kept) {
            change.apply_to(&mut disk.durable_names);
        }
        disk.names = disk.durable_names.clone();
        for contents in &mut disk.contents {
            for (offset, bytes) in std::mem::take(&mut contents.unflushed) {
                for (at, piece) in sectors(offset, &bytes) {
                    let kept = surviving(piece.len()).min(piece.len());
                    if kept > 0 {
                        write(&mut contents.durable, at, &piece[..kept]);
                    }
                }
            }
            contents.seen = contents.durable.clone();
        }
    }

    /// Ends every handle as a process that is killed does: everything written is still seen.
    pub fn kill(&self) {
        let mut disk = self.disk();
        disk.power_cuts += 1;
        disk.locked = false;
    }

    /// Makes the flush after the next `later` ones fail.
    pub fn fail_flush(&self, later: u64) {
        let mut disk = self.disk();
        disk.failing_flush = Some(disk.flushes + later);
    }

    /// Makes the power go in the middle of the flush after the next `later` ones; [`FaultyDisk::cut_power`] then says
    /// what survived.
    pub fn lose_power_at_flush(&self, later: u64) {
        let mut disk = self.disk();
        disk.last_flush = Some(disk.flushes + later);
    }

    /// Limits the disk to what is on it and `free` bytes more, or takes the limit away.
    pub fn limit(&self, free: Option<u64>) {
        let mut disk = self.disk();
        disk.capacity = free.map(|free| disk.used() + free);
    }

    /// Makes the next write find no room after `written` bytes, wherever it goes: so it is where a file system copies
    /// on write.
    pub fn refuse_next_write_after(&self, written: usize) {
        self.disk().half_write = Some(written);
    }

    /// How many flushes there were, of files and directories.
    pub fn flushes(&self) -> u64 {
        self.disk().flushes
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// What a file holds.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(name).map(|&id| disk.contents[id].seen.clone())
    }

    /// Puts a durable file in place.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let id = disk.contents.len();
        disk.contents.push(Contents { seen: bytes.clone(), durable: bytes, unflushed: Vec::new() });
        disk.names.insert(name.to_owned(), id);
        disk.durable_names.insert(name.to_owned(), id);
        let dir = parent(name);
        if !disk.dirs.contains(&dir) {
            disk.dirs.push(dir);
        }
    }

    /// Takes a file away.
    pub fn take(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.durable_names.remove(name);
    }

    /// Flips one bit.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        let mut disk = self.disk();
        let id = disk.names[name];
        disk.contents[id].seen[byte] ^= 1 << bit;
        disk.contents[id].durable = disk.contents[id].seen.clone();
    }

    /// A disk with the same files and nothing else in common.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        for name in self.names() {
            copy.put(&name, self.contents(&name).expect("it was just listed"));
        }
        copy
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Disk {
    fn used(&self) -> u64 {
        self.names.values().map(|&id| self.contents[id].seen.len() as u64).sum()
    }

    /// Before a flush has done anything: whether the power goes now.
    fn power(&mut self) -> io::Result<()> {
        if self.last_flush.is_some_and(|last| self.flushes >= last) {
            self.last_flush = None;
            self.power_cuts += 1;
            return Err(io::Error::other("injected: the power went"));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        if self.failing_flush.is_some_and(|n| self.flushes > n) {
            self.failing_flush = None;
            return Err(io::Error::other("injected: the flush failed"));
        }
        Ok(())
    }

    fn change(&mut self, name: &str, change: Change) {
        let change = NameChange { dir: parent(name), change };
        change.apply_to(&mut self.names);
        self.renames.push(change);
    }
}

impl NameChange {
    fn apply_to(&self, names: &mut BTreeMap<String, usize>) {
        match &self.change {
            Change::Named(name, id) => {
                names.insert(name.clone(), *id);
            }
            Change::Renamed(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
            Change::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

fn parent(name: &str) -> String {
    name.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned())
}

fn write(into: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset as usize..end].copy_from_slice(bytes);
}

fn sectors(offset: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let length = ((SECTOR - at % SECTOR) as usize).min(rest.len());
        pieces.push((at, &rest[..length]));
        at += length as u64;
        rest = &rest[length..];
    }
    pieces
}

#[derive(Debug, Clone)]
struct Mounted {
    disk: FaultyDisk,
    power_cuts: u64,
}

impl Mounted {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.disk();
        if disk.power_cuts == self.power_cuts { Ok(disk) } else { Err(io::Error::other("injected: the power is off")) }
    }
}

struct Lock(Mounted);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.0.disk() {
            disk.locked = false;
        }
    }
}

impl Files for Mounted {
    fn place(&self, name: &str) -> String {
        name.to_owned()
    }

    fn lock(&self) -> Result<Box<dyn Send + Sync>, JournalError> {
        let mut disk = self.disk.disk();
        if std::mem::replace(&mut disk.locked, true) {
            return Err(JournalError::Locked { place: PathBuf::from("memory"), holder: "another handle".to_owned() });
        }
        Ok(Box::new(Lock(self.clone())))
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        if !disk.dirs.iter().any(|d| d == name) {
            disk.dirs.push(name.to_owned());
        }
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk()?;
        let id = disk.contents.len();
        disk.contents.push(Contents::default());
        disk.change(name, Change::Named(name.to_owned(), id));
        Ok(Arc::new(Handle { mounted: self.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let id = *self.disk()?.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { mounted: self.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change(from, Change::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change(name, Change::Removed(name.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let disk = self.disk()?;
        if !disk.dirs.iter().any(|d| d == dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = format!("{dir}/");
        let under = disk.names.keys().chain(&disk.dirs).filter_map(|name| name.strip_prefix(&within));
        let mut names: Vec<_> = under.filter(|name| !name.contains('/')).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.power()?;
        disk.flush()?;
        let changes = std::mem::take(&mut disk.renames);
        let (flushed, waiting) = changes.into_iter().partition(|c| c.dir == dir);
        disk.renames = waiting;
        let flushed: Vec<NameChange> = flushed;
        for change in flushed {
            change.apply_to(&mut disk.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = self.disk()?;
        Ok(disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(disk.used())))
    }
}

#[derive(Debug)]
struct Handle {
    mounted: Mounted,
    id: usize,
}

impl File for Handle {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.mounted.disk()?;
        let grown = (offset + bytes.len() as u64).saturating_sub(disk.contents[self.id].seen.len() as u64);
        if disk.capacity.is_some_and(|capacity| disk.used() + grown > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let half = disk.half_write.take();
        let bytes = &bytes[..half.unwrap_or(bytes.len()).min(bytes.len())];
        let contents = &mut disk.contents[self.id];
        write(&mut contents.seen, offset, bytes);
        contents.unflushed.push((offset, bytes.to_vec()));
        if half.is_some() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let disk = self.mounted.disk()?;
        let seen = disk.contents[self.id].seen.get(offset as usize..).unwrap_or_default();
        let length = seen.len().min(into.len());
        into[..length].copy_from_slice(&seen[..length]);
        Ok(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.mounted.disk()?;
        disk.power()?;
        let flushed = disk.flush();
        let contents = &mut disk.contents[self.id];
        let unflushed = std::mem::take(&mut contents.unflushed);
        flushed?;
        for (offset, bytes) in unflushed {
            write(&mut contents.durable, offset, &bytes);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.mounted.disk()?.contents[self.id].seen.len() as u64)
    }
}
