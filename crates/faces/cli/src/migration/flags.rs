//! What is typed about a migration. What it means is in [`super::spec`].

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What to move, from where, to where, and how.
#[derive(Args, Clone, Debug, Default)]
pub struct MigrationFlags {
    /// Where the data is: mongodb://HOST, dump:PATH, jsonl:PATH; mode restore-only needs none
    #[arg(long, value_name = "URL")]
    pub(super) from: Option<String>,
    /// Where it goes: mongodb://HOST, dump:PATH, jsonl:PATH, null:; modes dump-only and simulate need none
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<String>,
    /// A specification in TOML or JSON, as `capstan job init` writes one; flags go before what it says
    #[arg(long, value_name = "FILE")]
    pub(super) spec: Option<PathBuf>,
    #[command(flatten)]
    pub(super) selection: SelectionFlags,
    /// Other names at the target: shop.orders=store.orders, or shop.*=store.*
    #[arg(long, value_name = "FROM=TO", num_args = 1.., value_parser = pair)]
    pub(super) rename: Vec<(String, String)>,
    /// How the data goes; over a spool where nothing is said
    #[arg(long, value_enum)]
    pub(super) mode: Option<ModeFlag>,
    /// What reads and writes MongoDB: this program, or mongodump and mongorestore
    #[arg(long, value_enum)]
    pub(super) engine: Option<EngineFlag>,
    /// What is done where the target holds something already; it is refused where nothing is said
    #[arg(long, value_enum)]
    pub(super) write: Option<WriteFlag>,
    /// When indexes are built; after the documents where nothing is said
    #[arg(long, value_enum)]
    pub(super) indexes: Option<IndexesFlag>,
    /// How both sides are compared at the end: hash, but for null:, which keeps nothing to compare
    #[arg(long, value_enum)]
    pub(super) verify: Option<VerifyFlag>,
    #[command(flatten)]
    pub(super) repair: RepairFlags,
    /// Documents of a chunk at the most
    #[arg(long, value_name = "N")]
    pub(super) chunk_documents: Option<u64>,
    /// Bytes of a chunk at the most, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = crate::input::bytes)]
    pub(super) chunk_bytes: Option<u64>,
    /// Chunks of a collection at the most; they grow instead
    #[arg(long, value_name = "N")]
    pub(super) chunk_max: Option<u32>,
    #[command(flatten)]
    pub(super) pace: PaceFlags,
    #[command(flatten)]
    pub(super) needs: NeedsFlags,
    /// Which collections go first: shop.orders=10; -100 to 100, higher goes first
    #[arg(long, value_name = "DB.COLL=N", num_args = 1.., value_parser = crate::input::priority)]
    pub(super) priority: Vec<(String, i16)>,
    /// What an item that has failed for good does to the job; pause where nothing is said
    #[arg(long, value_enum)]
    pub(super) on_exhausted: Option<ExhaustedFlag>,
    /// Attempts before an item has failed; 4 where nothing is said
    #[arg(long, value_name = "N")]
    pub(super) attempts: Option<u32>,
    /// How long a worker may hold an item without progress before it counts as stuck, such as 5m
    #[arg(long, value_name = "TIME", value_parser = crate::input::duration)]
    pub(super) stuck_after: Option<std::time::Duration>,
    /// Take the item from a worker that is stuck
    #[arg(long)]
    pub(super) revoke_stuck: bool,
    /// Where dumped chunks lie: file:PATH or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    pub(super) spool: Option<String>,
    /// Which kept dump mode restore-only takes, by the name of the job that made it
    #[arg(long, value_name = "NAME")]
    pub(super) dump: Option<String>,
    /// Do not compress dumped chunks
    #[arg(long)]
    pub(super) no_compression: bool,
    /// Documents that the target may refuse without the job counting as failed
    #[arg(long, value_name = "N")]
    pub(super) allow_dead_letters: Option<u64>,
}

/// Which collections, and which of their documents.
#[derive(Args, Clone, Debug, Default)]
pub struct SelectionFlags {
    /// Only these collections; db.coll with * for any characters
    #[arg(long, value_name = "DB.COLL", num_args = 1..)]
    pub(super) include: Vec<String>,
    /// Not these collections; db.coll with * for any characters
    #[arg(long, value_name = "DB.COLL", num_args = 1..)]
    pub(super) exclude: Vec<String>,
    /// Only documents that match: 'shop.orders={"year": {"$gt": 2020}}'
    #[arg(long, value_name = "DB.COLL=JSON", num_args = 1.., value_parser = filter)]
    pub(super) filter: Vec<(String, String)>,
}

/// What is done about differences.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct RepairFlags {
    /// Mend at the target what is missing or different
    #[arg(long)]
    pub(super) repair: bool,
    /// Remove at the target what the source does not have; only with --repair
    #[arg(long, requires = "repair")]
    pub(super) delete_extra: bool,
    /// Take documents as equal whose fields stand in another order, as some targets write them
    #[arg(long)]
    pub(super) ignore_field_order: bool,
}

/// How much at a time, and how fast.
#[derive(Args, Clone, Debug, Default)]
pub struct PaceFlags {
    /// Sizes of pools, such as dump=4 restore=8; sized by the machine where nothing is said
    #[arg(long, value_name = "KIND=N", num_args = 1.., value_parser = pool)]
    pub(super) pools: Vec<(String, u32)>,
    /// Let pools grow while that makes the job faster, and shrink where endpoints throttle or fail
    #[arg(long)]
    pub(super) adaptive: bool,
    /// Documents a second at the most, read and written each
    #[arg(long, value_name = "N")]
    pub(super) rate_documents: Option<u64>,
    /// Bytes a second at the most, read and written each, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = crate::input::bytes)]
    pub(super) rate_bytes: Option<u64>,
    /// Chunks that are read or written at a time at the most
    #[arg(long, value_name = "N")]
    pub(super) operations: Option<u32>,
}

/// What the registry admits the job with.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct NeedsFlags {
    /// CPU that the job expects to need, in percent; by its pools where nothing is said
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub(super) expect_cpu: Option<f64>,
    /// Memory that the job expects to need, in MB; by its pools where nothing is said
    #[arg(long, value_name = "MB", allow_negative_numbers = true)]
    pub(super) expect_memory: Option<f64>,
    /// The job's place among those who wait for room: -100 to 100, higher goes first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) job_priority: Option<i16>,
}

/// How the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeFlag {
    /// Over the spool
    DumpAndRestore,
    /// Straight to the target
    Direct,
    /// To the spool, where it is kept
    DumpOnly,
    /// From a dump that the spool keeps
    RestoreOnly,
    /// Nowhere: what there is to do is found out and said
    Simulate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineFlag {
    Native,
    MongoTools,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WriteFlag {
    FailIfExists,
    Overwrite,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IndexesFlag {
    Before,
    After,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFlag {
    /// Not at all
    None,
    /// By counting
    Counts,
    /// Every document, byte for byte
    Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExhaustedFlag {
    /// What runs finishes, then nothing starts until somebody resumes
    Pause,
    /// Its collection stops, the others go on
    Skip,
    /// The job ends
    Fail,
}

/// `FROM=TO` of a rename.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let halves = text.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty());
    let (from, to) = halves.ok_or_else(|| format!("expected FROM=TO such as shop.*=store.*, found {text:?}"))?;
    Ok((from.to_owned(), to.to_owned()))
}

fn filter(text: &str) -> Result<(String, String), String> {
    // A collection's name may hold `=`, and no query begins with anything but a brace.
    let at = text.find("={").ok_or_else(|| format!("expected DB.COLL={{…}}, found {text:?}"))?;
    let (collection, query) = (&text[..at], &text[at + 1..]);
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(query)
        .map_err(|error| format!("the query of {collection} is no JSON object: {error}"))?;
    Ok((collection.to_owned(), query.to_owned()))
}

/// `KIND=N` of a pool.
pub fn pool(text: &str) -> Result<(String, u32), String> {
    let bad = || format!("expected KIND=N with a kind of plan, dump, restore, index, verify, found {text:?}");
    let (kind, size) = text.split_once('=').ok_or_else(bad)?;
    if !["plan", "dump", "restore", "index", "verify"].contains(&kind) {
        return Err(bad());
    }
    Ok((kind.to_owned(), size.parse().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_a_kind_and_a_size() {
        assert_eq!(pool("dump=4"), Ok(("dump".into(), 4)));
        assert!(pool("dumps=4").unwrap_err().contains("plan, dump, restore"));
        assert!(pool("dump").is_err());
    }

    #[test]
    fn a_filter_is_a_collection_and_a_query() {
        assert_eq!(filter(r#"a.b=c={"x": "={"}"#), Ok(("a.b=c".into(), r#"{"x": "={"}"#.into())));
        assert!(filter("a.b").unwrap_err().contains("DB.COLL"));
        assert!(filter("a.b={x: 1}").unwrap_err().contains("no JSON object"));
    }
}
