//! Reading a part: a thread of the part's own reads and unpacks ahead of who writes the documents elsewhere.

use super::{Folder, SEALED, stopped};
use crate::decode::Decoder;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::port::{Block, PartReader};
use async_trait::async_trait;
use std::fs::File;
use std::io::{self, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Blocks that wait for the caller; with the one being unpacked and the one the caller has that makes three.
const BLOCKS_WAITING: usize = 1;
const READ_BYTES: usize = 256 << 10;

pub(super) type Opened = Decoder<BufReader<File>>;

/// Opens a part whose size is right and whose header is proved.
pub(super) fn open(folder: &Folder, facts: PartFacts) -> Result<Opened, SpoolError> {
    let path = folder.path(&facts.name, SEALED);
    let place = folder.place.clone();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SpoolError::Missing { part: facts.name, place });
        }
        file => file.map_err(|e| folder.failed("open a part", &path, e))?,
    };
    let found = file.metadata().map_err(|e| folder.failed("open a part", &path, e))?.len();
    if found != facts.stored_bytes {
        let what = format!("{} stored bytes expected, {found} found", facts.stored_bytes);
        return Err(SpoolError::Damaged { offset: found.min(facts.stored_bytes), part: facts.name, place, what });
    }
    Decoder::begin(BufReader::with_capacity(READ_BYTES, file), place, facts)
}

fn run(mut part: Opened, blocks: &mpsc::Sender<Block>) -> Result<(), SpoolError> {
    while let Some(block) = part.next()? {
        if blocks.blocking_send(block).is_err() {
            // The reader was dropped; nobody will ask how it ended.
            return Ok(());
        }
    }
    Ok(())
}

/// The async end of a part being read.
pub(super) struct FilePartReader {
    blocks: mpsc::Receiver<Block>,
    state: State,
}

enum State {
    Reading(JoinHandle<Result<(), SpoolError>>),
    Proved,
    Failed,
}

impl FilePartReader {
    pub fn start(part: Opened) -> Self {
        let (sender, blocks) = mpsc::channel(BLOCKS_WAITING);
        Self { blocks, state: State::Reading(tokio::task::spawn_blocking(move || run(part, &sender))) }
    }
}

#[async_trait]
impl PartReader for FilePartReader {
    async fn next(&mut self) -> Result<Option<Block>, SpoolError> {
        if let Some(block) = self.blocks.recv().await {
            return Ok(Some(block));
        }
        match &mut self.state {
            State::Reading(thread) => {
                let ended = thread.await.unwrap_or_else(|error| Err(stopped("read a part", error)));
                self.state = if ended.is_ok() { State::Proved } else { State::Failed };
                ended.map(|()| None)
            }
            State::Proved => Ok(None),
            State::Failed => Err(SpoolError::Store {
                operation: "read a part",
                place: String::from("after an error"),
                source: io::Error::other("an earlier read of this part failed"),
            }),
        }
    }
}
