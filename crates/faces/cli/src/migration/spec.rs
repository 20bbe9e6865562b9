//! What was typed about a migration, lowered to a job's specification.

use super::flags::{
    EngineFlag, ExhaustedFlag, IndexesFlag, MigrationFlags, ModeFlag, NeedsFlags, RepairFlags, SelectionFlags,
    VerifyFlag, WriteFlag,
};
use crate::failure::Failure;
use capstan_migration::{
    Compression, Engine, Filter, IndexTime, Mode, OnExhausted, Priority, Rename, Spec, Verify, WriteMode,
};
use serde_json::Value;
use std::path::Path;

/// A specification from a file, in JSON where it looks so, else in TOML.
pub fn read(file: &Path) -> Result<Spec, Failure> {
    let at = |problem: String| Failure::Usage(format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?;
    if file.extension().is_some_and(|extension| extension == "json") || text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| at(error.to_string()));
    }
    // What toml says of an error quotes the line, and a line may hold a password.
    toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map(|span| text.as_bytes()[..span.start].iter().filter(|byte| **byte == b'\n').count() + 1);
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        at(format!("{line}{}", error.message()))
    })
}

/// The same with absolute paths, so that the same command elsewhere is another job.
pub fn settled(mut spec: Spec) -> Result<Spec, Failure> {
    for url in [Some(&mut spec.from), Some(&mut spec.to), spec.spool.as_mut()].into_iter().flatten() {
        *url = absolute(url)?;
    }
    Ok(spec)
}

impl MigrationFlags {
    /// The specification: what the file says, or the defaults, and what was typed before it.
    pub fn spec(&self) -> Result<Spec, Failure> {
        let mut spec = self.spec.as_deref().map_or_else(|| Ok(Spec::default()), read)?;
        let filed = self.spec.is_some();
        self.endpoints(&mut spec);
        self.selection.apply(&mut spec);
        if !self.rename.is_empty() {
            spec.renames = self.rename.iter().cloned().map(|(from, to)| Rename { from, to }).collect();
        }
        self.manner(&mut spec, filed);
        self.repair.apply(&mut spec);
        self.pace(&mut spec);
        self.needs.apply(&mut spec);
        self.failures(&mut spec);
        let needs = [
            ("--from", spec.from.is_empty() && spec.mode != Mode::RestoreOnly),
            ("--to", spec.to.is_empty() && !matches!(spec.mode, Mode::DumpOnly | Mode::Simulate)),
        ];
        if let Some((flag, _)) = needs.into_iter().find(|(_, missing)| *missing) {
            return Err(Failure::Usage(format!(
                "{flag} is missing; give an address such as mongodb://HOST or dump:PATH"
            )));
        }
        settled(spec)
    }

    fn endpoints(&self, spec: &mut Spec) {
        set(&mut spec.from, self.from.clone());
        set(&mut spec.to, self.to.clone());
        spec.spool = self.spool.clone().or(spec.spool.take());
        spec.dump = self.dump.clone().or(spec.dump.take());
    }

    fn manner(&self, spec: &mut Spec, filed: bool) {
        set(&mut spec.mode, self.mode.map(ModeFlag::meant));
        set(&mut spec.engine, self.engine.map(EngineFlag::meant));
        set(&mut spec.write, self.write.map(WriteFlag::meant));
        set(&mut spec.indexes, self.indexes.map(IndexesFlag::meant));
        match self.verify {
            Some(verify) => spec.verify = verify.meant(),
            // It keeps nothing to compare.
            None if !filed && spec.to.starts_with("null:") => spec.verify = Verify::None,
            None => {}
        }
        set(&mut spec.chunks.documents, self.chunk_documents);
        set(&mut spec.chunks.bytes, self.chunk_bytes);
        set(&mut spec.chunks.max, self.chunk_max);
        if self.no_compression {
            spec.compression = Compression::None;
        }
        set(&mut spec.allow_dead_letters, self.allow_dead_letters);
    }

    fn pace(&self, spec: &mut Spec) {
        let pace = &self.pace;
        for (kind, size) in &pace.pools {
            let pools = &mut spec.pools;
            let pool = match kind.as_str() {
                "plan" => &mut pools.plan,
                "dump" => &mut pools.dump,
                "restore" => &mut pools.restore,
                "index" => &mut pools.index,
                _ => &mut pools.verify,
            };
            *pool = Some(*size);
        }
        spec.pools.adaptive |= pace.adaptive;
        spec.rates.documents = pace.rate_documents.or(spec.rates.documents);
        spec.rates.bytes = pace.rate_bytes.or(spec.rates.bytes);
        spec.rates.operations = pace.operations.or(spec.rates.operations);
        if !self.priority.is_empty() {
            let ranked = self.priority.iter().cloned();
            spec.priorities = ranked.map(|(collection, priority)| Priority { collection, priority }).collect();
        }
    }

    fn failures(&self, spec: &mut Spec) {
        set(&mut spec.retry.on_exhausted, self.on_exhausted.map(ExhaustedFlag::meant));
        set(&mut spec.retry.attempts, self.attempts);
        set(&mut spec.stuck.after_seconds, self.stuck_after.map(|after| after.as_secs()));
        spec.stuck.revoke |= self.revoke_stuck;
    }
}

impl SelectionFlags {
    /// Puts what was typed into a specification.
    pub fn apply(&self, spec: &mut Spec) {
        if !self.include.is_empty() {
            spec.include = self.include.clone();
        }
        if !self.exclude.is_empty() {
            spec.exclude = self.exclude.clone();
        }
        if !self.filter.is_empty() {
            let filters = self.filter.iter().cloned();
            spec.filters = filters.map(|(collection, query)| Filter { collection, query }).collect();
        }
    }
}

impl NeedsFlags {
    /// Puts what was typed into a specification.
    pub fn apply(&self, spec: &mut Spec) {
        let expected = &mut spec.resources;
        expected.cpu_percent = self.expect_cpu.or(expected.cpu_percent);
        expected.memory_mb = self.expect_memory.or(expected.memory_mb);
        expected.priority = self.job_priority.or(expected.priority);
    }
}

impl RepairFlags {
    /// Puts what was typed into a specification.
    pub fn apply(&self, spec: &mut Spec) {
        spec.repair |= self.repair;
        spec.delete_extra |= self.delete_extra;
        spec.ignore_field_order |= self.ignore_field_order;
    }
}

fn set<T>(field: &mut T, typed: Option<T>) {
    if let Some(typed) = typed {
        *field = typed;
    }
}

impl ModeFlag {
    fn meant(self) -> Mode {
        match self {
            Self::DumpAndRestore => Mode::DumpAndRestore,
            Self::Direct => Mode::Direct,
            Self::DumpOnly => Mode::DumpOnly,
            Self::RestoreOnly => Mode::RestoreOnly,
            Self::Simulate => Mode::Simulate,
        }
    }
}

impl EngineFlag {
    fn meant(self) -> Engine {
        match self {
            Self::Native => Engine::Native,
            Self::MongoTools => Engine::MongoTools,
        }
    }
}

impl WriteFlag {
    fn meant(self) -> WriteMode {
        match self {
            Self::FailIfExists => WriteMode::FailIfExists,
            Self::Overwrite => WriteMode::Overwrite,
            Self::Merge => WriteMode::Merge,
        }
    }
}

impl IndexesFlag {
    fn meant(self) -> IndexTime {
        match self {
            Self::Before => IndexTime::Before,
            Self::After => IndexTime::After,
            Self::None => IndexTime::None,
        }
    }
}

impl VerifyFlag {
    /// How both sides are compared.
    pub fn meant(self) -> Verify {
        match self {
            Self::None => Verify::None,
            Self::Counts => Verify::Counts,
            Self::Hash => Verify::Hash,
        }
    }
}

impl ExhaustedFlag {
    fn meant(self) -> OnExhausted {
        match self {
            Self::Pause => OnExhausted::Pause,
            Self::Skip => OnExhausted::Skip,
            Self::Fail => OnExhausted::Fail,
        }
    }
}

/// An endpoint with an absolute path, where it has one.
pub fn absolute(url: &str) -> Result<String, Failure> {
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

/// The specification as the JSON that servers take.
pub fn json(spec: &Spec) -> Result<String, Failure> {
    let value: Value = serde_json::to_value(spec).map_err(|error| Failure::Failed(error.into()))?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        flags: MigrationFlags,
    }

    fn spec(typed: &[&str]) -> Result<Spec, Failure> {
        Typed::try_parse_from([&["x"], typed].concat()).unwrap().flags.spec()
    }

    #[test]
    fn a_relative_path_becomes_absolute_and_keeps_its_options() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("dump:out?gzip=true").unwrap(), format!("dump:{}/out?gzip=true", here.display()));
        assert_eq!(absolute("dump:/x").unwrap(), "dump:/x");
        assert_eq!(absolute("null:").unwrap(), "null:");
    }

    #[test]
    fn what_is_typed_goes_before_what_the_file_says() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let text = "from = 'dump:/a'\nto = 'dump:/b'\nverify = 'counts'\n[pools]\ndump = 3\nrestore = 5\n[rates]\nbytes = 7\n[resources]\npriority = 5\nmemory_mb = 9";
        std::fs::write(file.path(), text).unwrap();
        let file = file.path().to_str().unwrap();

        let typed = ["--to", "dump:/c", "--pools", "dump=9", "--rate-documents", "2", "--job-priority", "-1"];
        let spec = spec(&[&["--spec", file], &typed[..]].concat()).unwrap();

        assert_eq!((spec.from.as_str(), spec.to.as_str(), spec.verify), ("dump:/a", "dump:/c", Verify::Counts));
        assert_eq!((spec.pools.dump, spec.pools.restore), (Some(9), Some(5)));
        assert_eq!((spec.rates.documents, spec.rates.bytes), (Some(2), Some(7)));
        assert_eq!((spec.resources.priority, spec.resources.memory_mb), (Some(-1), Some(9.0)));
    }

    #[test]
    fn every_flag_finds_its_field() {
        let typed = spec(&[
            "--from",
            "mongodb://a",
            "--to",
            "mongodb://b",
            "--include",
            "s.*",
            "--exclude",
            "s.t",
            "--filter",
            "s.o={}",
            "--rename",
            "s.*=t.*",
            "--mode",
            "direct",
            "--engine",
            "mongo-tools",
            "--write",
            "merge",
            "--indexes",
            "none",
            "--verify",
            "hash",
            "--repair",
            "--delete-extra",
            "--ignore-field-order",
            "--chunk-documents",
            "1",
            "--chunk-bytes",
            "2KiB",
            "--chunk-max",
            "3",
            "--pools",
            "plan=4",
            "--adaptive",
            "--rate-documents",
            "5",
            "--rate-bytes",
            "6",
            "--operations",
            "7",
            "--priority",
            "s.o=-8",
            "--expect-cpu",
            "12.5",
            "--expect-memory",
            "300",
            "--job-priority",
            "-3",
            "--on-exhausted",
            "skip",
            "--attempts",
            "9",
            "--stuck-after",
            "10s",
            "--revoke-stuck",
            "--spool",
            "s3://b/p",
            "--dump",
            "d",
            "--no-compression",
            "--allow-dead-letters",
            "11",
        ])
        .unwrap();

        let expected: Spec = serde_json::from_value(serde_json::json!({
            "from": "mongodb://a", "to": "mongodb://b", "include": ["s.*"], "exclude": ["s.t"],
            "filters": [{ "collection": "s.o", "query": "{}" }], "renames": [{ "from": "s.*", "to": "t.*" }],
            "mode": "direct", "engine": "mongo-tools", "write": "merge", "indexes": "none", "verify": "hash",
            "repair": true, "delete_extra": true, "ignore_field_order": true, "chunks": { "documents": 1, "bytes": 2048, "max": 3 },
            "pools": { "plan": 4, "adaptive": true }, "rates": { "documents": 5, "bytes": 6, "operations": 7 },
            "priorities": [{ "collection": "s.o", "priority": -8 }],
            "resources": { "cpu_percent": 12.5, "memory_mb": 300.0, "priority": -3 },
            "retry": { "on_exhausted": "skip", "attempts": 9 }, "stuck": { "after_seconds": 10, "revoke": true },
            "spool": "s3://b/p", "dump": "d", "compression": "none", "allow_dead_letters": 11,
        }))
        .unwrap();
        assert_eq!(typed, expected);
    }

    #[test]
    fn an_address_may_be_left_out_only_where_the_mode_needs_none() {
        assert!(matches!(spec(&["--from", "dump:/a"]), Err(Failure::Usage(why)) if why.contains("--to")));
        assert!(matches!(spec(&["--to", "dump:/a"]), Err(Failure::Usage(why)) if why.contains("--from")));
        assert!(spec(&["--from", "dump:/a", "--mode", "dump-only"]).is_ok());
        assert!(spec(&["--from", "dump:/a", "--mode", "simulate"]).is_ok());
        assert!(spec(&["--to", "dump:/a", "--mode", "restore-only"]).is_ok());
    }

    #[test]
    fn a_fault_in_a_file_is_told_without_the_line_that_may_hold_a_password() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), "to = 'dump:/b'\nform = 'mongodb://ann:hunter2@db1/'").unwrap();
        let Err(Failure::Usage(why)) = read(file.path()) else { panic!("it was read") };
        assert!(why.contains("line 2") && why.contains("form") && !why.contains("hunter2"), "{why}");
    }
}
