//! How a worker is set up.

use crate::engine::Engine;
use crate::secrets::Secrets;
use capstan_endpoint::Adapters;
use capstan_ids::{Kind, SessionName, WorkerId};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A worker's settings. [`Options::new`] gives what is right for most.
#[derive(Clone)]
pub struct Options {
    /// Who it is; no two that live at the same time share an id.
    pub id: WorkerId,
    /// Items it works on at a time, 1 to 4,096; [`Worker::resize`](crate::Worker::resize) changes it while it works.
    pub slots: usize,
    /// Kinds it takes: any of plan, dump, restore, index and verify.
    pub kinds: Vec<Kind>,
    /// Sessions it works for; none means all jobs.
    pub sessions: Vec<SessionName>,
    /// Where dumped chunks lie for jobs that name no spool: `file:PATH`, or a bucket.
    pub spool: Option<String>,
    /// Where documents go that a target refuses for good; without it, such a document fails its chunk.
    pub dead_letters: Option<PathBuf>,
    /// Where `secret:NAME` is looked up.
    pub secrets: Secrets,
    /// The endpoints it can open.
    pub adapters: Adapters,
    /// What moves the documents of jobs with `engine = "mongo-tools"`; without it, such a job fails here.
    pub mongo_tools: Option<Arc<dyn Engine>>,
    /// How long one request for work waits where there is none.
    pub wait: Duration,
    /// How long running tasks may take to come to a checkpoint when the worker stops.
    pub grace: Duration,
    /// Bytes of a part in the spool; large chunks have larger parts.
    pub part_bytes: u64,
    /// Bytes written to a target between two checkpoints.
    pub checkpoint_bytes: u64,
    /// Dumping pauses while the spool has less room than this; looked at before each part and before each of its blocks.
    pub spool_reserve: u64,
    /// An endpoint's call that moves documents and gives nothing for this long has failed and is tried again; one about
    /// a whole collection may take twelve times as long, building indexes as long as it takes.
    pub stall_after: Duration,
}

impl Options {
    /// A worker of that name with as many slots as there are cores, two at least.
    pub fn new(id: WorkerId) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            id,
            slots: cores.max(2),
            kinds: ["plan", "dump", "restore", "index", "verify"]
                .map(|kind| Kind::new(kind).expect("plain words"))
                .into(),
            sessions: Vec::new(),
            spool: None,
            dead_letters: None,
            secrets: Secrets::default(),
            adapters: Adapters::of_files(),
            mongo_tools: None,
            wait: Duration::from_secs(20),
            grace: Duration::from_secs(3),
            part_bytes: 16 << 20,
            checkpoint_bytes: 32 << 20,
            spool_reserve: 256 << 20,
            stall_after: Duration::from_secs(300),
        }
    }
}
