//! The whole test run: set-up, real servers, every check, every test, and one line that counts them.
//!
//! Everything is built once, in the development profile, in the one target folder. A check counts as one test. A test
//! that found nothing to test against is *skipped*, with its reason, and never counts as passed; see [`skipped`].

mod built;
mod skipped;
mod transcript;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::generate::{self, BINARY, GENERATOR, Generators};
use crate::services::{Durability, Place, Running, Service, free_port, new_folder};
use crate::workspace::{Workspace, succeed};
use crate::{promtool, setup, tidy};
use skipped::Skipped;
use transcript::Transcript;

/// The servers that tests are run against, with the variable that tells a test where its server is.
const SERVERS: [(Service, &str); 6] = [
    (Service::Redis, "CAPSTAN_TEST_REDIS_URL"),
    (Service::Postgres, "CAPSTAN_TEST_POSTGRES_URL"),
    (Service::Mongo, "CAPSTAN_TEST_MONGO_URL"),
    (Service::Ferret, "CAPSTAN_TEST_FERRET_URL"),
    (Service::Cassandra, "CAPSTAN_TEST_CASSANDRA_URL"),
    (Service::S3, "CAPSTAN_TEST_S3_URL"),
];

/// Tells the test of the alert rules where the tool is that reads them.
const PROMTOOL: &str = "CAPSTAN_TEST_PROMTOOL";

#[derive(Args)]
pub struct Options {
    /// Install and start no servers; tests that need one are skipped
    #[arg(long)]
    no_services: bool,
    /// Fail where anything is skipped, but for what needs a program that is in no package registry
    #[arg(long)]
    strict: bool,
}

/// What came of everything so far.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: Vec<Skipped>,
    failures: Vec<String>,
}

impl Tally {
    /// Runs one check, and goes on whatever comes of it: a run tells everything that is wrong.
    fn check(&mut self, name: &str, act: impl FnOnce() -> Result<()>) -> bool {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = act();
        match &outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed += 1;
                self.failures.push(name.to_owned());
            }
        }
        println!(
            "    {name} {} ({:.1} s)",
            if outcome.is_ok() { "passed" } else { "failed" },
            start.elapsed().as_secs_f64()
        );
        outcome.is_ok()
    }
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let folder = new_folder("test")?;
    let servers = if options.no_services { Vec::new() } else { start_servers(&folder)? };
    let promtool = if options.no_services { promtool::find() } else { promtool::install() };
    let mut tally = Tally::default();
    checks(workspace, &mut tally);
    if let Some(generators) = build(workspace, &mut tally) {
        tally.check("generated files", || generate::generate(workspace, &generators, true));
        tests(workspace, &servers, promtool.as_deref(), &mut tally)?;
    }
    stop_servers(servers, &folder)?;
    Ok(conclude(&tally, options.strict))
}

fn checks(workspace: &Workspace, tally: &mut Tally) {
    tally.check("format", || succeed(&mut workspace.cargo(["fmt", "--all", "--check"]), "cargo fmt"));
    // Denied as arguments and not in RUSTFLAGS: other flags there would build every dependency again.
    let clippy = ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "--deny", "warnings"];
    tally.check("lints", || succeed(&mut workspace.cargo(clippy), "cargo clippy"));
    let docs = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    tally.check("docs", || succeed(workspace.cargo(docs).env("RUSTDOCFLAGS", "--deny warnings"), "cargo doc"));
    tally.check("tidy", || tidy::run(workspace));
}

/// Builds everything that the tests run, and finds the generators in it.
fn build(workspace: &Workspace, tally: &mut Tally) -> Option<Generators> {
    let mut generators = None;
    tally.check("build", || {
        let mut programs = built::programs(workspace, &[GENERATOR, BINARY])?;
        let mut find = |name: &str| programs.remove(name).with_context(|| format!("the build made no {name}"));
        generators = Some(Generators { code: find(GENERATOR)?, documents: find(BINARY)? });
        Ok(())
    });
    generators
}

fn tests(workspace: &Workspace, servers: &[Running], promtool: Option<&Path>, tally: &mut Tally) -> Result<()> {
    println!("==> tests");
    let scratch = workspace.scratch()?;
    let skipped = scratch.join("skipped.txt");
    fs::write(&skipped, "").with_context(|| format!("create {}", skipped.display()))?;

    let mut command = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    command.env("CARGO_TERM_COLOR", "never").env(skipped::FILE_VARIABLE, &skipped);
    for (service, variable) in SERVERS {
        // A server from elsewhere would make this run depend on what somebody left in it.
        command.env_remove(variable);
        if let Some(running) = servers.iter().find(|running| running.service == service) {
            command.env(variable, &running.url);
        }
    }
    command.env_remove(PROMTOOL).envs(promtool.map(|tool| (PROMTOOL, tool)));
    let log = scratch.join("test.log");
    let transcript = follow(&mut command, File::create(&log).with_context(|| format!("create {}", log.display()))?)?;
    println!("    the whole output is in {}", log.display());

    let reported = skipped::read(&fs::read_to_string(&skipped).context("read what was skipped")?);
    // The harness does not know of these: it saw a test return without a panic.
    tally.passed += transcript.passed.saturating_sub(reported.len());
    tally.failed += transcript.failures.len();
    tally.failures.extend(transcript.failures);
    tally.skipped.extend(reported);
    tally.skipped.extend(transcript.ignored);
    Ok(())
}

/// Runs `cargo test`, copies all of its output to a log, and prints what a reader wants to see of it.
fn follow(command: &mut Command, mut log: File) -> Result<Transcript> {
    // One pipe for both, so that what cargo says stays in order with what the tests say.
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    command.stdout(writer.try_clone().context("share a pipe")?).stderr(writer);
    let mut child = command.spawn().context("start cargo test")?;
    // The command holds the writing end too; while it is open the reader would wait for ever.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());

    let mut transcript = Transcript::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(log, "{line}").context("write the log of the tests")?;
        transcript.line(&line).iter().for_each(|line| println!("{line}"));
    }
    let status = child.wait().context("wait for cargo test")?;
    transcript.end(status.success()).iter().for_each(|line| println!("{line}"));
    Ok(transcript)
}

fn start_servers(folder: &Path) -> Result<Vec<Running>> {
    println!("==> servers");
    let services = SERVERS.map(|(service, _)| service);
    let missing = setup::install(&services);
    let wanted = services.into_iter().filter(|service| !missing.contains(service)).collect::<Vec<_>>();
    for service in &missing {
        eprintln!("    {service} cannot be had on this machine: its tests are skipped");
    }
    let mut places = Vec::new();
    for service in &wanted {
        let folder = folder.join(service.name());
        places.push(Place { folder, port: free_port()?, durability: Durability::BeforeAck });
    }
    // All at once: the slowest takes as long as the others together.
    let started = thread::scope(|scope| {
        let starting = wanted.iter().zip(&places);
        let starting = starting.map(|(service, place)| scope.spawn(|| service.start(place, false))).collect::<Vec<_>>();
        starting.into_iter().map(|server| server.join().expect("starting a server does not panic")).collect::<Vec<_>>()
    });
    let mut running = Vec::new();
    for (service, server) in wanted.into_iter().zip(started) {
        match server {
            Ok(server) => {
                println!("    {} pid={}", server.url, server.pid);
                running.push(server);
            }
            Err(error) => eprintln!("    {service} does not start, its tests are skipped: {error:#}"),
        }
    }
    Ok(running)
}

fn stop_servers(servers: Vec<Running>, folder: &Path) -> Result<()> {
    for server in servers {
        server.stop()?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}

/// Lists what failed and what was skipped, and ends with the line that counts.
fn conclude(tally: &Tally, strict: bool) -> ExitCode {
    println!("==> result");
    for failure in &tally.failures {
        println!("failed: {failure}");
    }
    let (excused, unexcused) = tally.skipped.iter().partition::<Vec<_>, _>(|skipped| skipped.is_excused());
    for skipped in unexcused.iter().chain(&excused) {
        println!("{skipped}");
    }
    if strict && !unexcused.is_empty() {
        println!("strict: {} skipped that should have run", unexcused.len());
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped.len());
    let good = tally.failed == 0 && (unexcused.is_empty() || !strict);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
