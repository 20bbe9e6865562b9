//! A part of a chunk: what one mongorestore is given, kept in a private file until it is confirmed.

use capstan_endpoint::{Batch, Cursor, EndpointError, Namespace, Result};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use crate::frames::Frames;
use crate::private::PrivateFolder;
use crate::running::{Employer, Ended, Running};

/// What is on its way into a mongorestore.
pub(crate) struct Part {
    running: Running,
    /// None once the program takes nothing any more.
    input: Option<ChildStdin>,
    kept: Kept,
    pub documents: u64,
    pub bytes: u64,
}

/// What came of a part.
pub(crate) enum Outcome {
    /// Every document was restored.
    Confirmed,
    /// The program came to its end and reports something else, which is told in words.
    Unsettled { kept: Kept, story: String },
    /// It ended by itself, with a failure and without any document.
    Refused(EndpointError),
}

/// The documents of a part, to be read again.
pub(crate) struct Kept {
    file: File,
    path: std::path::PathBuf,
    // Behind the file that lies in it.
    _folder: PrivateFolder,
}

impl Part {
    pub async fn begin(employer: &Employer, namespace: &Namespace) -> Result<Self> {
        let folder = PrivateFolder::make()?;
        let path = folder.put("part.bson", "")?;
        let opened = File::options().read(true).append(true).open(&path).await;
        let file = opened.map_err(|error| EndpointError::from_io(error, "opening a private file", &path))?;
        let arguments = [
            "--dir=-".to_owned(),
            "--noIndexRestore".to_owned(),
            format!("--writeConcern={}", employer.address.write_concern()),
        ];
        let Namespace { database, collection } = namespace;
        let (running, input, _) = employer.start(database, collection, &arguments, |_| Ok(Vec::new()))?;
        Ok(Self { running, input, kept: Kept { file, path, _folder: folder }, documents: 0, bytes: 0 })
    }

    /// Gives a batch to the program, as far as it still takes something, and keeps it.
    pub async fn give(&mut self, batch: &Batch) -> Result<()> {
        let kept = self.kept.file.write_all(&batch.bytes).await;
        kept.map_err(|error| EndpointError::from_io(error, "keeping documents", &self.kept.path))?;
        self.documents += u64::from(batch.documents);
        self.bytes += batch.bytes.len() as u64;
        let mut rest = &batch.bytes[..];
        while let Some(input) = self.input.as_mut().filter(|_| !rest.is_empty()) {
            match self.running.unless_silent("taking documents", input.write(rest)).await? {
                Ok(taken @ 1..) => rest = &rest[taken..],
                // It has ended, or is about to; why is seen at its end.
                Ok(0) | Err(_) => self.input = None,
            }
        }
        Ok(())
    }

    /// Whether the program takes nothing any more.
    pub fn is_broken(&self) -> bool {
        self.input.is_none()
    }

    /// Lets the program end, and judges it.
    pub async fn end(self, employer: &Employer) -> Result<Outcome> {
        let Self { running, input, kept, documents, .. } = self;
        drop(input);
        let ended = running.end().await?;
        let story = ended.story();
        match (ended.status.code(), ended.heard.restored) {
            (Some(0), Some(counts)) if counts == (documents, 0) => Ok(Outcome::Confirmed),
            (Some(0 | 1), Some((restored, failed))) if restored + failed > 0 => Ok(Outcome::Unsettled { kept, story }),
            (None, _) => Err(employer.failed(story)),
            _ => Ok(Outcome::Refused(employer.failed(told(&ended, documents)))),
        }
    }
}

fn told(ended: &Ended, documents: u64) -> String {
    format!("it was given {documents} documents and does not say that it restored any ({})", ended.story())
}

impl Kept {
    /// The documents from the beginning, batch by batch.
    pub async fn batches(&mut self) -> Result<Batches<'_>> {
        use tokio::io::AsyncSeekExt;
        let rewound = async {
            self.file.flush().await?;
            self.file.rewind().await
        };
        rewound.await.map_err(|error| EndpointError::from_io(error, "reading kept documents", &self.path))?;
        let place = self.path.display().to_string();
        Ok(Batches { frames: Frames::new(&mut self.file), place })
    }
}

/// See [`Kept::batches`].
pub(crate) struct Batches<'a> {
    frames: Frames<&'a mut File>,
    place: String,
}

impl Batches<'_> {
    pub async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            let advanced = self.frames.advance().await;
            let advanced = advanced.map_err(|broken| EndpointError::Lost {
                what: "kept documents".into(),
                place: self.place.clone(),
                reason: broken.to_string(),
            })?;
            if let Some(run) = advanced {
                let cursor = Cursor(serde_json::Value::Null);
                return Ok(run.map(|run| Batch { bytes: run.bytes, documents: run.documents, cursor }));
            }
        }
    }
}
