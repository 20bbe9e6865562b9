//! A job's report as a page, with the refused documents where they lie on this machine.

use crate::failure::Failure;
use capstan_api::report::{LETTERS_SHOWN, Letter, ReportPage, html};
use capstan_client::Job;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Chunks asked for at a time.
const SLICE: u32 = 1_000;
/// Characters of a refused document that are quoted.
const DOCUMENT_CHARS: usize = 2_000;

/// The page; `dead_letters` is where workers of this process put refused documents.
pub async fn page(job: &Job, dead_letters: Option<&Path>) -> Result<String, Failure> {
    let (report, seen, units) = (job.report().await?, job.look().await?, job.units().await?);
    let chunks = |unit: String, from: usize| async move {
        Ok::<_, Failure>(
            job.chunks(&unit, SLICE, &if from == 0 { String::new() } else { from.to_string() }).await?.entries,
        )
    };
    let mut page = ReportPage::gather(report, seen, &units, chunks).await?;
    if let Some(folder) = dead_letters {
        page.letters = letters(&folder.join(job.name()));
    }
    Ok(html(&page))
}

/// A line of a dead-letter file.
#[derive(Deserialize)]
struct Line<'a> {
    collection: String,
    reason: String,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
    bytes: Option<String>,
}

/// The first refused documents of a job; what cannot be read is left out, and counted by the report all the same.
fn letters(folder: &Path) -> Vec<Letter> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut letters = Vec::new();
    for file in files {
        let Ok(file) = File::open(file) else { continue };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            if letters.len() == LETTERS_SHOWN {
                return letters;
            }
            if let Ok(line) = serde_json::from_str::<Line<'_>>(&line) {
                let document =
                    line.document.map(|document| document.get().to_owned()).or(line.bytes).unwrap_or_default();
                let cut = document.char_indices().nth(DOCUMENT_CHARS).map(|(at, _)| at);
                let document = cut.map_or_else(|| document.clone(), |at| format!("{}…", &document[..at]));
                letters.push(Letter { collection: line.collection, reason: line.reason, document });
            }
        }
    }
    letters
}
