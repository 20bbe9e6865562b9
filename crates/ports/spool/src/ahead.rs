//! Reading a part: a thread of the part's own reads and unpacks ahead of who writes the documents elsewhere.

use crate::blocking::stopped;
use crate::decode::Decoder;
use crate::error::SpoolError;
use crate::port::{Block, PartReader};
use async_trait::async_trait;
use std::io::{self, Read};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Blocks that wait for the caller; with the one being unpacked and the one the caller has that makes three.
const BLOCKS_WAITING: usize = 1;

fn run(mut part: Decoder<impl Read>, blocks: &mpsc::Sender<Block>) -> Result<(), SpoolError> {
    while let Some(block) = part.next()? {
        if blocks.blocking_send(block).is_err() {
            // The reader was dropped; nobody will ask how it ended.
            return Ok(());
        }
    }
    Ok(())
}

/// The async end of a part being read.
pub(crate) struct ReadingAhead {
    blocks: mpsc::Receiver<Block>,
    state: State,
}

enum State {
    Reading(JoinHandle<Result<(), SpoolError>>),
    Proved,
    Failed,
}

impl ReadingAhead {
    pub fn start(part: Decoder<impl Read + Send + 'static>) -> Self {
        let (sender, blocks) = mpsc::channel(BLOCKS_WAITING);
        Self { blocks, state: State::Reading(tokio::task::spawn_blocking(move || run(part, &sender))) }
    }
}

#[async_trait]
impl PartReader for ReadingAhead {
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
