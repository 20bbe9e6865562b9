//! Following a job to its end, or to a pause that was asked for.

use super::progress::{Progress, Snapshot};
use crate::failure::Failure;
use capstan_client::Job;
use std::time::Duration;

/// How soon the server is asked first, so that a short job is not waited for when it has ended.
const SOON: Duration = Duration::from_millis(10);
/// How often it is asked at the latest; pauses grow by a quarter until then.
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
    let (mut interrupted, mut pause) = (false, SOON);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            signal = tokio::signal::ctrl_c() => {
                signal?;
                if std::mem::replace(&mut interrupted, true) {
                    return Ok(Watched::Paused);
                }
                progress.say("pausing: what runs comes to a checkpoint; Ctrl-C again to leave it to itself");
                job.pause(true, "paused from the terminal").await?;
            }
        }
        pause = (pause * 5 / 4).min(EVERY);
        let (seen, units) = (job.look().await?, job.units().await?);
        progress.show(&Snapshot { job: &seen, units: &units });
        match seen.state.as_str() {
            "running" | "pausing" | "waiting" => {}
            "paused" => return Ok(Watched::Paused),
            _ => return Ok(Watched::Ended),
        }
    }
}
