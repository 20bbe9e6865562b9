//! The journal as one file: from a running server, from a data directory at rest, or from a shared journal.

use super::restore::{NOT_INCLUDED, facts};
use crate::context::Context;
use crate::failure::Failure;
use crate::journals::Place;
use anyhow::{Context as _, anyhow};
use axum::body::{Body, BodyDataStream, Bytes};
use capstan_coordinator::audited_streams;
use capstan_ids::WallTime;
use capstan_journal::backup::{self, BackupError, Contents, Look};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions, Journal};
use capstan_worker::Secrets;
use clap::Args;
use futures::StreamExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// How often a backup is begun again that retention or a change of leaders has overtaken.
const TRIES_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);
const BUFFER_BYTES: usize = 1 << 20;
/// A server that sends nothing for so long is taken to be gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What can be typed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan backup --to capstan.backup
  capstan backup --data-dir ./data --to capstan.backup
  capstan backup --to - | zstd > capstan.backup.zst

A server that runs is asked for it, and goes on. What is in it: work, migrations, pipelines and their history, as the
journal has them at one moment. What is not: the secrets folder and the parts of dumps in spools; copy those besides.
`capstan restore` puts it into an empty data directory, PostgreSQL schema or Cassandra log.")]
pub struct BackupOptions {
    /// The file to write, which is not there yet; - writes to stdout
    #[arg(long, value_name = "FILE")]
    to: String,
    /// Back up the journal in this data directory, whose server is stopped
    #[arg(long, value_name = "DIR", conflicts_with = "journal")]
    data_dir: Option<PathBuf>,
    /// Back up a shared journal beside its servers: postgres://… or cassandra://…
    #[arg(long, value_name = "URL")]
    journal: Option<String>,
}

/// Takes it.
pub fn run(options: &BackupOptions, context: &Context) -> Result<(), Failure> {
    let source = Source::of(options, context)?;
    if options.to == "-" {
        let mut stdout = io::stdout().lock();
        let contents = source.copy(&mut stdout).map_err(|error| Failure::Failed(error.into()))?;
        stdout.flush()?;
        eprintln!("{}", told("stdout", &contents));
        return Ok(());
    }
    let file = Path::new(&options.to);
    if file.exists() {
        return Err(Failure::Usage(format!("{} is there already; choose another name", options.to)));
    }
    let contents = source.copy_to(file)?;
    let json = || {
        let mut json = facts(&contents);
        json["file"] = json!(options.to);
        json["not_included"] = json!(NOT_INCLUDED);
        json
    };
    context.out.show_text(json, || format!("{}\n", told(&options.to, &contents)))
}

fn told(file: &str, contents: &Contents) -> String {
    let Contents { bytes, snapshots, archived, commits, events, next, .. } = contents;
    format!(
        "{file}: {} with {snapshots} snapshots, {archived} archived runs and {commits} commits of {events} events; the \
         next position was {next}\nnot in it: {}",
        HumanBytes(*bytes),
        NOT_INCLUDED.join("; ")
    )
}

/// Where the journal is read.
enum Source {
    Server(String, Runtime),
    Folder(PathBuf),
    Shared(Place),
}

impl Source {
    fn of(options: &BackupOptions, context: &Context) -> Result<Self, Failure> {
        if let Some(folder) = &options.data_dir {
            let journal = folder.join("journal");
            if !journal.is_dir() {
                return Err(Failure::Usage(format!("{} holds no journal", folder.display())));
            }
            return Ok(Self::Folder(journal));
        }
        if let Some(url) = &options.journal {
            return match Place::parse(url).map_err(Failure::Usage)? {
                Place::Embedded => Err(Failure::Usage("an embedded journal is backed up by --data-dir".to_owned())),
                shared => Ok(Self::Shared(shared)),
            };
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The server may have been named by its gRPC port.
        let info = runtime.block_on(async { Ok::<_, Failure>(context.client().await?.info().await?) })?;
        let address = info.http_address;
        let url = if address.contains("://") { address } else { format!("http://{address}") };
        Ok(Self::Server(format!("{url}/api/v1/backup"), runtime))
    }

    /// Writes a whole backup to a file, or leaves none.
    fn copy_to(&self, file: &Path) -> Result<Contents, Failure> {
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let copied = self.try_to_copy(&unfinished).and_then(|contents| {
            fs::rename(&unfinished, file).map_err(BackupError::Write)?;
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::Write)?;
            Ok(contents)
        });
        if copied.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        copied.with_context(|| format!("back up to {}", file.display())).map_err(Failure::Failed)
    }

    fn try_to_copy(&self, unfinished: &Path) -> Result<Contents, BackupError> {
        let mut tries = 1;
        loop {
            let mut file =
                BufWriter::with_capacity(BUFFER_BYTES, File::create(unfinished).map_err(BackupError::Write)?);
            match self.copy(&mut file) {
                Ok(contents) => {
                    let file = file.into_inner().map_err(|error| BackupError::Write(error.into_error()))?;
                    file.sync_all().map_err(BackupError::Write)?;
                    return Ok(contents);
                }
                Err(error) if tries < TRIES_MAX && self.is_worth_another_try(&error) => {
                    eprintln!("begun again: {error}");
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A server cannot say in the middle of an answer why it breaks off: mostly because retention was faster.
    fn is_worth_another_try(&self, error: &BackupError) -> bool {
        match (self, error) {
            (Self::Server(..), BackupError::Read(source)) => source.kind() != io::ErrorKind::Unsupported,
            (Self::Server(..), BackupError::Damaged { .. }) => true,
            _ => error.was_overtaken(),
        }
    }

    fn copy(&self, into: &mut dyn Write) -> Result<Contents, BackupError> {
        let bar = ProgressBar::new_spinner();
        let mut into = Counted { into, bytes: 0, bar: bar.clone() };
        let copied = match self {
            Self::Server(url, runtime) => copy_from_server(url, runtime, &mut into),
            Self::Folder(folder) => {
                let mut journal = EmbeddedJournal::open(folder, EmbeddedOptions::default())?;
                copy_journal(&mut journal, &mut into)
            }
            Self::Shared(place) => copy_journal(&mut *place.open(&Secrets::default())?, &mut into),
        };
        bar.finish_and_clear();
        copied
    }
}

fn copy_journal(journal: &mut dyn Journal, into: &mut dyn Write) -> Result<Contents, BackupError> {
    let look = Look::at(journal, &audited_streams())?;
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let taken = WallTime(i64::try_from(taken.as_micros()).unwrap_or(i64::MAX));
    backup::write(look, &mut |info| journal.read_snapshot(info), taken, into)
}

/// What comes is verified as it comes.
fn copy_from_server(url: &str, runtime: &Runtime, into: &mut dyn Write) -> Result<Contents, BackupError> {
    let body = runtime.block_on(ask(url)).map_err(|error| {
        // Said already why: another try would be told the same.
        BackupError::Read(io::Error::new(io::ErrorKind::Unsupported, format!("{error:#}")))
    })?;
    let mut answer = Tee { body, chunk: Bytes::new(), runtime, into };
    backup::verify(&mut answer)
}

async fn ask(url: &str) -> Result<BodyDataStream, anyhow::Error> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let asked = client.get(url.parse().with_context(|| format!("ask {url}"))?).await;
    let response = asked.with_context(|| format!("ask {url}"))?;
    let status = response.status();
    let mut body = Body::new(response.into_body()).into_data_stream();
    if status.is_success() {
        return Ok(body);
    }
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = body.next().await
        && text.len() < 64 << 10
    {
        text.extend_from_slice(&chunk);
    }
    let problem: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("it did not say why");
    Err(anyhow!("the server answered {status}: {detail}"))
}

/// Reads an answer, and passes on what was read.
struct Tee<'a> {
    body: BodyDataStream,
    chunk: Bytes,
    runtime: &'a Runtime,
    into: &'a mut dyn Write,
}

impl Read for Tee<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let next = self.runtime.block_on(async { tokio::time::timeout(SILENCE_MAX, self.body.next()).await });
            self.chunk = match next {
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the server has gone silent")),
                Ok(None) => return Ok(0),
                Ok(Some(chunk)) => chunk.map_err(|error| {
                    let text = format!("the server broke off, and its log says why ({error})");
                    io::Error::new(io::ErrorKind::ConnectionReset, text)
                })?,
            };
            self.into.write_all(&self.chunk)?;
        }
        let length = self.chunk.len().min(into.len());
        into[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// Shows how much was written.
struct Counted<'a> {
    into: &'a mut dyn Write,
    bytes: u64,
    bar: ProgressBar,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        let before = self.bytes;
        self.bytes += written as u64;
        if self.bytes / BUFFER_BYTES as u64 != before / BUFFER_BYTES as u64 {
            self.bar.set_message(format!("{} copied", HumanBytes(self.bytes)));
            self.bar.tick();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
