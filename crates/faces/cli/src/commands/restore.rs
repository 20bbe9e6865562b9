//! A backup becomes a journal again, in any store.

use crate::context::Context;
use crate::failure::Failure;
use crate::journals::Place;
use anyhow::Context as _;
use capstan_journal::backup::{self, Contents};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions, Takeover};
use capstan_worker::Secrets;
use clap::{ArgGroup, Args};
use indicatif::{HumanBytes, ProgressBar};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::PathBuf;

/// What no backup holds.
pub(super) const NOT_INCLUDED: [&str; 2] = ["the secrets folder of the data directory", "the parts of dumps in spools"];

const BUFFER_BYTES: usize = 1 << 20;
/// Progress is shown every so many pieces.
const SHOW_EVERY: u64 = 1_000;

/// What can be typed.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("target").required(true)), after_help = "Examples:
  capstan restore --from capstan.backup --data-dir ./data
  capstan restore --from capstan.backup --journal 'postgres://capstan@db/capstan?schema=capstan'
  zstd -dc capstan.backup.zst | capstan restore --from - --data-dir ./data

The backup is read through before anything is written, and the target must be empty and without a server. Tokens that
were given after the backup was taken stay stale: positions go on 2^44 higher. Leases in it begin their full term when a
server starts. Secrets and the parts in spools are not in a backup: put them back by yourself.")]
pub struct RestoreOptions {
    /// The backup; - reads from stdin, by way of a temporary file
    #[arg(long, value_name = "FILE")]
    from: String,
    /// Restore into this data directory, which has no journal yet
    #[arg(long, value_name = "DIR", group = "target")]
    data_dir: Option<PathBuf>,
    /// Restore into an empty postgres://… schema or cassandra://… log
    #[arg(long, value_name = "URL", group = "target")]
    journal: Option<String>,
}

/// Restores it.
pub fn run(options: &RestoreOptions, context: &Context) -> Result<(), Failure> {
    let place = options.journal.as_deref().map(Place::parse).transpose().map_err(Failure::Usage)?;
    if place == Some(Place::Embedded) {
        return Err(Failure::Usage("an embedded journal is restored by --data-dir".to_owned()));
    }
    let mut file = opened(&options.from)?;
    let told = || format!("restore {}", options.from);
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, &mut file);
    let contents = backup::verify(&mut reader).with_context(told)?;
    file.rewind()?;

    let mut target: Box<dyn Takeover> = match (&options.data_dir, place) {
        (_, Some(place)) => place.open(&Secrets::default()).with_context(told)?,
        (Some(folder), None) => {
            let journal = EmbeddedJournal::open(&folder.join("journal"), EmbeddedOptions::default());
            Box::new(journal.with_context(told)?)
        }
        (None, None) => unreachable!("the command line asks for one of both"),
    };
    let bar = ProgressBar::new_spinner();
    let mut pieces = 0;
    let mut progress = |done: &Contents| {
        pieces += 1;
        if pieces % SHOW_EVERY == 0 {
            let (all, of) = (done.snapshots + done.commits, contents.snapshots + contents.commits);
            bar.set_message(format!("{all} of {of} snapshots and commits restored"));
            bar.tick();
        }
    };
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, &mut file);
    let restored = backup::restore(&mut reader, &contents, &mut *target, &mut progress);
    bar.finish_and_clear();
    let next = restored.with_context(told)?;
    drop(target);

    let json = || {
        let mut json = facts(&contents);
        json["goes_on_at"] = json!(next.get());
        json["not_included"] = json!(NOT_INCLUDED);
        json
    };
    let text = || {
        let Contents { bytes, snapshots, archived, commits, events, .. } = contents;
        format!(
            "restored {} with {snapshots} snapshots, {archived} archived runs and {commits} commits of {events} events\n\
             goes on at position {next}: tokens given after the backup stay stale; leases begin their full term when a \
             server starts\nnot in a backup: {}\n",
            HumanBytes(bytes),
            NOT_INCLUDED.join("; ")
        )
    };
    context.out.show_text(json, text)
}

/// What is said of a backup to programs.
pub(super) fn facts(contents: &Contents) -> Value {
    json!({
        "taken": Timestamp::from_microsecond(contents.taken.micros()).map(|taken| taken.to_string()).ok(),
        "bytes": contents.bytes,
        "first_position": contents.first.get(),
        "next_position": contents.next.get(),
        "epoch": contents.epoch.get(),
        "snapshots": contents.snapshots,
        "rows": contents.rows,
        "archived_runs": contents.archived,
        "commits": contents.commits,
        "events": contents.events,
    })
}

/// The backup as a file that can be read twice.
fn opened(from: &str) -> Result<File, Failure> {
    if from != "-" {
        return Ok(File::open(from).with_context(|| format!("open {from}"))?);
    }
    let mut file = tempfile::tempfile().context("make a temporary file")?;
    io::copy(&mut io::stdin().lock(), &mut file).context("copy stdin to a temporary file")?;
    file.rewind()?;
    Ok(file)
}
