//! `failover`: three servers on one database, of which the leader is harmed again and again.
//!
//! Half of the clients know every server and ask the next when one gives no answer; the others know one server, which
//! passes on what they ask while it stands by. The judge of [`crate::check`] reads what they saw, a [`witness`] looks
//! for stale answers, and an [`audit`] reads the database's own log.

pub mod audit;
pub mod cluster;
pub mod database;
pub mod link;
pub mod times;
pub mod witness;

use crate::check::{Violation, check};
use crate::crowd::{Crowd, history, rules};
use crate::dice::Dice;
use crate::door::{Desk, grpc::Grpc, several::Several, stream::Stream};
use crate::history::{Fault, History};
use crate::story;
use anyhow::{Context, Result};
use audit::{Audit, Auditor};
use clap::{Args, ValueEnum};
use cluster::{Cluster, Harm};
use database::{Database, Kind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use times::{Occurrence, Times};
use witness::{Testimony, Witness};

/// What to do to the servers, and how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where the journal is
    #[arg(long, value_enum, default_value_t = Kind::Postgres)]
    pub journal: Kind,
    /// How many times something is done to a server
    #[arg(long, default_value_t = 100)]
    pub rounds: u32,
    /// Do these things alone; everything where none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Harm>,
    /// Clients; every other one asks on a stream, and half of them know one server only
    #[arg(long, default_value_t = 32)]
    pub clients: u32,
    /// A client's mean pause between two requests, in milliseconds
    #[arg(long, default_value_t = 40)]
    pub pace_ms: u64,
    /// The longest the cluster runs unharmed between two rounds, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    pub longest_ms: u64,
    /// A fail-over that takes longer, in milliseconds, fails the proof
    #[arg(long, default_value_t = 5_000)]
    pub goal_ms: u64,
    /// A leader that was told to end and takes longer to be followed, in milliseconds, fails the proof
    #[arg(long, default_value_t = 1_000)]
    pub hand_over_ms: u64,
    /// The servers' data, logs and links are kept in this directory, which must be there
    #[arg(long)]
    pub keep: Option<std::path::PathBuf>,
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
    /// What the witness saw.
    pub testimony: Testimony,
    /// What the log says.
    pub audit: Audit,
    /// How long each fail-over took.
    pub times: Times,
    /// Fail-overs that took too long.
    pub slow: Vec<String>,
}

/// Runs, and prints one line a round where `is_told`.
pub async fn run(options: &Options, is_told: bool) -> Result<Report> {
    let seed = options.seed.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    let kind = options.journal;
    let database = Arc::new(tokio::task::spawn_blocking(move || Database::find(kind, seed)).await??);
    let mut place = tempfile::Builder::new();
    let place = match &options.keep {
        Some(folder) => place.disable_cleanup(true).tempdir_in(folder),
        None => place.tempdir(),
    };
    let place = place.context("make a directory")?;
    let mut cluster = Cluster::start(place.path(), &database).await?;
    if is_told {
        println!("seed {seed}, {} clients, {} rounds, {kind}", options.clients, options.rounds);
    }
    let auditor = Auditor::start(Arc::clone(&database)).await?;
    let mut crowd = Crowd::new(options.clients, Duration::from_millis(options.pace_ms), seed);
    let (mut desk, everywhere) = gather(&mut crowd, options.clients, &cluster.grpc()).await?;
    let witness = Witness::start(cluster.http());

    let mut dice = Dice::new(seed, 0);
    let (mut faults, mut occurrences) = (Vec::new(), Vec::new());
    let mut bag = Vec::new();
    for round in 1..=options.rounds {
        tokio::time::sleep(Duration::from_millis(dice.between(options.longest_ms / 5, options.longest_ms))).await;
        let leader = cluster.leader(None).await?;
        let harm = draw(&mut bag, &options.only, &mut dice);
        let began = Instant::now();
        let at = crowd.ground().now();
        faults.push(Fault { at, what: harm.told() });
        cluster.harm(harm, leader, &mut dice).await?;
        let done = crowd.ground().now();
        occurrences.push(match harm {
            Harm::Terminate => Occurrence { harm, at, gone: done },
            Harm::DatabaseAway => Occurrence { harm, at: done, gone: done },
            _ => Occurrence { harm, at, gone: at },
        });
        let mut new = leader;
        if harm.changes_leader() {
            new = cluster.leader(Some(leader)).await.with_context(|| format!("round {round}: {}", harm.told()))?;
            tokio::time::sleep(Duration::from_millis(dice.between(0, 1_200))).await;
        }
        faults.push(Fault { at: crowd.ground().now(), what: "mended" });
        cluster.mend().await.with_context(|| format!("round {round}: mend after {}", harm.told()))?;
        // Now and then the next harm meets a cluster that is not whole again.
        if dice.percent(75) {
            cluster.whole().await.with_context(|| format!("round {round}: after {}", harm.told()))?;
        }
        crowd.ground().correct_open(desk.unfinished().await?);
        auditor.advance().await?;
        if is_told {
            let (ok, refused, unknown) = crowd.ground().tally();
            println!(
                "round {round:>4}  {:<30} {} -> {} {:>6.2} s  {ok:>7} acknowledged {refused:>6} refused {unknown:>5} unknown",
                harm.told(),
                leader + 1,
                new + 1,
                began.elapsed().as_secs_f64()
            );
        }
    }
    cluster.whole().await?;
    let testimony = witness.finish().await;
    let (calls, ending) = crowd.finish(everywhere, &mut desk, Duration::from_secs(60)).await?;
    cluster.end().await?;
    let audit = auditor.advance().await?;
    let history = history(calls, faults);
    let violations = check(&history, &ending);
    let times = Times::measure(&occurrences, history.calls.iter());
    let slow = too_slow(options, &times);
    Ok(Report { seed, history, violations, testimony, audit, times, slow })
}

/// Brings the clients in, and opens the session they work in; who asks for the proof, and who drains at the end.
async fn gather(crowd: &mut Crowd, clients: u32, servers: &[String]) -> Result<(Several<Grpc>, Several<Grpc>)> {
    let calls = servers.iter().map(|server| Grpc::to(server)).collect::<Result<Vec<_>>>()?;
    let mut desk = Several::new(calls.clone(), 0);
    desk.open(&rules()).await?;
    for client in 0..clients {
        let first = client as usize % servers.len();
        match client % 4 {
            0 => crowd.join(Several::new(calls.clone(), first)),
            1 => crowd.join(calls[first].clone()),
            2 => {
                crowd.join(Several::new(servers.iter().map(|server| Stream::to(server)).collect::<Result<_>>()?, first))
            }
            _ => crowd.join(Stream::to(&servers[first])?),
        }
    }
    let everywhere = Several::new(calls, 0);
    Ok((desk, everywhere))
}

/// Every harm, or each of those named, comes before any comes again; of all of them, kills come twice.
fn draw(bag: &mut Vec<Harm>, only: &[Harm], dice: &mut Dice) -> Harm {
    if bag.is_empty() {
        bag.extend(only);
    }
    if bag.is_empty() {
        bag.extend(Harm::value_variants());
        bag.push(Harm::Kill);
    }
    let at = dice.between(0, bag.len() as u64 - 1) as usize;
    bag.swap_remove(at)
}

fn too_slow(options: &Options, times: &Times) -> Vec<String> {
    let judged = |harm: &&Harm| harm.changes_leader() || **harm == Harm::DatabaseAway;
    let slow = Harm::value_variants().iter().filter(judged).filter_map(|&harm| {
        let goal = if harm == Harm::Terminate { options.hand_over_ms } else { options.goal_ms };
        let longest = times.longest(harm).filter(|longest| *longest > goal)?;
        Some(format!("{}: {longest} ms, the goal is {goal} ms", harm.told()))
    });
    slow.collect()
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.testimony.stale.is_empty() && self.slow.is_empty()
    }

    /// What was broken, the first few with their stories.
    pub fn stories(&self) -> String {
        let told = self.violations.iter().take(5).map(|violation| story::tell(&self.history, violation));
        let stale = self.testimony.stale.iter().take(5).map(|stale| format!("R1: {stale}"));
        let slow = self.slow.iter().map(|slow| format!("too slow: {slow}"));
        let all: Vec<String> = told.chain(stale).chain(slow).collect();
        format!("{} violations with seed {}\n{}\n", self.violations.len(), self.seed, all.join("\n"))
    }

    /// What happened, as a table.
    pub fn table(&self) -> String {
        let mut text = self.times.table();
        let (mut ok, mut refused, mut unknown) = (0, 0, 0);
        for call in &self.history.calls {
            match call.outcome {
                crate::history::Outcome::Ok(_) => ok += 1,
                crate::history::Outcome::Refused(_) => refused += 1,
                crate::history::Outcome::Unknown => unknown += 1,
            }
        }
        text += &format!("requests: {ok} acknowledged, {refused} refused, {unknown} unknown\n");
        let Testimony { fresh, unanswered, stale } = &self.testimony;
        text += &format!("reads after a change: {fresh} fresh, {unanswered} unanswered, {} stale\n", stale.len());
        let Audit { commits, events, accessions, .. } = &self.audit;
        text += &format!("log: {events} events in {commits} commits, {accessions} leaderships, no gap\n");
        text += &format!("{} broken promises\n", self.violations.len() + stale.len());
        text
    }
}
