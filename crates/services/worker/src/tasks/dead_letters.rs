//! Documents that a target refuses for good: put aside in a file, with the reason.

use super::Task;
use crate::halt::{Halt, told};
use bson::RawDocument;
use capstan_endpoint::{RefusedDocument, extjson};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the dead letters of one chunk go: `FOLDER/JOB/UNIT_CHUNK.gN.tTOKEN.jsonl`, one document a line.
///
/// The name carries the token of the lease, so the file of a worker that lost its lease is told from its successor's.
pub(super) struct DeadLetters {
    path: Option<Arc<PathBuf>>,
    source: String,
    written: bool,
}

impl DeadLetters {
    pub fn new(task: &Task<'_>, chunk: u32, generation: u32) -> Self {
        let holding = &task.desk.leased.holding;
        let unit = task.brief.unit.as_ref();
        let id = unit.map(|unit| unit.id.to_string()).unwrap_or_default();
        let leaf = format!("{id}_{chunk}.g{generation}.t{}.jsonl", holding.token);
        let folder = task.places.options().dead_letters.as_ref();
        let path = folder.map(|folder| Arc::new(folder.join(task.brief.job.as_str()).join(leaf)));
        Self { path, source: unit.map(|unit| unit.source.to_string()).unwrap_or_default(), written: false }
    }

    pub async fn add(&mut self, refused: Vec<RefusedDocument>) -> Result<(), Halt> {
        let Some(path) = self.path.clone() else {
            let reason = refused.into_iter().next().map(|refused| refused.reason).unwrap_or_default();
            return Err(Halt::permanent(format!(
                "the target refuses a document of {}: {reason}; start the worker with a folder for dead letters to go on without such",
                self.source
            )));
        };
        let mut lines = Vec::new();
        for refused in &refused {
            line(&mut lines, &self.source, refused);
        }
        self.written = true;
        on_file(path, move |path| append(path, &lines)).await
    }

    /// Makes what was added durable.
    pub async fn flush(&mut self) -> Result<(), Halt> {
        let Some(path) = self.path.clone().filter(|_| std::mem::take(&mut self.written)) else { return Ok(()) };
        on_file(path, |path| {
            OpenOptions::new().append(true).open(path)?.sync_all()?;
            fs::File::open(path.parent().expect("it was joined to its folder"))?.sync_all()
        })
        .await
    }
}

/// `{"collection":…,"reason":…,"document":{…}}`; a document that is no document is given as its bytes in hexadecimal.
fn line(lines: &mut Vec<u8>, source: &str, refused: &RefusedDocument) {
    let mut text = String::from("{\"collection\":");
    extjson::write_string(&mut text, source);
    text.push_str(",\"reason\":");
    extjson::write_string(&mut text, &refused.reason);
    let mut document = String::new();
    let read = RawDocument::from_bytes(&refused.document).and_then(|raw| extjson::write_document(&mut document, raw));
    match read {
        Ok(()) => {
            text.push_str(",\"document\":");
            text.push_str(&document);
        }
        Err(_) => {
            text.push_str(",\"bytes\":\"");
            text.extend(refused.document.iter().map(|byte| format!("{byte:02x}")));
            text.push('"');
        }
    }
    text.push_str("}\n");
    lines.extend_from_slice(text.as_bytes());
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("it was joined to its folder"))?;
    OpenOptions::new().create(true).append(true).open(path)?.write_all(lines)
}

async fn on_file(path: Arc<PathBuf>, act: impl FnOnce(&Path) -> io::Result<()> + Send + 'static) -> Result<(), Halt> {
    let done = tokio::task::spawn_blocking({
        let path = Arc::clone(&path);
        move || act(&path)
    });
    match done.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            Err(Halt::transient(format!("dead letters cannot be kept in {}: {}", path.display(), told(&error))))
        }
        Err(_) => Err(Halt::Stopped),
    }
}
