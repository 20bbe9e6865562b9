//! Documents that a target refuses for good: put aside in a file, with the reason.

use super::Task;
use crate::halt::{Halt, told};
use bson::RawDocument;
use capstan_endpoint::element::id_of;
use capstan_endpoint::{RefusedDocument, extjson};
use capstan_migration::SetAside;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, Write};
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

/// `{"collection":…,"reason":…,"_id":…,"document":{…}}` in canonical extended JSON; a document that is no document is given as its bytes in hexadecimal.
fn line(lines: &mut Vec<u8>, source: &str, refused: &RefusedDocument) {
    let mut text = String::from("{\"collection\":");
    extjson::write_string(&mut text, source);
    text.push_str(",\"reason\":");
    extjson::write_string(&mut text, &refused.reason);
    let mut document = String::new();
    let read = RawDocument::from_bytes(&refused.document).and_then(|raw| extjson::write_document(&mut document, raw));
    match read {
        Ok(()) => {
            if let Some(id) = id_of(&refused.document) {
                text.push_str(",\"_id\":");
                text.push_str(&id.to_ext_json());
            }
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

/// The dead letters of a unit that this worker sees: each file, with how many documents it holds.
///
/// What was written again after a crash may be in two of them; the job's own count has each once.
pub(super) async fn listed(task: &Task<'_>) -> Result<Vec<SetAside>, Halt> {
    let Some(folder) = &task.places.options().dead_letters else { return Ok(Vec::new()) };
    let folder = Arc::new(folder.join(task.brief.job.as_str()));
    let unit = format!("{}_", task.unit()?.id);
    let aside = |path: &Path, lines: u64| SetAside {
        what: path.display().to_string().into(),
        reason: format!("{lines} documents that the target refused").into(),
    };
    on_file(folder, move |folder| {
        let files = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut found = Vec::new();
        for file in files {
            let path = file?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&unit)) {
                found.push(aside(&path, count_lines(&path)?));
            }
        }
        found.sort_by(|one, other| one.what.cmp(&other.what));
        Ok(found)
    })
    .await
}

fn count_lines(path: &Path) -> io::Result<u64> {
    let mut file = io::BufReader::with_capacity(64 << 10, fs::File::open(path)?);
    let mut lines = 0;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let read = bytes.len();
        file.consume(read);
    }
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("it was joined to its folder"))?;
    OpenOptions::new().create(true).append(true).open(path)?.write_all(lines)
}

async fn on_file<T: Send + 'static>(
    path: Arc<PathBuf>,
    act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Halt> {
    let done = tokio::task::spawn_blocking({
        let path = Arc::clone(&path);
        move || act(&path)
    });
    match done.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            Err(Halt::transient(format!("dead letters cannot be kept in {}: {}", path.display(), told(&error))))
        }
        Err(_) => Err(Halt::Stopped),
    }
}
