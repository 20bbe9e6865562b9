//! The registry over unary gRPC: a task a client on two shared channels.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use capstan_proto::v1::pipeline_registry_client::PipelineRegistryClient;
use capstan_proto::v1::{
    ChangeLimitsRequest, GetPipelineInfoRequest, GetSystemStatusRequest, HeartbeatRequest, ListPipelinesRequest,
    PipelineStatus, RegisterPipelineRequest, ReportOutcome, ReportResourceUsageRequest, UpdatePipelineStatusRequest,
};
use tonic::transport::{Channel, Endpoint};

use super::case::{Case, Turns, id, usage};
use crate::closed_loop::Client;

/// More connections than cores only cost.
const CHANNELS: usize = 2;
/// A week: nothing is stale while it is measured.
const STALE_AFTER_MS: u64 = 7 * 86_400 * 1_000;

pub type Registry = PipelineRegistryClient<Channel>;

/// So many clients of the server at `HOST:PORT`.
pub async fn open(server: &str, clients: usize) -> Result<Vec<Registry>> {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).context("an address")?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..CHANNELS.min(clients) {
        channels.push(endpoint.connect().await.with_context(|| format!("connect to {server}"))?);
    }
    Ok((0..clients).map(|number| Registry::new(channels[number % channels.len()].clone())).collect())
}

/// Lets pipelines be silent for as long as there is.
pub async fn allow_silence(registry: &mut Registry) -> Result<()> {
    let request = ChangeLimitsRequest { stale_after_ms: Some(STALE_AFTER_MS), ..Default::default() };
    registry.change_limits(request).await.context("change the limits")?;
    Ok(())
}

pub async fn heartbeat(registry: &mut Registry, pipeline: u64) -> Result<()> {
    let answer = registry.heartbeat(HeartbeatRequest { pipeline_ids: vec![id(pipeline)] }).await?.into_inner();
    ensure!(answer.noted == 1, "the heartbeat of {} was not noted", id(pipeline));
    Ok(())
}

pub async fn report_usage(registry: &mut Registry, pipeline: u64, number: u64) -> Result<()> {
    let (cpu_percent, memory_mb) = usage(number);
    let memory_mb = i64::try_from(memory_mb)?;
    let request = ReportResourceUsageRequest { pipeline_id: id(pipeline), cpu_percent, memory_mb };
    registry.report_resource_usage(request).await?;
    Ok(())
}

/// A client of one case.
pub struct GrpcClient {
    pub registry: Registry,
    pub case: Case,
    pub turns: Arc<Turns>,
}

impl Client for GrpcClient {
    async fn step(&mut self) -> Result<u64> {
        let registry = &mut self.registry;
        if self.case == Case::Register {
            let Some(pipeline) = self.turns.new_one() else { return Ok(0) };
            let name = format!("Pipeline {pipeline}");
            let request = RegisterPipelineRequest { pipeline_id: id(pipeline), name, ..Default::default() };
            registry.register_pipeline(request).await?;
            return Ok(1);
        }
        let (pipeline, number) = self.turns.next();
        let pipeline_id = id(pipeline);
        match self.case {
            Case::Register => unreachable!("handled above"),
            Case::ReportStatus => {
                let request = UpdatePipelineStatusRequest {
                    pipeline_id,
                    status: PipelineStatus::Running.into(),
                    total_records: number + 1,
                    ..Default::default()
                };
                let outcome = registry.update_pipeline_status(request).await?.into_inner().outcome();
                ensure!(outcome == ReportOutcome::Recorded, "a status was not recorded: {outcome:?}");
            }
            Case::ReportUsage => report_usage(registry, pipeline, number).await?,
            Case::GetOne => drop(registry.get_pipeline_info(GetPipelineInfoRequest { pipeline_id }).await?),
            Case::List100 => {
                let request = ListPipelinesRequest { page_size: 100, cursor: pipeline_id, ..Default::default() };
                registry.list_pipelines(request).await?;
            }
            Case::System => drop(registry.get_system_status(GetSystemStatusRequest {}).await?),
        }
        Ok(1)
    }
}
