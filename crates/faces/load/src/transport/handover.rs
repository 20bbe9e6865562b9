//! How long a worker that waits does not know of new work.

use super::grpc::completion;
use crate::measure::{Tally, Window};
use crate::run::{Ground, LoadError, Plan, connect};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{AcquireRequest, AddItemsRequest};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for the waiting request to be on its way before the item is added.
const SETTLE: Duration = Duration::from_millis(3);

/// Adds an item while a worker waits; from the acknowledgement until the worker holds it.
///
/// A grant that arrives before the acknowledgement counts as no time at all.
pub(crate) async fn run(plan: &Plan, ground: &Arc<Ground>, window: Window) -> Result<Tally, LoadError> {
    let mut producer = WorkClient::new(connect(&plan.server).await?);
    let waiter = WorkClient::new(connect(&plan.server).await?);
    let mut tally = Tally::new(window);
    while !window.is_over() {
        let request = AcquireRequest {
            sessions: vec![ground.session.clone()],
            worker_id: "bench-waiter".into(),
            max: 1,
            wait_ms: 5_000,
            ..Default::default()
        };
        let mut waits = waiter.clone();
        let waiting = tokio::spawn(async move {
            let leases = waits.acquire(request).await?.into_inner().leases;
            Ok::<_, tonic::Status>((leases, Instant::now()))
        });
        tokio::time::sleep(SETTLE).await;
        let items = vec![ground.item()];
        if let Err(status) =
            producer.add_items(AddItemsRequest { session: ground.session.clone(), items, ..Default::default() }).await
        {
            tally.fail(&status);
            break;
        }
        let acknowledged = Instant::now();
        match waiting.await.expect("the waiter does not panic") {
            Ok((leases, held)) if leases.len() == 1 => {
                let late = held.saturating_duration_since(acknowledged);
                tally.count(Instant::now() - late, 1);
                if let Err(status) = producer.complete(completion(&leases[0])).await {
                    tally.fail(&status);
                }
            }
            Ok(_) => tally.fail(&"the wait ended without work"),
            Err(status) => tally.fail(&status),
        }
    }
    Ok(tally)
}
