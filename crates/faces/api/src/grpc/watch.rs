//! Following what happens.

mod change;

pub(crate) use self::change::told;
use super::calls::Calls;
use super::convert::{self, session_name};
use super::status::status;
use crate::codes;
use crate::problem::Problem;
use capstan_coordinator::{Change, Failure, Handle, Watch, WatchError};
use capstan_ids::{Position, SessionName};
use capstan_proto::v1;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::Status;

/// Changes of one frame at most.
const FRAME_CHANGES: usize = 256;
/// Frames that wait to be written; a watcher that reads slower is behind, and catches up from the log.
const FRAMES_AHEAD: usize = 4;

/// How often a watcher that has nothing to be told hears how far its watch has come.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// What goes back on the stream.
pub type Changes = ReceiverStream<Result<v1::WatchResponse, Status>>;

/// Follows from where the request says, until the watcher goes away or the server stops.
pub async fn begin(calls: &Calls, tasks: &TaskTracker, request: v1::WatchRequest) -> Result<Changes, Problem> {
    let session = match request.session.as_str() {
        "" => None,
        name => Some(session_name(name)?),
    };
    let watch = calls.handle.watch(request.from.map(Position::new), session).await.map_err(problem)?;
    let (frames, changes) = mpsc::channel(FRAMES_AHEAD);
    let calls = calls.clone();
    tasks.spawn(async move {
        let last_word = tokio::select! {
            problem = follow(watch, &calls.handle, &frames) => problem,
            () = calls.closing.cancelled() => Some(Failure::Stopped.into()),
            () = frames.closed() => None,
        };
        if let Some(problem) = last_word {
            // If the watcher has gone there is nobody to tell.
            let _ = frames.send(Err(status(problem))).await;
        }
    });
    Ok(ReceiverStream::new(changes))
}

/// Ends with why it could not go on, or with nothing once nobody listens.
async fn follow(
    mut watch: Watch,
    handle: &Handle,
    frames: &mpsc::Sender<Result<v1::WatchResponse, Status>>,
) -> Option<Problem> {
    let mut idle = tokio::time::interval(SIGN_OF_LIFE);
    loop {
        // The first tick comes at once: a watcher that begins now is told where that is.
        let first = tokio::select! {
            biased;
            change = watch.next() => match change {
                Ok(change) => change,
                Err(error) => return Some(problem(error)),
            },
            _ = idle.tick() => {
                let next = watch.position().get();
                frames.send(Ok(v1::WatchResponse { changes: Vec::new(), next })).await.ok()?;
                continue;
            }
        };
        let mut batch = vec![first];
        while batch.len() < FRAME_CHANGES
            && let Some(change) = watch.ready()
        {
            batch.push(change);
        }
        let next = batch.last().map_or(0, |last| last.position.plus(1).get());
        let mut changes: Vec<_> = batch.into_iter().filter_map(told).collect();
        if let Err(failure) = name_items(handle, &mut changes).await {
            return Some(failure.into());
        }
        frames.send(Ok(v1::WatchResponse { changes, next })).await.ok()?;
        idle.reset();
    }
}

/// Events know an item by its number; people know it by its id, as long as it is kept.
pub(crate) async fn name_items(handle: &Handle, changes: &mut [v1::Change]) -> Result<(), Failure> {
    let nameless = |change: &v1::Change| {
        let number = change.item_number.filter(|_| change.item_id.is_none())?;
        Some((SessionName::new(&change.session).ok()?, number))
    };
    let wanted: Vec<_> = changes.iter().map(nameless).collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(());
    }
    let look = move |state: &capstan_coordinator::State| -> Vec<Option<String>> {
        let id = |(session, number): (SessionName, u64)| {
            let view = state.work.items_from(&session, number)?.next().filter(|view| view.number == number)?;
            Some(view.body.id().to_owned())
        };
        wanted.into_iter().map(|wanted| wanted.and_then(id)).collect()
    };
    let ids = handle.read(look).await?;
    for (change, id) in changes.iter_mut().zip(ids) {
        change.item_id = change.item_id.take().or(id);
    }
    Ok(())
}

pub(crate) fn problem(error: WatchError) -> Problem {
    let detail = error.to_string();
    match error {
        WatchError::Dropped { asked, first } => Problem::new(&codes::WATCH_POSITION_GONE, detail)
            .with("position", asked.get())
            .with("begin_at", first.get()),
        WatchError::Ahead { asked, end } => Problem::new(&codes::VALUE_OUT_OF_RANGE, detail)
            .with("field", "from")
            .with("position", asked.get())
            .with("begin_at", end.plus(1).get()),
        // What the journal says names files: it stays in the server's log.
        WatchError::Journal(error) => {
            tracing::error!(%error, "a watcher could not be shown the log");
            Problem::new(&codes::JOURNAL_AWAY, "the log could not be read; try again, and see the server's log")
        }
        WatchError::Failure(failure) => failure.into(),
    }
}

/// When it happened.
fn at(change: &Change) -> Option<prost_types::Timestamp> {
    Some(convert::timestamp(change.at))
}
