//! What `cargo test` prints, read line by line: counts, failures with their output, and what is worth showing.

use super::skipped::Skipped;

/// How much of a suite's output is shown when it ends without a verdict.
const LAST_LINES: usize = 60;

/// The state of reading one run.
#[derive(Default)]
pub struct Transcript {
    pub passed: usize,
    pub failures: Vec<String>,
    pub ignored: Vec<Skipped>,
    suite: Option<Suite>,
}

/// One test program, or the documentation tests of one crate.
struct Suite {
    name: String,
    has_result: bool,
    in_failures: bool,
    lines: Vec<String>,
}

impl Transcript {
    /// Takes the next line, and returns what to print.
    pub fn line(&mut self, line: &str) -> Vec<String> {
        if let Some(name) = suite_name(line) {
            let shown = self.end_suite();
            self.suite = Some(Suite { name, has_result: false, in_failures: false, lines: Vec::new() });
            return shown;
        }
        let Some(suite) = &mut self.suite else {
            // Before the first suite only cargo speaks; afterwards it only repeats which suites failed.
            return if line.starts_with("error") { vec![line.to_owned()] } else { Vec::new() };
        };
        suite.lines.push(line.to_owned());
        if let Some(outcome) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) {
            match outcome {
                (name, "FAILED") => self.failures.push(format!("{}: {name}", suite.name)),
                (name, outcome) if outcome.starts_with("ignored") => {
                    let reason = outcome.trim_start_matches("ignored").trim_start_matches(", ");
                    let reason = if reason.is_empty() { "ignored" } else { reason };
                    self.ignored.push(Skipped { name: name.to_owned(), reason: reason.to_owned() });
                }
                _ => {}
            }
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            let passed = count(counts, "passed").unwrap_or(0);
            let failed = count(counts, "failed").unwrap_or(0);
            self.passed += passed;
            suite.has_result = true;
            suite.in_failures = false;
            return vec![format!("    {}: {passed} passed, {failed} failed", suite.name)];
        }
        if line == "failures:" {
            suite.in_failures = true;
        }
        if suite.in_failures { vec![line.to_owned()] } else { Vec::new() }
    }

    /// Takes the end of the run. A run that failed without a failed test failed itself.
    pub fn end(&mut self, success: bool) -> Vec<String> {
        let shown = self.end_suite();
        if !success && self.failures.is_empty() {
            self.failures.push("cargo test".to_owned());
        }
        shown
    }

    /// A suite that printed no result was killed, aborted or never started.
    fn end_suite(&mut self) -> Vec<String> {
        let Some(suite) = self.suite.take().filter(|suite| !suite.has_result) else { return Vec::new() };
        self.failures.push(format!("{}: ended without a result", suite.name));
        suite.lines[suite.lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }
}

/// `     Running unittests src/lib.rs (target/debug/deps/capstan_work-0123456789abcdef)`, `   Doc-tests capstan_work`
fn suite_name(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} doc tests"));
    }
    let (file, program) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let program = program.rsplit('/').next()?;
    let name = program.rsplit_once('-').map_or(program, |(name, _)| name);
    Some(format!("{name} {}", file.trim_start_matches("unittests ")))
}

fn count(counts: &str, what: &str) -> Option<usize> {
    counts.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "   Compiling capstan-work v0.1.0
     Running unittests src/lib.rs (target/debug/deps/capstan_work-0123456789abcdef)

running 4 tests
test lease::a ... ok
test lease::b ... FAILED
test lease::c ... ok
test lease::d ... ignored, too slow

failures:

---- lease::b stdout ----
it broke

failures:
    lease::b

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

error: test failed, to rerun pass `-p capstan-work --lib`
     Running tests/crash.rs (target/debug/deps/crash-0123456789abcdef)

running 1 test
thread main panicked
error: test failed, to rerun pass `-p capstan-work --test crash`
   Doc-tests capstan_work

running 2 tests
test src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test src/lib.rs - (line 9) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn passed_failed_ignored_and_aborted_tests_are_all_counted() {
        let mut transcript = Transcript::default();

        let mut shown = RUN.lines().flat_map(|line| transcript.line(line)).collect::<Vec<_>>();
        shown.extend(transcript.end(false));

        assert_eq!(transcript.passed, 4);
        assert_eq!(
            transcript.failures,
            ["capstan_work src/lib.rs: lease::b", "crash tests/crash.rs: ended without a result"]
        );
        assert_eq!(
            transcript.ignored.iter().map(Skipped::to_string).collect::<Vec<_>>(),
            ["skipped: lease::d: too slow"]
        );
        assert!(
            shown.contains(&"it broke".to_owned()) && shown.contains(&"thread main panicked".to_owned()),
            "{shown:#?}"
        );
        assert!(!shown.iter().any(|line| line.contains("lease::a")), "{shown:#?}");
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_is_a_failure() {
        let mut transcript = Transcript::default();
        let shown = transcript.line("error: could not compile `capstan-work`");

        transcript.end(false);

        assert_eq!(shown.len(), 1);
        assert_eq!(transcript.failures, ["cargo test"]);
    }

    #[test]
    fn a_clean_run_has_no_failures() {
        let mut transcript = Transcript::default();
        transcript.line("     Running unittests src/main.rs (target/debug/deps/xtask-0123456789abcdef)");
        transcript
            .line("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");

        transcript.end(true);

        assert_eq!((transcript.passed, transcript.failures.len()), (3, 0));
    }
}
