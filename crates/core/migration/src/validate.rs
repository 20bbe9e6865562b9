//! Everything that can be wrong with a specification, found at once.

use crate::address::{hides_a_password, scheme};
use crate::limits::{
    CHUNKS_MAX, MEMORY_MB_MAX, PATTERN_BYTES_MAX, PATTERNS_MAX, POOL_MAX, STUCK_SECONDS_MAX, URL_BYTES_MAX,
};
use crate::name::JobName;
use crate::rejection::SpecFault;
use crate::selection::{Pattern, Selection};
use crate::spec::{Engine, Mode, Priority, Rates, Spec, Verify, WriteMode};

/// Every fault of the specification; none is a specification that can be tried.
pub(crate) fn faults(spec: &Spec) -> Vec<SpecFault> {
    let mut found = Faults(Vec::new());
    found.endpoints(spec);
    found.spool(spec);
    found.selection(spec);
    found.chunks(spec);
    found.pools(spec);
    found.retry(spec);
    found.0.extend(rate_faults(&spec.rates));
    found.expectations(spec);
    found.proof(spec);
    found.0
}

/// What is wrong with rates, given with a job or later.
pub(crate) fn rate_faults(rates: &Rates) -> Vec<SpecFault> {
    let mut found = Faults(Vec::new());
    for (field, rate) in [("rates.documents", rates.documents), ("rates.bytes", rates.bytes)] {
        if rate == Some(0) {
            found.add(field, "must be at least 1 a second; leave it out for no limit, or pause the job");
        }
    }
    if let Some(operations) = rates.operations.filter(|operations| !(1..=POOL_MAX).contains(operations)) {
        found.add("rates.operations", format!("must be 1 to {POOL_MAX}, found {operations}"));
    }
    found.0
}

/// What is wrong with priorities, given with a job or later.
pub(crate) fn priority_faults(field: &str, priorities: &[Priority]) -> Vec<SpecFault> {
    let mut found = Faults(Vec::new());
    if priorities.len() > PATTERNS_MAX {
        found.add(field, format!("has {} entries; there may be {PATTERNS_MAX}", priorities.len()));
    }
    for (place, ranked) in priorities.iter().enumerate() {
        let length = ranked.collection.len();
        if length > PATTERN_BYTES_MAX {
            found.add(
                format!("{field}[{place}].collection"),
                format!("has {length} bytes; a pattern has at most {PATTERN_BYTES_MAX}"),
            );
        } else if let Err(problem) = Pattern::parse(&ranked.collection) {
            found.add(format!("{field}[{place}].collection"), problem);
        }
        if !(-100..=100).contains(&ranked.priority) {
            found.add(format!("{field}[{place}].priority"), format!("must be -100 to 100, found {}", ranked.priority));
        }
    }
    found.0
}

struct Faults(Vec<SpecFault>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(SpecFault { field: field.into(), problem: problem.into() });
    }

    fn address(&mut self, field: &str, url: &str) {
        if url.is_empty() {
            self.add(field, "is missing; write an address such as dump:./backup or mongodb://host");
        } else if url.len() > URL_BYTES_MAX {
            self.add(field, format!("has {} bytes; an address has at most {URL_BYTES_MAX}", url.len()));
        } else if hides_a_password(url) {
            // The address is not repeated here: the password is in it.
            self.add(
                field,
                "holds a password, which a job never keeps; put it into a secret and write secret:NAME in its place",
            );
        } else if scheme(url).is_none() {
            self.add(field, "must begin with a scheme and a colon, as in dump:./backup or mongodb://host");
        }
    }

    fn selection(&mut self, spec: &Spec) {
        let filters = || spec.filters.iter().map(|filter| filter.collection.len());
        let renames = || spec.renames.iter().map(|rename| rename.from.len().max(rename.to.len()));
        let texts = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or_default();
        for (field, count, longest) in [
            ("include", spec.include.len(), texts(&spec.include)),
            ("exclude", spec.exclude.len(), texts(&spec.exclude)),
            ("renames", spec.renames.len(), renames().max().unwrap_or_default()),
            ("filters", spec.filters.len(), filters().max().unwrap_or_default()),
        ] {
            if count > PATTERNS_MAX {
                self.add(field, format!("has {count} entries; there may be {PATTERNS_MAX}"));
            }
            if longest > PATTERN_BYTES_MAX {
                self.add(field, format!("has a pattern of {longest} bytes; one has at most {PATTERN_BYTES_MAX}"));
            }
        }
        self.0.extend(priority_faults("priorities", &spec.priorities));
        if spec.mode == Mode::RestoreOnly && !spec.filters.is_empty() {
            self.add(
                "filters",
                "are of no use in mode restore-only: a dump is restored as it was filtered when it was made",
            );
        }
        if let Err(faults) = Selection::of(spec) {
            for (field, problem) in faults {
                self.add(field, problem);
            }
        }
        for (place, filter) in spec.filters.iter().enumerate() {
            let query = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&filter.query);
            if let Err(error) = query {
                self.add(format!("filters[{place}].query"), format!("is no JSON object: {error}"));
            }
        }
    }

    fn endpoints(&mut self, spec: &Spec) {
        // What a mode has no use for may be left out; what is said all the same must still be an address.
        if !spec.from.is_empty() || spec.mode != Mode::RestoreOnly {
            self.address("from", &spec.from);
        }
        if !spec.to.is_empty() || !matches!(spec.mode, Mode::DumpOnly | Mode::Simulate) {
            self.address("to", &spec.to);
        }
        let is_mongodb = |url: &str| matches!(scheme(url), Some("mongodb" | "mongodb+srv"));
        // Whether other words name the same place is found out by whoever opens both.
        let apart = is_mongodb(&spec.to) && !spec.renames.is_empty();
        if !spec.from.is_empty() && spec.from == spec.to && !apart {
            self.add(
                "to",
                "is the address that is read from; a job moves from one place to another, or, within one server, to other names (`renames`)",
            );
        }
        if spec.engine == Engine::MongoTools && !is_mongodb(&spec.from) && !is_mongodb(&spec.to) {
            self.add("engine", "mongo-tools reads and writes MongoDB only, and neither address is one");
        }
    }

    fn spool(&mut self, spec: &Spec) {
        let mode = spec.mode;
        if let Some(spool) = &spec.spool {
            self.address("spool", spool);
            if matches!(mode, Mode::Direct | Mode::Simulate | Mode::Verify) {
                self.add("spool", format!("is of no use in mode {}, which has none; leave it out", mode.name()));
            }
        }
        let Some(dump) = &spec.dump else { return };
        if mode != Mode::RestoreOnly {
            self.add("dump", format!("is of no use in mode {}; only restore-only reads a kept dump", mode.name()));
        } else if JobName::new(dump).is_err() {
            self.add("dump", "must be the name of the job that made the dump");
        }
    }

    fn expectations(&mut self, spec: &Spec) {
        if !(1..=STUCK_SECONDS_MAX).contains(&spec.stuck.after_seconds) {
            let found = spec.stuck.after_seconds;
            self.add("stuck.after_seconds", format!("must be 1 to {STUCK_SECONDS_MAX} (a week), found {found}"));
        }
        if let Some(percent) = spec.resources.cpu_percent.filter(|percent| !(0.0..=100.0).contains(percent)) {
            self.add("resources.cpu_percent", format!("must be 0 to 100, found {percent}"));
        }
        let most = MEMORY_MB_MAX as f64;
        if let Some(memory) = spec.resources.memory_mb.filter(|memory| !(0.0..=most).contains(memory)) {
            self.add("resources.memory_mb", format!("must be 0 to {MEMORY_MB_MAX}, found {memory}"));
        }
        if let Some(priority) = spec.resources.priority.filter(|priority| !(-100..=100).contains(priority)) {
            self.add("resources.priority", format!("must be -100 to 100, found {priority}"));
        }
    }

    fn proof(&mut self, spec: &Spec) {
        match (spec.mode, spec.verify) {
            (Mode::Verify, Verify::None) => self.add("verify", "must be hash or counts in mode verify"),
            (Mode::DumpOnly, Verify::Counts) => {
                self.add("verify", "must be hash or none in mode dump-only: parts are read again, or they are not");
            }
            _ => {}
        }
        if spec.repair {
            if matches!(spec.mode, Mode::DumpOnly | Mode::Simulate) {
                self.add("repair", format!("is of no use in mode {}, which writes no target", spec.mode.name()));
            }
            if spec.verify != Verify::Hash {
                self.add("repair", "needs `verify = \"hash\"`: nothing else says which documents are wrong");
            }
        }
        if spec.ignore_field_order {
            if matches!(spec.mode, Mode::DumpOnly | Mode::Simulate) {
                let mode = spec.mode.name();
                self.add("ignore_field_order", format!("is of no use in mode {mode}, which compares no target"));
            }
            if spec.verify != Verify::Hash {
                self.add("ignore_field_order", "needs `verify = \"hash\"`: nothing else looks at fields");
            }
        }
        if spec.delete_extra && spec.write == WriteMode::Merge && spec.mode != Mode::Verify {
            self.add("delete_extra", "would remove what write mode merge leaves in place; choose one of them");
        }
        if spec.delete_extra && !spec.repair {
            self.add("delete_extra", "needs `repair = true`");
        }
    }

    fn chunks(&mut self, spec: &Spec) {
        let chunks = &spec.chunks;
        if chunks.documents == 0 {
            self.add("chunks.documents", "must be at least 1");
        }
        if !(1..=1 << 40).contains(&chunks.bytes) {
            self.add("chunks.bytes", format!("must be 1 to {} (1 TiB), found {}", 1_u64 << 40, chunks.bytes));
        }
        if !(1..=CHUNKS_MAX).contains(&chunks.max) {
            self.add("chunks.max", format!("must be 1 to {CHUNKS_MAX}, found {}", chunks.max));
        }
    }

    fn pools(&mut self, spec: &Spec) {
        let pools = &spec.pools;
        for (kind, size) in [
            ("plan", pools.plan),
            ("dump", pools.dump),
            ("restore", pools.restore),
            ("index", pools.index),
            ("verify", pools.verify),
        ] {
            if let Some(size) = size.filter(|size| !(1..=POOL_MAX).contains(size)) {
                self.add(format!("pools.{kind}"), format!("must be 1 to {POOL_MAX}, found {size}"));
            }
        }
    }

    fn retry(&mut self, spec: &Spec) {
        let retry = &spec.retry;
        if !(1..=1_000).contains(&retry.attempts) {
            self.add("retry.attempts", format!("must be 1 to 1000, found {}", retry.attempts));
        }
        let longest = 24 * 3_600 * 1_000;
        if retry.backoff_max_ms > longest || retry.backoff_ms > retry.backoff_max_ms {
            let found = format!("{} to {}", retry.backoff_ms, retry.backoff_max_ms);
            self.add(
                "retry.backoff_ms",
                format!("and backoff_max_ms must be 0 to {longest}, the first not above the longest, found {found}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = faults(&spec(
            r#"
            from = "mongodb://ann:hunter2@db1/"
            to = "backup"
            include = ["shop"]
            mode = "direct"
            engine = "mongo-tools"
            verify = "counts"
            repair = true
            spool = "file:/spool"
            dump = "a b"
            priorities = [{ collection = "shop", priority = 101 }]
            rates = { documents = 0, operations = 5000 }
            stuck = { after_seconds = 0 }
            resources = { cpu_percent = 101.0, memory_mb = -1.0, priority = 101 }
            chunks = { documents = 0, max = 20000 }
            pools = { dump = 5000 }
            retry = { attempts = 0 }
            "#,
        ));

        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let expected = [
            "from",
            "to",
            "spool",
            "dump",
            "priorities[0].collection",
            "priorities[0].priority",
            "include[0]",
            "chunks.documents",
            "chunks.max",
            "pools.dump",
            "retry.attempts",
            "rates.documents",
            "rates.operations",
            "stuck.after_seconds",
            "resources.cpu_percent",
            "resources.memory_mb",
            "resources.priority",
            "repair",
        ];
        assert_eq!(fields, expected);
        assert!(!format!("{faults:?}").contains("hunter2"), "a fault never repeats a password");
    }

    #[test]
    fn each_mode_says_what_it_has_no_use_for() {
        for (text, fields) in [
            (
                "mode = 'dump-only'\nfrom = 'dump:a'\nverify = 'counts'\nrepair = true",
                vec!["verify", "repair", "repair"],
            ),
            ("mode = 'restore-only'\nfilters = [{ collection = 'a.b', query = '{}' }]", vec!["to", "filters"]),
            ("mode = 'simulate'\nspool = 'file:/s'\ndump = 'x'", vec!["from", "spool", "dump"]),
            (
                "mode = 'verify'\nfrom = 'dump:a'\nverify = 'none'\ndelete_extra = true",
                vec!["to", "verify", "delete_extra"],
            ),
            ("from = 'dump:a'\nto = 'dump:b'\nengine = 'mongo-tools'", vec!["engine"]),
            (
                "from = 'dump:a'\nto = 'dump:b'\nverify = 'counts'\nignore_field_order = true",
                vec!["ignore_field_order"],
            ),
            ("from = 'dump:a'\nmode = 'simulate'\nignore_field_order = true", vec!["ignore_field_order"]),
            ("from = 'mongodb://a'\nto = 'mongodb://a'", vec!["to"]),
            (
                "from = 'dump:a'\nto = 'mongodb://a'\nwrite = 'merge'\nrepair = true\ndelete_extra = true",
                vec!["delete_extra"],
            ),
        ] {
            let found = faults(&spec(text));
            assert_eq!(found.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), fields, "{text}");
        }
    }

    #[test]
    fn an_ordinary_specification_has_no_fault() {
        for text in [
            "from = 'dump:a'\nmode = 'dump-only'",
            "to = 'kv://shop'\nmode = 'restore-only'\ndump = 'nightly'\nverify = 'hash'\nrepair = true",
            "from = 'dump:a'\nmode = 'simulate'",
            "from = 'dump:a'\nto = 'kv://shop'\nmode = 'verify'\nrepair = true\ndelete_extra = true",
            "from = 'mongodb://db1'\nto = 'dump:b'\nengine = 'mongo-tools'\nverify = 'counts'",
            "from = 'dump:a'\nto = 'kv://shop'",
            "from = 'mongodb://a'\nto = 'mongodb://a'\nrenames = [{ from = 'a.*', to = 'b.*' }]",
            "from = 'mongodb://ann:secret:db1@db1'\nto = 'dump:b.archive.gz'\nmode = 'direct'\nverify = 'none'",
        ] {
            assert_eq!(faults(&spec(text)), []);
        }
    }
}
