//! Kills of a coordinator in this process: many more than processes could be killed in the same time.

use anyhow::{Result, ensure};
use capstan_proofs::check::check;
use capstan_proofs::crowd::{Crowd, history, rules};
use capstan_proofs::dice::Dice;
use capstan_proofs::door::{Desk, inside::Inside};
use capstan_proofs::history::{Fault, Outcome};
use capstan_proofs::{mortal, story};
use std::time::Duration;

const SEED: u64 = 0x5eed;
const ROUNDS: u64 = 30;
const CLIENTS: u32 = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_killed_between_any_two_writes_keeps_every_promise() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut inside = Inside::default();
    let (mut coordinator, handle, mut fate) = mortal::start(dir.path())?;
    inside.set(Some(handle));
    inside.open(&rules()).await?;
    let mut crowd = Crowd::new(CLIENTS, Duration::from_millis(4), SEED);
    (0..CLIENTS).for_each(|_| crowd.join(inside.clone()));

    let mut dice = Dice::new(SEED, 0);
    let mut faults = Vec::new();
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(dice.between(50, 250))).await;
        fate.seal(dice.percent(50));
        faults.push(Fault { at: crowd.ground().now(), what: "killed" });
        ensure!(coordinator.ended().await.is_err(), "it ends by its journal");
        inside.set(None);
        let handle;
        (coordinator, handle, fate) = mortal::start(dir.path())?;
        inside.set(Some(handle));
        crowd.ground().correct_open(inside.unfinished().await?);
    }
    let (calls, ending) = crowd.finish(inside.clone(), &mut inside, Duration::from_secs(20)).await?;
    coordinator.stop().await?;

    let history = history(calls, faults);
    let unknown = history.calls.iter().filter(|call| call.outcome == Outcome::Unknown).count();
    ensure!(history.calls.iter().filter(|call| call.is_ok()).count() > 500, "the clients were at work");
    ensure!(unknown as u64 > ROUNDS / 2, "kills hit requests: {unknown}");
    let violations = check(&history, &ending);
    let stories: Vec<String> = violations.iter().take(5).map(|violation| story::tell(&history, violation)).collect();
    ensure!(violations.is_empty(), "{} violations\n{}", violations.len(), stories.join("\n"));
    Ok(())
}
