//! A share of the fail-over proof, for every test run: three real servers on a real database.

use anyhow::{Result, ensure};
use capstan_proofs::failover::{self, database::Kind};

/// A few rounds; none where there is no database.
async fn prove(name: &str, journal: Kind) -> Result<()> {
    if std::env::var_os(journal.variable()).is_none() {
        capstan_testkit::skipped(name, &format!("{} is not set", journal.variable()));
        return Ok(());
    }
    // What a busy machine needs, and still far from an election that hangs; `cargo xtask prove failover` has the goals.
    let (goal_ms, hand_over_ms) = (20_000, 10_000);
    let options = failover::Options {
        journal,
        rounds: 4,
        clients: 12,
        pace_ms: 40,
        longest_ms: 600,
        goal_ms,
        hand_over_ms,
        keep: None,
        seed: None,
    };
    let report = failover::run(&options, false).await?;
    let answered = report.history.calls.iter().filter(|call| call.is_ok()).count();
    ensure!(answered > 200, "only {answered} requests were acknowledged: the clients were not at work");
    ensure!(report.testimony.fresh > 20, "the witness saw {:?}", report.testimony);
    ensure!(report.audit.events > 100, "the log says {:?}", report.audit);
    ensure!(report.is_good(), "{}", report.stories());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_on_postgres_keep_every_promise_whatever_becomes_of_their_leader() -> Result<()> {
    prove("three_servers_on_postgres_keep_every_promise_whatever_becomes_of_their_leader", Kind::Postgres).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_on_cassandra_keep_every_promise_whatever_becomes_of_their_leader() -> Result<()> {
    prove("three_servers_on_cassandra_keep_every_promise_whatever_becomes_of_their_leader", Kind::Cassandra).await
}
