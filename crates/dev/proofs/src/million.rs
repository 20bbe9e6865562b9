//! `million`: a million items in, the server killed, and how soon the first of them is handed out again.

use crate::bulk;
use crate::door::{SESSION, grpc::Grpc};
use crate::server::{Server, disk, program};
use anyhow::{Context, Result, ensure};
use capstan_proto::v1::SessionStatusRequest;
use clap::Args;
use serde::Serialize;
use std::time::Instant;

/// How much of it.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Items with payloads of 128 bytes
    #[arg(long, default_value_t = 1_000_000)]
    pub items: u64,
    /// How many of them are completed after the kill; the rest is counted
    #[arg(long)]
    pub drained: Option<u64>,
    /// Workers that complete them
    #[arg(long, default_value_t = 8)]
    pub workers: u32,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it, and their units")]
pub struct Figures {
    pub items: u64,
    pub added_per_second: f64,
    pub memory_bytes_per_item: f64,
    pub disk_bytes_per_item: f64,
    pub restart_to_listening_seconds: f64,
    pub restart_to_first_acquire_seconds: f64,
    pub memory_bytes_per_item_after_restart: f64,
    pub drained: u64,
    pub drained_per_second: f64,
}

/// Runs it; the figures are measured, and nothing is lost on the way.
pub async fn run(options: &Options) -> Result<Figures> {
    let program = program()?;
    let place = tempfile::tempdir().context("make a directory")?;
    let dir = place.path().join("data");
    std::fs::create_dir(&dir)?;
    let server = Server::start(&program, &dir).await?;
    let mut grpc = Grpc::to(&server.grpc)?;
    bulk::open(grpc.client()).await?;
    let (memory_before, disk_before) = (server.memory()?, disk(&dir)?);
    let items = options.items;
    let adding = bulk::add(grpc.client(), "million", items).await?;
    let (memory, on_disk) = (server.memory()?, disk(&dir)?);

    let (http, address) = (server.http.clone(), server.grpc.clone());
    server.kill().await?;
    let began = Instant::now();
    let server = Server::start_at(&program, &dir, &http, &address).await?;
    // A new connection: what is measured is the server, not how an old one notices.
    let mut grpc = Grpc::to(&server.grpc)?;
    let leases = grpc.client().acquire(bulk::wish(0, 1)).await?.into_inner().leases;
    let first_acquire = began.elapsed();
    ensure!(leases.len() == 1, "nothing was handed out after the restart");
    let memory_after = server.memory()?;

    let drained = options.drained.unwrap_or(items - 1).min(items - 1);
    let draining = bulk::drain(grpc.client(), drained, options.workers).await?;
    let request = SessionStatusRequest { session: SESSION.to_owned() };
    let status = grpc.client().session_status(request).await?.into_inner().status.context("the status is missing")?;
    let found = (status.total, status.completed, status.assigned, status.pending);
    ensure!(found == (items, drained, 1, items - drained - 1), "the status is {status:?} after {drained} completions");
    let per_item = |after: u64, before: u64| after.saturating_sub(before) as f64 / items as f64;
    Ok(Figures {
        items,
        added_per_second: items as f64 / adding.as_secs_f64(),
        memory_bytes_per_item: per_item(memory, memory_before),
        disk_bytes_per_item: per_item(on_disk, disk_before),
        restart_to_listening_seconds: server.startup.as_secs_f64(),
        restart_to_first_acquire_seconds: first_acquire.as_secs_f64(),
        memory_bytes_per_item_after_restart: per_item(memory_after, memory_before),
        drained,
        drained_per_second: drained as f64 / draining.as_secs_f64(),
    })
}

impl Figures {
    /// A line a figure.
    pub fn table(&self) -> String {
        let rows = [
            ("items", self.items as f64, ""),
            ("added", self.added_per_second, "per second"),
            ("memory", self.memory_bytes_per_item, "bytes per item"),
            ("memory after the restart", self.memory_bytes_per_item_after_restart, "bytes per item"),
            ("disk", self.disk_bytes_per_item, "bytes per item"),
            ("restart to listening", self.restart_to_listening_seconds, "seconds"),
            ("restart to first acquire", self.restart_to_first_acquire_seconds, "seconds"),
            ("acquired and completed", self.drained_per_second, "per second"),
        ];
        rows.iter().map(|(name, figure, unit)| format!("{name:<26} {figure:>14.2} {unit}\n")).collect()
    }
}
