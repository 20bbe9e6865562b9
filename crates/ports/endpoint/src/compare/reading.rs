//! Reading both sides at once, several ranges of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::compare::{CompareOptions, CompareProgress, OnProgress, Side};
use crate::{EndpointError, PlannedChunk, Result};

/// Something documents are put into, in any order.
pub(crate) trait Collect: Send + 'static {
    fn take(&mut self, document: &[u8]);
    /// Takes in what another has collected.
    fn add(&mut self, other: Self);
}

/// A side, cut into ranges.
#[derive(Clone)]
pub(crate) struct Plan {
    side: Side,
    chunks: Arc<Vec<PlannedChunk>>,
}

impl Plan {
    pub(crate) async fn of(side: &Side, options: &CompareOptions) -> Result<Self> {
        let chunks = side.source.split(&side.unit, &options.split).await?;
        Ok(Self { side: side.clone(), chunks: Arc::new(chunks) })
    }

    /// About how many documents there are: by count, else guessed from bytes at 256 each.
    pub(crate) fn documents(&self) -> u64 {
        let counted: Option<u64> = self.chunks.iter().map(|chunk| chunk.documents).sum();
        let estimate = self.side.unit.estimate;
        counted.or(estimate.documents).unwrap_or_else(|| {
            let bytes: Option<u64> = self.chunks.iter().map(|chunk| chunk.bytes).sum();
            bytes.or(estimate.bytes).unwrap_or_default() / 256
        })
    }
}

/// Counts what is read, for whoever watches.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Counters>);

struct Counters {
    documents: AtomicU64,
    bytes: AtomicU64,
    pass: AtomicU32,
    on_progress: OnProgress,
}

impl Watch {
    pub(crate) fn new(on_progress: OnProgress) -> Self {
        let (documents, bytes, pass) = Default::default();
        Self(Arc::new(Counters { documents, bytes, pass, on_progress }))
    }

    fn read(&self, documents: u64, bytes: u64) {
        let counters = &self.0;
        let documents = counters.documents.fetch_add(documents, Ordering::Relaxed) + documents;
        let bytes = counters.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (counters.on_progress)(CompareProgress { documents, bytes, pass: counters.pass.load(Ordering::Relaxed) });
    }
}

/// Reads both sides once, each into a collection of its own.
pub(crate) async fn read_both<C: Collect>(
    plans: &[Plan; 2],
    options: &CompareOptions,
    watch: &Watch,
    empty: impl Fn() -> C,
) -> Result<[C; 2]> {
    watch.0.pass.fetch_add(1, Ordering::Relaxed);
    let [left, right] = plans;
    let (left, right) =
        tokio::try_join!(read_side(left, options, watch, &empty), read_side(right, options, watch, &empty))?;
    Ok([left, right])
}

async fn read_side<C: Collect>(
    plan: &Plan,
    options: &CompareOptions,
    watch: &Watch,
    empty: &impl Fn() -> C,
) -> Result<C> {
    let waiting = Arc::new(Mutex::new(0));
    // Dropped, the set ends its tasks.
    let mut readers = JoinSet::new();
    for _ in 0..options.readers.clamp(1, plan.chunks.len().max(1)) {
        readers.spawn(read_chunks(plan.clone(), waiting.clone(), watch.clone(), empty()));
    }
    let mut all: Option<C> = None;
    while let Some(ended) = readers.join_next().await {
        let collected = ended.map_err(|ended| EndpointError::Io {
            place: plan.side.source.place(),
            action: "comparing".into(),
            source: std::io::Error::other(ended),
        })??;
        match &mut all {
            Some(all) => all.add(collected),
            None => all = Some(collected),
        }
    }
    Ok(all.unwrap_or_else(empty))
}

/// Takes chunk after chunk until none is left.
async fn read_chunks<C: Collect>(plan: Plan, waiting: Arc<Mutex<usize>>, watch: Watch, mut collected: C) -> Result<C> {
    loop {
        let next = {
            let mut waiting = waiting.lock().await;
            *waiting += 1;
            *waiting - 1
        };
        let Some(chunk) = plan.chunks.get(next) else { return Ok(collected) };
        let mut reader = plan.side.source.read(&plan.side.unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            batch.iter().for_each(|document| collected.take(document));
            watch.read(u64::from(batch.documents), batch.bytes.len() as u64);
        }
    }
}
