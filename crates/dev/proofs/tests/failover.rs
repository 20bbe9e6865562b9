//! A share of the fail-over proof, for every test run: three real servers on a real database.

use anyhow::{Result, ensure};
use capstan_proofs::failover::{self, database::Kind};
use capstan_proofs::worker_lost;

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
        only: vec![],
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

/// Neither the workers nor the client know more than one address, that of a standby at the start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_leader_is_killed_is_the_same_on_both_sides() -> Result<()> {
    let journal = Kind::Postgres;
    if std::env::var_os(journal.variable()).is_none() {
        let name = "a_migration_whose_leader_is_killed_is_the_same_on_both_sides";
        capstan_testkit::skipped(name, &format!("{} is not set", journal.variable()));
        return Ok(());
    }
    let options = worker_lost::Options {
        documents: 6_000,
        workers: 2,
        workers_killed: 0,
        servers_killed: 1,
        chunk_documents: 100,
        seconds: 150,
        journal: Some(journal),
        seed: 1,
        json: false,
    };
    let figures = worker_lost::run(&options).await?;
    ensure!(figures.servers_killed == 1, "the leader was not killed before the migration was over: {figures:?}");
    Ok(())
}
