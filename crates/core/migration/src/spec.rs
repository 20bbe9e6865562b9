//! What a job is asked to do, as JSON and TOML say it.

use capstan_ids::Millis;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A job's specification. Only `from` and `to` must be given, and of these only what the mode has a use for.
///
/// Kept in the journal as JSON text: what it gains later has defaults, so old jobs read on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The address that is read from. No password in it: `secret:NAME` stands for one. Mode `restore-only` needs none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The address that is written to. No password in it: `secret:NAME` stands for one. Modes `dump-only` and
    /// `simulate` need none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// Collections to move, as `db.coll` with `*` for any characters; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Collections to leave out, of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Other names at the target; the first that matches is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renames: Vec<Rename>,
    /// Only documents that match are moved; the first that matches a collection is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Which collections go before others; the first that matches is taken, none is 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
    /// Which stages there are.
    #[serde(default)]
    pub mode: Mode,
    /// What reads and writes MongoDB.
    #[serde(default)]
    pub engine: Engine,
    /// What happens to what the target holds.
    #[serde(default)]
    pub write: WriteMode,
    /// When indexes are built.
    #[serde(default)]
    pub indexes: IndexTime,
    /// How the result is proved.
    #[serde(default)]
    pub verify: Verify,
    /// Mends what verification finds missing or different.
    #[serde(default)]
    pub repair: bool,
    /// Removes what verification finds too much; only with `repair`.
    #[serde(default)]
    pub delete_extra: bool,
    /// Verification takes documents as equal whose fields stand in another order, at any depth.
    #[serde(default)]
    pub ignore_field_order: bool,
    /// So many documents may be refused by the target before the job counts as completed with failures.
    #[serde(default)]
    pub allow_dead_letters: u64,
    /// How large chunks should be.
    #[serde(default)]
    pub chunks: ChunkTarget,
    /// How many of which kind work at a time.
    #[serde(default)]
    pub pools: Pools,
    /// How fast it may go; may be changed while it runs.
    #[serde(default)]
    pub rates: Rates,
    /// What happens to what fails.
    #[serde(default)]
    pub retry: Retry,
    /// What happens to workers that hold an item and get no further with it.
    #[serde(default)]
    pub stuck: Stuck,
    /// What it expects to need, for admission.
    #[serde(default)]
    pub resources: Resources,
    /// Where dumped chunks lie; none means the worker's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool: Option<String>,
    /// For mode `restore-only`: which of the dumps that the spool keeps, by the name of the job that made it. Not
    /// needed where the spool keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<String>,
    /// How dumped chunks are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// How soon a collection's turn comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// `db.coll` with wildcards.
    #[n(0)]
    pub collection: String,
    /// -100 to 100; higher goes first.
    #[n(1)]
    pub priority: i16,
}

/// What reads and writes MongoDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program.
    #[default]
    Native,
    /// The programs mongodump and mongorestore, where they are installed.
    MongoTools,
}

/// How fast a job may go, over all its workers; what is not given is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Documents a second, read and written each.
    #[n(0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// Bytes of BSON a second, read and written each.
    #[n(1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Chunks that are read or written at a time, 1 to 4,096.
    #[n(2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<u32>,
}

/// What happens to workers that renew their lease and get no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stuck {
    /// Flagged after so long without progress.
    pub after_seconds: u64,
    /// Its lease is revoked then too, so that another worker gets the item.
    pub revoke: bool,
}

impl Default for Stuck {
    fn default() -> Self {
        Self { after_seconds: 300, revoke: false }
    }
}

/// What a job expects to need of the machines it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Percent of the processors, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Megabytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
    /// Where there is no room: its place among those who wait for it, -100 to 100. Higher goes first, none is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i16>,
}

/// A name at the source and what it becomes; each `*` on the right takes what the same one on the left matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// `db.coll` with wildcards.
    pub from: String,
    /// `db.coll` with at most as many wildcards.
    pub to: String,
}

/// Which documents of a collection are moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `db.coll` with wildcards.
    pub collection: String,
    /// A query as extended JSON text.
    pub query: String,
}

/// Which stages a job has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Each chunk goes to the spool, then to the target.
    #[default]
    DumpAndRestore,
    /// Each chunk goes straight to the target.
    Direct,
    /// To the spool only, where the dump is kept with a catalogue.
    DumpOnly,
    /// From a dump that the spool keeps.
    RestoreOnly,
    /// Lists and plans, writes nothing.
    Simulate,
    /// Moves nothing: compares both sides, and mends the target where `repair` says so.
    Verify,
}

impl Mode {
    /// Its name, as specifications say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DumpAndRestore => "dump-and-restore",
            Self::Direct => "direct",
            Self::DumpOnly => "dump-only",
            Self::RestoreOnly => "restore-only",
            Self::Simulate => "simulate",
            Self::Verify => "verify",
        }
    }
}

/// What happens to what the target holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// A collection that holds anything is refused before anything is written.
    #[default]
    FailIfExists,
    /// It goes first.
    Overwrite,
    /// It stays, and documents of the same `_id` are replaced.
    Merge,
}

/// When indexes are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexTime {
    /// Before the documents.
    Before,
    /// After the documents.
    #[default]
    After,
    /// Not at all.
    None,
}

/// How the result is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Verify {
    /// Not at all.
    #[n(0)]
    None,
    /// Documents are counted on both sides; that is no proof of their content.
    #[n(1)]
    Counts,
    /// Documents and their bytes are compared on both sides.
    #[default]
    #[n(2)]
    Hash,
}

/// How large chunks should be: the smaller of both sizes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChunkTarget {
    /// Documents of a chunk.
    pub documents: u64,
    /// Bytes of a chunk, as BSON.
    pub bytes: u64,
    /// Never more chunks of a unit than this: they grow instead.
    pub max: u32,
}

impl Default for ChunkTarget {
    fn default() -> Self {
        Self { documents: 100_000, bytes: 64 << 20, max: crate::limits::CHUNKS_MAX }
    }
}

/// How many of which kind work at a time, 1 to 4,096; what is not given is sized by the number of cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    /// Units being listed and cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<u32>,
    /// Chunks being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<u32>,
    /// Chunks being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<u32>,
    /// Units being completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Units being compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<u32>,
    /// Pools of dump and restore grow while that makes the job faster, up to their size or 64 where none is given, and
    /// shrink when endpoints throttle, fail or get slower.
    #[serde(default)]
    pub adaptive: bool,
}

/// What happens to what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts before an item has failed.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each.
    pub backoff_ms: u64,
    /// The longest wait.
    pub backoff_max_ms: u64,
    /// What an item that has failed does to the job.
    pub on_exhausted: OnExhausted,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, backoff_ms: 500, backoff_max_ms: 30_000, on_exhausted: OnExhausted::Pause }
    }
}

impl Retry {
    /// First and longest wait, if there is any.
    pub(crate) fn backoff(&self) -> Option<(Millis, Millis)> {
        (self.backoff_ms > 0).then_some((Millis(self.backoff_ms), Millis(self.backoff_max_ms)))
    }
}

/// What an item that failed for good does to its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExhausted {
    /// What runs finishes, then nothing new starts until somebody resumes.
    #[default]
    Pause,
    /// Its unit stops, the others go on.
    Skip,
    /// The job ends.
    Fail,
}

/// How dumped chunks are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard at its fastest.
    #[default]
    Zstd,
}

impl<C> Encode<C> for Spec {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(&serde_json::to_string(self).map_err(EncodeError::message)?)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Spec {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        serde_json::from_str(d.str()?).map_err(|error| DecodeError::message(error).at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_of_toml_are_a_job() {
        let spec: Spec = toml::from_str("from = 'dump:./backup'\nto = 'kv://shop'").unwrap();

        assert_eq!((spec.mode, spec.write, spec.verify), (Mode::DumpAndRestore, WriteMode::FailIfExists, Verify::Hash));
        assert_eq!((spec.chunks.bytes, spec.chunks.documents), (64 << 20, 100_000));
        assert_eq!((spec.retry.attempts, spec.retry.on_exhausted), (4, OnExhausted::Pause));
    }

    #[test]
    fn a_misspelled_field_is_refused_by_its_name() {
        let error = toml::from_str::<Spec>("from = 'a:b'\nto = 'c:d'\nincldue = []").unwrap_err();
        assert!(error.to_string().contains("incldue"), "{error}");
    }

    #[test]
    fn a_full_specification_reads_back_from_the_journal() {
        let text = r#"
            from = "mongodb://ann:secret:shop@db1/"
            to = "dump:./out.archive.gz"
            include = ["shop.*"]
            exclude = ["shop.tmp_*"]
            renames = [{ from = "shop.*", to = "store.*" }]
            filters = [{ collection = "shop.orders", query = '{"year": {"$gt": 2020}}' }]
            mode = "direct"
            write = "overwrite"
            indexes = "none"
            verify = "counts"
            repair = true
            delete_extra = true
            ignore_field_order = true
            allow_dead_letters = 3
            spool = "file:/var/spool/capstan"
            compression = "none"
            chunks = { documents = 10, bytes = 1000, max = 5 }
            pools = { dump = 4, restore = 8 }
            retry = { attempts = 2, backoff_ms = 0, on_exhausted = "skip" }
        "#;
        let spec: Spec = toml::from_str(text).unwrap();

        let kept = minicbor::to_vec(&spec).unwrap();

        assert_eq!(minicbor::decode::<Spec>(&kept).unwrap(), spec);
    }
}
