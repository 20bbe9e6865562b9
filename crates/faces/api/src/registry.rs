//! Asking the registry, for every face alike: what is logged and how long a history may take is decided once.

use crate::problem::Problem;
use capstan_coordinator::{FactFilter, FactPage, Handle, HistoryError};
use capstan_ids::{Position, WallTime};
use capstan_registry::{
    Answer, Availability, Command, Event, Fact, PipelineId, PipelineView, Register, Registry, Rejection, Reported,
    ReservationView, Reserve, Rules, RulesChange, StatusReport, SystemView,
};
use tokio::sync::Semaphore;

/// Heartbeats of one request at most.
pub const HEARTBEATS_MAX: usize = 10_000;
/// Histories that are read at once: each goes through all that is kept.
const READERS_MAX: usize = 4;

static READERS: Semaphore = Semaphore::const_new(READERS_MAX);

/// Another answer than that to what was asked: a fault of this program.
fn unexpected(answer: &Answer) -> Problem {
    tracing::error!(?answer, "the registry answered something else than what was asked");
    Problem::internal()
}

/// What became of one report.
pub type Told = Result<Reported, Problem>;

/// An id that a path can carry: clients take `.` and `..` out of a path before they send it, encoded ones too.
fn addressable(id: &PipelineId) -> Result<(), Problem> {
    if !matches!(id.as_str(), "." | "..") {
        return Ok(());
    }
    let expected = "anything but . and .., which clients take out of paths";
    let detail = format!("pipeline id must be {expected}, found {id}");
    Err(Problem::new(&crate::codes::VALUE_INVALID, detail)
        .with("field", "id")
        .with("expected", expected)
        .with("found", id.as_str()))
}

/// Makes a pipeline known.
pub async fn register(handle: &Handle, register: Register) -> Result<(PipelineView, SystemView), Problem> {
    addressable(&register.id)?;
    tracing::info!("msg=Register pipeline pipelineId={} name={}", register.id, register.name);
    match handle.submit_pipeline(Command::Register(register)).await? {
        Answer::Registered { pipeline, system } => Ok((*pipeline, *system)),
        other => Err(unexpected(&other)),
    }
}

/// Takes a pipeline out.
pub async fn unregister(handle: &Handle, id: PipelineId) -> Result<(PipelineView, SystemView), Problem> {
    tracing::info!("msg=Unregister pipeline pipelineId={id}");
    match handle.submit_pipeline(Command::Unregister { id }).await? {
        Answer::Unregistered { pipeline, system } => Ok((*pipeline, *system)),
        other => Err(unexpected(&other)),
    }
}

/// Takes in what a pipeline says it is doing.
pub async fn update_status(handle: &Handle, report: StatusReport) -> Told {
    let (id, status, records) = (report.id.clone(), report.status, report.total_records);
    tracing::debug!("msg=Update pipeline status pipelineId={id} status={status} records={records}");
    reported(handle, id, Command::UpdateStatus(report)).await
}

/// Takes in what a pipeline uses.
pub async fn report_usage(handle: &Handle, id: PipelineId, cpu_percent: f64, memory_mb: i64) -> Told {
    tracing::debug!("msg=Report resource usage pipelineId={id} cpu={cpu_percent}% memory={memory_mb}MB");
    reported(handle, id.clone(), Command::ReportUsage { id, cpu_percent, memory_mb }).await
}

/// Takes in that a pipeline is there.
pub async fn heartbeat(handle: &Handle, id: PipelineId) -> Told {
    reported(handle, id.clone(), Command::Heartbeat { id }).await
}

/// A report of what is not registered changes nothing, and whoever sent it is told so.
async fn reported(handle: &Handle, id: PipelineId, command: Command) -> Told {
    match handle.submit_pipeline(command).await? {
        Answer::Reported(Reported::Unknown) => {
            tracing::warn!("msg=Report of an unknown pipeline pipelineId={id}");
            Err(Rejection::PipelineUnknown(id).into())
        }
        Answer::Reported(reported) => Ok(reported),
        other => Err(unexpected(&other)),
    }
}

/// Takes in many heartbeats at once; those of unknown pipelines, which changed nothing.
pub async fn heartbeats(handle: &Handle, ids: Vec<PipelineId>) -> Result<Vec<PipelineId>, Problem> {
    debug_assert!(ids.len() <= HEARTBEATS_MAX);
    let commands = ids.iter().map(|id| Command::Heartbeat { id: id.clone() }).collect();
    let outcomes = handle.submit_pipelines(commands).await?;
    let unknown: Vec<PipelineId> = ids
        .into_iter()
        .zip(outcomes)
        .filter(|(_, outcome)| matches!(outcome, Ok(Answer::Reported(Reported::Unknown))))
        .map(|(id, _)| id)
        .collect();
    if let Some(first) = unknown.first() {
        tracing::warn!("msg=Heartbeats of unknown pipelines count={} pipelineId={first}", unknown.len());
    }
    Ok(unknown)
}

/// Whether something would fit; takes nothing.
pub async fn check(handle: &Handle, cpu_percent: f64, memory_mb: i64) -> Result<Availability, Problem> {
    let availability = handle.read(move |state| state.registry.check_availability(cpu_percent, memory_mb)).await??;
    if !availability.available {
        warn_of_no_room(&availability, cpu_percent, memory_mb);
    }
    Ok(availability)
}

fn warn_of_no_room(availability: &Availability, cpu_percent: f64, memory_mb: i64) {
    let (cpu, memory) = (availability.claimed.cpu.as_percent(), availability.claimed.memory_mb);
    tracing::warn!(
        "msg=Resources unavailable cpu={cpu_percent}% (current={cpu}%) memory={memory_mb}MB (current={memory})"
    );
}

/// Takes room, or a place in the queue for it.
pub async fn reserve(handle: &Handle, reserve: Reserve) -> Result<ReservationView, Problem> {
    addressable(&reserve.id)?;
    let (cpu_percent, memory_mb) = (reserve.cpu_percent, reserve.memory_mb);
    match handle.submit_pipeline(Command::Reserve(reserve)).await {
        Ok(Answer::Reservation(view)) => Ok(view),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) => {
            let problem = Problem::from(failure);
            if problem.code == &crate::codes::PIPELINE_NO_ROOM {
                let system = handle.read(|state| state.registry.system()).await?;
                warn_of_no_room(&system.availability, cpu_percent, memory_mb);
            }
            Err(problem)
        }
    }
}

/// Gives room back, or stops waiting for it.
pub async fn release(handle: &Handle, id: PipelineId) -> Result<(), Problem> {
    match handle.submit_pipeline(Command::Release { id }).await? {
        Answer::Released => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// Changes the rules, all of what is named or nothing.
pub async fn change_rules(handle: &Handle, change: RulesChange) -> Result<Rules, Problem> {
    match handle.submit_pipeline(Command::ChangeRules(change)).await? {
        Answer::Rules(rules) => Ok(rules),
        other => Err(unexpected(&other)),
    }
}

/// A page of what happened.
pub async fn facts(handle: &Handle, filter: FactFilter) -> Result<FactPage, Problem> {
    let handle = handle.clone();
    in_turn(async move { handle.registry_facts(filter).await }).await
}

/// The registry as it was.
pub async fn registry_at(handle: &Handle, at: WallTime) -> Result<Registry, Problem> {
    let handle = handle.clone();
    in_turn(async move { handle.registry_at(at).await }).await
}

/// Reads if there is a turn left. It is over when the reading is, and not when whoever asked has gone.
async fn in_turn<T: Send + 'static>(
    reading: impl Future<Output = Result<T, HistoryError>> + Send + 'static,
) -> Result<T, Problem> {
    let turn = READERS.try_acquire().map_err(|_| Problem::too_many_readers())?;
    let read = tokio::spawn(async move {
        let _turn = turn;
        reading.await
    });
    Ok(read.await.map_err(|_| HistoryError::Cut)??)
}

/// A fact, and where it stands.
#[derive(Debug)]
pub struct Placed {
    /// Its place in the journal.
    pub position: Position,
    /// What happened.
    pub fact: Fact,
}

/// What a watcher of the registry is told of a change; none for what is not of the registry.
pub fn told(change: &capstan_coordinator::Change) -> Option<Placed> {
    let capstan_coordinator::StateEvent::Registry(event) = &change.event else { return None };
    let event: &Event = event;
    Some(Placed { position: change.position, fact: Fact::of(event)? })
}

/// What identifies the rules as they are, for `ETag`: the rules themselves.
pub fn rules_tag(rules: &Rules) -> String {
    format!(
        "\"{}-{}-{}-{}-{}\"",
        rules.limits.cpu.thousandths(),
        rules.limits.memory_mb,
        rules.stale_after.get(),
        u8::from(rules.stale_counts_as_failed),
        rules.keep_ended.get()
    )
}
