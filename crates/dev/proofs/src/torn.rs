//! What a power cut may leave: a flush that was under way, torn, behind the last whole frame of the log.
//!
//! A killed process leaves its files as they were written. A power cut may leave any part of a write that no flush has
//! confirmed. This writes such parts behind the last frame; nothing that was confirmed is touched, so every
//! acknowledged answer must still be there.

use crate::dice::Dice;
use anyhow::{Context, Result, ensure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SEGMENT_HEAD: u64 = 64;
const FRAME_HEAD: usize = 56;
const FRAME_MAGIC: &[u8] = b"CapF";

/// Tears the log under `dir`; answers what was done.
pub fn tear(dir: &Path, dice: &mut Dice) -> Result<&'static str> {
    let path = last_segment(dir)?.with_context(|| format!("there is no segment under {}", dir.display()))?;
    let file =
        OpenOptions::new().read(true).write(true).open(&path).with_context(|| format!("open {}", path.display()))?;
    let length = file.metadata()?.len();
    let (last, end) = last_frame(&file, length)?;
    let room = usize::try_from(length - end)?;
    ensure!(length >= end, "the last frame ends behind the file");
    let noise = |dice: &mut Dice, bytes: usize| -> Vec<u8> { (0..bytes).map(|_| dice.roll() as u8).collect() };
    let sectors = 512 * dice.between(1, 6) as usize;
    Ok(match (dice.between(0, 3), last) {
        // A head was written and its body was not.
        (0, Some(frame)) if room > FRAME_HEAD => {
            let mut head = frame;
            let events = u64::from(u32::from_le_bytes(head[52..56].try_into()?));
            let position = u64::from_le_bytes(head[16..24].try_into()?) + events;
            let previous: [u8; 4] = head[..4].try_into()?;
            head[12..16].copy_from_slice(&previous);
            head[16..24].copy_from_slice(&position.to_le_bytes());
            file.write_all_at(&head, end)?;
            "a frame's head without its body"
        }
        // Blocks hold what they held before: a whole frame of long ago.
        (1, Some(frame)) if room > FRAME_HEAD => {
            let length = u32::from_le_bytes(frame[8..12].try_into()?) as usize;
            let mut old = vec![0; length.min(room)];
            file.read_exact_at(&mut old, end - length as u64)?;
            file.write_all_at(&old, end)?;
            "an old frame again"
        }
        // The file system had not made the file longer yet.
        (2, _) => {
            let kept = (dice.roll() as usize % sectors).min(room);
            let garbage = noise(dice, kept);
            file.write_all_at(&garbage, end)?;
            file.set_len(end + kept as u64)?;
            "garbage, and the file cut behind it"
        }
        _ => {
            let garbage = noise(dice, sectors.min(room));
            file.write_all_at(&garbage, end)?;
            "garbage"
        }
    })
}

/// The head of the last frame, and where it ends.
fn last_frame(file: &File, length: u64) -> Result<(Option<[u8; FRAME_HEAD]>, u64)> {
    let (mut last, mut end) = (None, SEGMENT_HEAD);
    let mut head = [0; FRAME_HEAD];
    while end + FRAME_HEAD as u64 <= length {
        file.read_exact_at(&mut head, end)?;
        let frame = u64::from(u32::from_le_bytes(head[8..12].try_into()?));
        if head[4..8] != *FRAME_MAGIC || frame < FRAME_HEAD as u64 || end + frame > length {
            break;
        }
        last = Some(head);
        end += frame;
    }
    Ok((last, end))
}

/// The newest segment of the log under a directory.
fn last_segment(dir: &Path) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        let found = if path.is_dir() { last_segment(&path)? } else { Some(path) };
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "segment");
        newest = newest.max(found.filter(is_segment));
    }
    Ok(newest)
}
