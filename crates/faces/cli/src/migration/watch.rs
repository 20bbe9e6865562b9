//! Following a job to its end, or to a pause that was asked for.

use super::progress::{Progress, Snapshot};
use crate::failure::Failure;
use capstan_client::Job;
use std::time::Duration;

/// How often the server is asked.
const EVERY: Duration = Duration::from_millis(200);

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The job has ended, well or not.
    Ended,
    /// It is paused, by Ctrl-C or by somebody else.
    Paused,
}

/// Shows how a job goes until it has ended or is paused. The first Ctrl-C pauses it; the second leaves it pausing.
pub async fn watch(job: &Job, progress: &mut Progress) -> Result<Watched, Failure> {
    let mut interrupted = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            signal = tokio::signal::ctrl_c() => {
                signal?;
                if std::mem::replace(&mut interrupted, true) {
                    return Ok(Watched::Paused);
                }
                progress.say("pausing: what runs comes to a checkpoint; Ctrl-C again to leave it to itself");
                job.pause(true, "paused from the terminal").await?;
            }
        }
        let (seen, units) = (job.look().await?, job.units().await?);
        progress.show(&Snapshot { job: &seen, units: &units });
        match seen.state.as_str() {
            "running" | "pausing" => {}
            "paused" => return Ok(Watched::Paused),
            _ => return Ok(Watched::Ended),
        }
    }
}
