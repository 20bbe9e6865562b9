//! What is typed about a migration, lowered to a job's specification.

use crate::failure::Failure;
use capstan_migration::{ChunkTarget, Compression, Mode, Pools, Rename, Spec, Verify, WriteMode};
use clap::{Args, ValueEnum};
use std::path::Path;

/// What to move, from where, to where, and how.
#[derive(Args, Clone, Debug)]
pub struct MigrationFlags {
    /// Where the data is: dump:PATH, jsonl:PATH …
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it goes: dump:PATH, jsonl:PATH, null: …
    #[arg(long, value_name = "URL")]
    to: String,
    /// Only these collections; db.coll with * for any characters
    #[arg(long, value_name = "DB.COLL", num_args = 1..)]
    include: Vec<String>,
    /// Not these collections; db.coll with * for any characters
    #[arg(long, value_name = "DB.COLL", num_args = 1..)]
    exclude: Vec<String>,
    /// Other names at the target: shop.orders=store.orders, or shop.*=store.*
    #[arg(long, value_name = "FROM=TO", num_args = 1.., value_parser = rename)]
    rename: Vec<(String, String)>,
    /// How the data goes
    #[arg(long, value_enum, default_value_t = ModeFlag::DumpAndRestore)]
    mode: ModeFlag,
    /// What is done where the target holds something already
    #[arg(long, value_enum, default_value_t = WriteFlag::FailIfExists)]
    write: WriteFlag,
    /// How both sides are compared at the end: hash, but for null:, which keeps nothing to compare
    #[arg(long, value_enum)]
    verify: Option<VerifyFlag>,
    /// Documents of a chunk at the most
    #[arg(long, value_name = "N")]
    chunk_documents: Option<u64>,
    /// Bytes of a chunk at the most, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = crate::input::bytes)]
    chunk_bytes: Option<u64>,
    /// Sizes of pools, such as dump=4 restore=8; sized by the machine where nothing is said
    #[arg(long, value_name = "KIND=N", num_args = 1.., value_parser = pool)]
    pools: Vec<(String, u32)>,
    /// Where dumped chunks lie meanwhile: file:PATH
    #[arg(long, value_name = "URL")]
    spool: Option<String>,
    /// Do not compress dumped chunks
    #[arg(long)]
    no_compression: bool,
    /// Documents that the target may refuse without the job counting as failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    allow_dead_letters: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeFlag {
    DumpAndRestore,
    Direct,
    DumpOnly,
    RestoreOnly,
    Simulate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WriteFlag {
    FailIfExists,
    Overwrite,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VerifyFlag {
    /// Not at all
    None,
    /// By counting
    Counts,
    /// Every document, byte for byte
    Hash,
}

fn rename(text: &str) -> Result<(String, String), String> {
    let halves = text.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty());
    let (from, to) = halves.ok_or_else(|| format!("expected FROM=TO such as shop.*=store.*, found {text:?}"))?;
    Ok((from.to_owned(), to.to_owned()))
}

fn pool(text: &str) -> Result<(String, u32), String> {
    let bad = || format!("expected KIND=N with a kind of plan, dump, restore, index, verify, found {text:?}");
    let (kind, size) = text.split_once('=').ok_or_else(bad)?;
    if !["plan", "dump", "restore", "index", "verify"].contains(&kind) {
        return Err(bad());
    }
    Ok((kind.to_owned(), size.parse().map_err(|_| bad())?))
}

impl MigrationFlags {
    /// The specification; paths become absolute, so that the same command elsewhere is another job.
    pub fn spec(&self) -> Result<Spec, Failure> {
        let mut pools = Pools::default();
        for (kind, size) in &self.pools {
            let pool = match kind.as_str() {
                "plan" => &mut pools.plan,
                "dump" => &mut pools.dump,
                "restore" => &mut pools.restore,
                "index" => &mut pools.index,
                _ => &mut pools.verify,
            };
            *pool = Some(*size);
        }
        let standard = ChunkTarget::default();
        Ok(Spec {
            from: absolute(&self.from)?,
            to: absolute(&self.to)?,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            renames: self.rename.iter().cloned().map(|(from, to)| Rename { from, to }).collect(),
            mode: match self.mode {
                ModeFlag::DumpAndRestore => Mode::DumpAndRestore,
                ModeFlag::Direct => Mode::Direct,
                ModeFlag::DumpOnly => Mode::DumpOnly,
                ModeFlag::RestoreOnly => Mode::RestoreOnly,
                ModeFlag::Simulate => Mode::Simulate,
            },
            write: match self.write {
                WriteFlag::FailIfExists => WriteMode::FailIfExists,
                WriteFlag::Overwrite => WriteMode::Overwrite,
                WriteFlag::Merge => WriteMode::Merge,
            },
            verify: match self.verify {
                Some(VerifyFlag::None) => Verify::None,
                Some(VerifyFlag::Counts) => Verify::Counts,
                Some(VerifyFlag::Hash) => Verify::Hash,
                None if self.to.starts_with("null:") => Verify::None,
                None => Verify::Hash,
            },
            chunks: ChunkTarget {
                documents: self.chunk_documents.unwrap_or(standard.documents),
                bytes: self.chunk_bytes.unwrap_or(standard.bytes),
                ..standard
            },
            pools,
            spool: self.spool.as_deref().map(absolute).transpose()?,
            compression: if self.no_compression { Compression::None } else { Compression::Zstd },
            allow_dead_letters: self.allow_dead_letters,
            ..Spec::default()
        })
    }
}

/// An endpoint with an absolute path, where it has one.
fn absolute(url: &str) -> Result<String, Failure> {
    for scheme in ["dump:", "jsonl:", "file:"] {
        if let Some(path) = url.strip_prefix(scheme) {
            let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            if path.is_empty() || path.starts_with('/') {
                return Ok(url.to_owned());
            }
            let whole = std::path::absolute(Path::new(path))?;
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return Ok(format!("{scheme}{}{query}", whole.display()));
        }
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_becomes_absolute_and_keeps_its_options() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("dump:out?gzip=true").unwrap(), format!("dump:{}/out?gzip=true", here.display()));
        assert_eq!(absolute("dump:/x").unwrap(), "dump:/x");
        assert_eq!(absolute("null:").unwrap(), "null:");
    }

    #[test]
    fn a_pool_has_a_kind_and_a_size() {
        assert_eq!(pool("dump=4"), Ok(("dump".into(), 4)));
        assert!(pool("dumps=4").unwrap_err().contains("plan, dump, restore"));
        assert!(pool("dump").is_err());
    }
}
