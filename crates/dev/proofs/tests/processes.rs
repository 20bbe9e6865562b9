//! A share of the long proofs, for every test run: a real server, really killed.

use anyhow::{Result, ensure};
use capstan_proofs::{kills, million, worker_lost};

fn options(rounds: u32) -> kills::Options {
    kills::Options { rounds, clients: 16, torn: false, only_kills: true, pace_ms: 10, longest_ms: 600, seed: None }
}

fn judge(report: &kills::Report) -> Result<()> {
    let answered = report.history.calls.iter().filter(|call| call.is_ok()).count();
    ensure!(answered > 200, "only {answered} requests were acknowledged: the clients were not at work");
    ensure!(report.is_good(), "{}", report.stories());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_five_times_keeps_every_promise() -> Result<()> {
    judge(&kills::run(&options(5), false).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_last_flush_was_torn_keeps_every_promise() -> Result<()> {
    judge(&kills::run(&kills::Options { torn: true, ..options(3) }, false).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_items_are_there_after_a_kill() -> Result<()> {
    let options = million::Options { items: 50_000, drained: Some(2_000), workers: 2, json: false };
    let figures = million::run(&options).await?;
    // Generous: a debug build on a busy machine. What it must not do is replay for minutes.
    ensure!(figures.restart_to_first_acquire_seconds < 30.0, "{}", figures.table());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_loses_a_worker_and_its_server_is_the_same_on_both_sides() -> Result<()> {
    let options = worker_lost::Options {
        documents: 4_000,
        workers: 2,
        workers_killed: 1,
        servers_killed: 1,
        chunk_documents: 200,
        seconds: 150,
        journal: None,
        seed: 1,
        json: false,
    };
    worker_lost::run(&options).await?;
    Ok(())
}
