//! `kills`: many clients on a real server, which is killed again and again.

use crate::check::{Violation, check};
use crate::crowd::{Crowd, history, rules};
use crate::dice::Dice;
use crate::door::{Desk, grpc::Grpc, stream::Stream};
use crate::history::{Asked, Fault, History, Outcome};
use crate::server::{Server, program};
use crate::{story, torn};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A server that was told to end may take so long.
const GRACE: Duration = Duration::from_secs(20);

/// What to do to the server, and how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// How many times something is done to the server
    #[arg(long, default_value_t = 100)]
    pub rounds: u32,
    /// Clients; every other one asks on a stream
    #[arg(long, default_value_t = 64)]
    pub clients: u32,
    /// After every kill the log is torn as a power cut may tear it
    #[arg(long)]
    pub torn: bool,
    /// Only kills: the server is neither frozen nor told to end
    #[arg(long)]
    pub only_kills: bool,
    /// A client's mean pause between two requests, in milliseconds
    #[arg(long, default_value_t = 25)]
    pub pace_ms: u64,
    /// The longest the server runs between two rounds, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    pub longest_ms: u64,
    /// Where chance begins; drawn when not given
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What a run found.
#[derive(Debug)]
pub struct Report {
    /// Where chance began.
    pub seed: u64,
    /// Everything that was seen.
    pub history: History,
    /// The promises that were broken.
    pub violations: Vec<Violation>,
    /// How often what was done to the server.
    pub faults: BTreeMap<&'static str, u32>,
    /// The longest time from a start until the server listened.
    pub slowest_start: Duration,
}

/// What is done to the server in one round.
#[derive(Clone, Copy, Debug)]
enum Round {
    Kill,
    Freeze,
    Terminate,
}

/// Runs, and prints one line a round where `is_told`.
pub async fn run(options: &Options, is_told: bool) -> Result<Report> {
    let program = program()?;
    let place = tempfile::tempdir().context("make a directory")?;
    let dir = place.path().join("data");
    std::fs::create_dir(&dir)?;
    let seed = options.seed.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    if is_told {
        println!("seed {seed}, {} clients, {} rounds, {}", options.clients, options.rounds, program.display());
    }
    let mut server = Server::start(&program, &dir).await?;
    let (http, grpc) = (server.http.clone(), server.grpc.clone());
    let mut desk = Grpc::to(&grpc)?;
    desk.open(&rules()).await?;
    let mut crowd = Crowd::new(options.clients, Duration::from_millis(options.pace_ms), seed);
    let shared = Grpc::to(&grpc)?;
    for client in 0..options.clients {
        if client % 2 == 0 { crowd.join(shared.clone()) } else { crowd.join(Stream::to(&grpc)?) }
    }

    let mut dice = Dice::new(seed, 0);
    let (mut log, mut faults) = (Vec::new(), BTreeMap::new());
    let mut slowest_start = server.startup;
    for round in 1..=options.rounds {
        tokio::time::sleep(Duration::from_millis(dice.between(options.longest_ms / 5, options.longest_ms))).await;
        let began = Instant::now();
        let at = crowd.ground().now();
        let what = match choose(options, &mut dice) {
            Round::Freeze => {
                server.freeze()?;
                tokio::time::sleep(Duration::from_millis(dice.between(100, 3_500))).await;
                server.thaw()?;
                "frozen for a while"
            }
            Round::Terminate => {
                let (status, _) = server.terminate(GRACE).await?;
                ensure!(status.success(), "a server told to end ended with {status}");
                server = Server::start_at(&program, &dir, &http, &grpc).await?;
                "told to end, started again"
            }
            Round::Kill => {
                server.kill().await?;
                let what = if options.torn { torn::tear(&dir, &mut dice)? } else { "killed, started again" };
                server = Server::start_at(&program, &dir, &http, &grpc).await?;
                what
            }
        };
        crowd.ground().correct_open(desk.unfinished().await?);
        log.push(Fault { at, what });
        *faults.entry(what).or_insert(0) += 1;
        slowest_start = slowest_start.max(server.startup);
        if is_told {
            let (ok, refused, unknown) = crowd.ground().tally();
            println!(
                "round {round:>4}  {what:<36} {:>6.2} s  {ok:>7} acknowledged {refused:>6} refused {unknown:>5} unknown",
                began.elapsed().as_secs_f64()
            );
        }
    }
    let (calls, ending) = crowd.finish(shared, &mut desk, Duration::from_secs(60)).await?;
    let (status, _) = server.terminate(GRACE).await?;
    ensure!(status.success(), "a server told to end ended with {status}");
    let history = history(calls, log);
    let violations = check(&history, &ending);
    Ok(Report { seed, history, violations, faults, slowest_start })
}

fn choose(options: &Options, dice: &mut Dice) -> Round {
    match dice.between(0, 9) {
        _ if options.only_kills || options.torn => Round::Kill,
        0 => Round::Freeze,
        1 => Round::Terminate,
        _ => Round::Kill,
    }
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// The stories of the first few violations.
    pub fn stories(&self) -> String {
        let told = self.violations.iter().take(5).map(|violation| story::tell(&self.history, violation));
        format!("{} violations with seed {}\n{}", self.violations.len(), self.seed, told.collect::<Vec<_>>().join("\n"))
    }

    /// What happened, as a table.
    pub fn table(&self) -> String {
        let mut rows: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
        for call in &self.history.calls {
            let row = rows.entry(sort(&call.asked)).or_default();
            row[match call.outcome {
                Outcome::Ok(_) => 0,
                Outcome::Refused(_) => 1,
                Outcome::Unknown => 2,
            }] += 1;
        }
        let mut text = format!("{:<22} {:>12} {:>10} {:>10}\n", "request", "acknowledged", "refused", "unknown");
        for (name, [ok, refused, unknown]) in rows {
            text += &format!("{name:<22} {ok:>12} {refused:>10} {unknown:>10}\n");
        }
        for (what, times) in &self.faults {
            text += &format!("{what:<36} {times:>5} times\n");
        }
        text += &format!("slowest start {:.2} s\n", self.slowest_start.as_secs_f64());
        text += &format!("{} broken promises\n", self.violations.len());
        text
    }
}

fn sort(asked: &Asked) -> &'static str {
    match asked {
        Asked::Add(_) => "add",
        Asked::Acquire(_) => "acquire",
        Asked::Renew { .. } => "renew",
        Asked::Complete { next: None, .. } => "complete",
        Asked::Complete { next: Some(_), .. } => "complete and acquire",
        Asked::Fail { .. } => "fail",
        Asked::Release { .. } => "release",
    }
}
