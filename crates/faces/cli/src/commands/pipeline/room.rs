//! Room: checking, reserving, waiting, and the limits.

use crate::context::Context;
use crate::failure::Failure;
use crate::{input, render};
use capstan_api::Class;
use capstan_client::{Client, v1};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// How much.
#[derive(Args, Debug)]
pub struct Figures {
    /// CPU in percent, 0 to 100
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT", allow_negative_numbers = true)]
    cpu: f64,
    /// Memory in MB
    #[arg(long, default_value_t = 0, value_name = "MB", allow_negative_numbers = true)]
    memory: i64,
}

/// A request for room.
#[derive(Args, Debug)]
pub struct ReserveOptions {
    /// For which pipeline, registered or about to be
    id: String,
    #[command(flatten)]
    figures: Figures,
    /// How long it is held without being asked for again
    #[arg(long = "for", default_value = "60s", value_parser = input::duration, value_name = "TIME")]
    ttl: Duration,
    /// How long it may wait in the queue; without, it is refused at once where there is no room
    #[arg(long, default_value = "0s", value_parser = input::duration, value_name = "TIME")]
    wait: Duration,
    /// Higher goes first; the pipeline's own where nothing is said
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i16>,
}

/// New limits; those that are not named stay as they are.
#[derive(Args, Debug)]
pub struct LimitOptions {
    /// The most CPU of all pipelines together, in percent
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    cpu: Option<f64>,
    /// The most memory of all pipelines together, in MB
    #[arg(long, value_name = "MB", allow_negative_numbers = true)]
    memory: Option<i64>,
    /// How long a pipeline may be silent
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    stale_after: Option<Duration>,
    /// Whether a stale pipeline counts as failed
    #[arg(long, value_name = "true|false")]
    stale_counts_as_failed: Option<bool>,
    /// How long a stopped, failed or stale pipeline is kept
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    keep_ended: Option<Duration>,
}

fn millis(length: Duration) -> u64 {
    length.as_millis() as u64
}

/// Says whether it would fit.
pub async fn check(client: &Client, figures: Figures, context: &Context) -> Result<(), Failure> {
    let room = client.check_resources(figures.cpu, figures.memory).await?;
    context.out.show(|| render::availability(&room), || render::room(&room))?;
    if room.available {
        eprintln!("there is room for {} % CPU and {} MB", figures.cpu, figures.memory);
        return Ok(());
    }
    eprintln!("there is no room for {} % CPU and {} MB", figures.cpu, figures.memory);
    Err(Failure::Said(Class::Overloaded.exit_code()))
}

/// Takes room, or a place in the queue.
pub async fn reserve(client: &Client, options: ReserveOptions, context: &Context) -> Result<(), Failure> {
    let request = v1::ReserveRequest {
        pipeline_id: options.id,
        cpu_percent: options.figures.cpu,
        memory_mb: options.figures.memory,
        // Nothing at all would be taken for the default.
        ttl_ms: millis(options.ttl).max(1),
        wait_ms: millis(options.wait),
        priority: options.priority.map(Into::into),
    };
    show(&client.reserve(request).await?, context)
}

/// Prints a reservation.
pub fn show(reservation: &v1::Reservation, context: &Context) -> Result<(), Failure> {
    context.out.show(
        || render::reservation(reservation),
        || render::reservations(std::slice::from_ref(reservation), jiff::Timestamp::now()),
    )
}

/// Prints who waits.
pub async fn queue(client: &Client, context: &Context) -> Result<(), Failure> {
    let waiting = client.reservation_queue().await?;
    context.out.show(
        || json!({ "queue": waiting.iter().map(render::reservation).collect::<Vec<_>>() }),
        || render::reservations(&waiting, jiff::Timestamp::now()),
    )
}

/// Shows the limits, after changing what was named.
pub async fn limits(client: &Client, options: LimitOptions, context: &Context) -> Result<(), Failure> {
    let change = v1::ChangeLimitsRequest {
        cpu_percent_max: options.cpu,
        memory_mb_max: options.memory,
        stale_after_ms: options.stale_after.map(millis),
        stale_counts_as_failed: options.stale_counts_as_failed,
        keep_ended_ms: options.keep_ended.map(millis),
        only_if: None,
    };
    let limits = match change == v1::ChangeLimitsRequest::default() {
        true => client.registry_limits().await?,
        false => client.change_registry_limits(change).await?,
    };
    context.out.show(|| render::registry_limits(&limits), || render::limits_table(&limits))
}
