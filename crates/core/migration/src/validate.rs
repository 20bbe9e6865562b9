//! Everything that can be wrong with a specification, found at once.

use crate::address::{hides_a_password, scheme};
use crate::limits::{CHUNKS_MAX, PATTERN_BYTES_MAX, PATTERNS_MAX, POOL_MAX, URL_BYTES_MAX};
use crate::rejection::SpecFault;
use crate::selection::Selection;
use crate::spec::{Mode, Spec};

/// Every fault of the specification; none is a specification that can be tried.
pub(crate) fn faults(spec: &Spec) -> Vec<SpecFault> {
    let mut found = Faults(Vec::new());
    found.address("from", &spec.from);
    found.address("to", &spec.to);
    if !spec.from.is_empty() && spec.from == spec.to {
        found.add("to", "is the address that is read from; a job moves from one place to another");
    }
    if let Some(spool) = &spec.spool {
        found.address("spool", spool);
        if spec.mode == Mode::Direct {
            found.add("spool", "is of no use in mode direct, which has none; leave it out");
        }
    }
    found.selection(spec);
    found.mode(spec.mode);
    found.chunks(spec);
    found.pools(spec);
    found.retry(spec);
    if spec.repair {
        found.add("repair", "is not supported yet; run the job, then mend the target with `capstan verify --repair`");
    }
    if spec.delete_extra && !spec.repair {
        found.add("delete_extra", "needs `repair = true`");
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

    fn mode(&mut self, mode: Mode) {
        let name = match mode {
            Mode::DumpAndRestore | Mode::Direct => return,
            Mode::DumpOnly => "dump-only",
            Mode::RestoreOnly => "restore-only",
            Mode::Simulate => "simulate",
            Mode::Verify => "verify",
        };
        self.add("mode", format!("{name} is not supported yet; use dump-and-restore or direct"));
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
            mode = "simulate"
            delete_extra = true
            chunks = { documents = 0, max = 20000 }
            pools = { dump = 5000 }
            retry = { attempts = 0 }
            "#,
        ));

        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let expected = [
            "from",
            "to",
            "include[0]",
            "mode",
            "chunks.documents",
            "chunks.max",
            "pools.dump",
            "retry.attempts",
            "delete_extra",
        ];
        assert_eq!(fields, expected);
        assert!(!format!("{faults:?}").contains("hunter2"), "a fault never repeats a password");
    }

    #[test]
    fn an_ordinary_specification_has_no_fault() {
        for text in [
            "from = 'dump:a'\nto = 'kv://shop'",
            "from = 'mongodb://ann:secret:db1@db1'\nto = 'dump:b.archive.gz'\nmode = 'direct'\nverify = 'none'",
        ] {
            assert_eq!(faults(&spec(text)), []);
        }
    }
}
