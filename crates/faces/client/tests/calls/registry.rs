//! The registry over gRPC: the seed's examples over a real socket.

use crate::server::Server;
use capstan_client::v1::{self, Health, PipelineStatus, ReportOutcome};
use capstan_client::{Class, Client};
use capstan_proto::v1::pipeline_registry_client::PipelineRegistryClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

async fn register(client: &Client, id: &str) -> v1::RegisterPipelineResponse {
    let name = format!("Pipeline {id}");
    let request = v1::RegisterPipelineRequest { pipeline_id: id.into(), name, ..Default::default() };
    client.register_pipeline(request).await.unwrap()
}

#[tokio::test]
async fn the_seeds_examples_go_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;

    let registered = register(&client, "p1").await;
    assert_eq!(registered.system.unwrap().pipelines, 1);
    assert_eq!(registered.pipeline.unwrap().status(), PipelineStatus::Configured);
    let again = v1::RegisterPipelineRequest { pipeline_id: "p1".into(), name: "again".into(), ..Default::default() };
    let refused = client.register_pipeline(again).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (Some("pipeline.exists"), Class::Conflict));

    let outcome = client.update_pipeline_status("p1", PipelineStatus::Running, 1_000_000, 5, None).await.unwrap();
    assert_eq!(outcome, ReportOutcome::Recorded);
    client.report_resource_usage("p1", 15.5, 2_048).await.unwrap();
    let system = client.system_status().await.unwrap();
    assert_eq!((system.health(), system.total_cpu_percent, system.total_memory_mb), (Health::Healthy, 15.5, 2_048));
    assert!(client.check_resources(10.0, 4_096).await.unwrap().available);
    assert!(!client.check_resources(64.501, 0).await.unwrap().available);

    register(&client, "p2").await;
    let running = client.pipelines(PipelineStatus::Running, "", 10, "").await.unwrap();
    assert_eq!(running.entries.iter().map(|each| each.pipeline_id.as_str()).collect::<Vec<_>>(), ["p1"]);
    assert_eq!(client.pipeline("p1").await.unwrap().failed_records, 5);
    assert_eq!(client.pipeline("p3").await.unwrap_err().code(), Some("pipeline.unknown"));
    let left = client.unregister_pipeline("p1").await.unwrap();
    assert_eq!((left.pipeline.unwrap().total_records, left.system.unwrap().total_cpu_percent), (1_000_000, 0.0));
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_over_grpc_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    register(&client, "p1").await;
    for (cpu, memory) in [(f64::NAN, 1), (f64::INFINITY, 1), (-1.0, 1), (100.5, 1), (1.0, -1), (1.0, i64::MAX)] {
        let refused = client.report_resource_usage("p1", cpu, memory).await.unwrap_err();
        assert_eq!(refused.class(), Class::Invalid, "{cpu} {memory}: {refused}");
    }
    let unsaid = client.update_pipeline_status("p1", PipelineStatus::Unspecified, 1, 0, None).await.unwrap_err();
    assert!(unsaid.to_string().contains("status"), "{unsaid}");
    for (id, name, priority) in [("", "x", 0), ("x", " ", 0), ("x", "x", 40_000)] {
        let request =
            v1::RegisterPipelineRequest { pipeline_id: id.into(), name: name.into(), priority, ..Default::default() };
        assert_eq!(client.register_pipeline(request).await.unwrap_err().class(), Class::Invalid, "{id:?} {name:?}");
    }
    assert_eq!(client.system_status().await.unwrap().total_cpu_percent, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn room_is_reserved_waited_for_and_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let ask = |id: &str, wait_ms| v1::ReserveRequest {
        pipeline_id: id.into(),
        cpu_percent: 60.0,
        memory_mb: 1,
        wait_ms,
        ..Default::default()
    };
    assert!(client.reserve(ask("a", 0)).await.unwrap().held);
    let refused = client.reserve(ask("b", 0)).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (Some("pipeline.no_room"), Class::Overloaded));
    assert!(!client.reserve(ask("b", 60_000)).await.unwrap().held);
    assert_eq!(client.reservation_queue().await.unwrap().len(), 1);

    client.release_reservation("a").await.unwrap();
    assert!(client.reservation("b").await.unwrap().held);

    let read = client.registry_limits().await.unwrap();
    let change =
        |cpu| v1::ChangeLimitsRequest { cpu_percent_max: Some(cpu), only_if: Some(read), ..Default::default() };
    assert_eq!(client.change_registry_limits(change(90.0)).await.unwrap().cpu_percent_max, 90.0);
    assert_eq!(client.change_registry_limits(change(70.0)).await.unwrap_err().code(), Some("limits.changed"));
    server.stop().await;
}

#[tokio::test]
async fn what_happened_is_told_afterwards_and_as_it_happens() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let mut watch = client.watch_registry(Some(1)).await.unwrap();
    register(&client, "p1").await;
    assert_eq!(client.heartbeat(vec!["p1".into(), "x".into()]).await.unwrap(), ["x"]);
    client.unregister_pipeline("p1").await.unwrap();

    let told = [watch.next().await.unwrap(), watch.next().await.unwrap()];
    assert_eq!(told.each_ref().map(|fact| fact.event.as_str()), ["PipelineRegistered", "PipelineUnregistered"]);
    let history = client.registry_history(v1::HistoryRequest::default()).await.unwrap();
    assert_eq!(history.facts, told);
    let then = v1::RegistryAtRequest { at: told[0].at, ..Default::default() };
    assert_eq!(client.registry_at(then).await.unwrap().system.unwrap().pipelines, 1);
    server.stop().await;
}

async fn raw(server: &Server) -> PipelineRegistryClient<Channel> {
    PipelineRegistryClient::connect(server.url()).await.unwrap()
}

fn beat(ids: &[&str]) -> v1::HeartbeatRequest {
    v1::HeartbeatRequest { pipeline_ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

#[tokio::test]
async fn a_stream_of_heartbeats_is_answered_one_by_one_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    register(&client, "p1").await;
    let (beats, requests) = mpsc::channel(1);
    let mut answers = raw(&server).await.heartbeat_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();

    beats.send(beat(&["p1"])).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!((first.noted, first.unknown), (1, vec![]));

    // Nothing is journalled of it, and it is heard of all the same.
    let heard = client.pipeline("p1").await.unwrap();
    assert_ne!(heard.last_heartbeat, heard.registered_at);
    assert_eq!(heard.updated_at, heard.registered_at);
    let history = client.registry_history(v1::HistoryRequest::default()).await.unwrap();
    assert_eq!(history.facts.len(), 1);

    for round in 0..200 {
        beats.send(beat(&["p1", &format!("x{round}"), "p1"])).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!((answer.noted, answer.unknown), (2, vec![format!("x{round}")]));
    }
    beats.send(beat(&[])).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), v1::HeartbeatResponse::default());

    drop(beats);
    assert_eq!(answers.message().await.unwrap(), None, "it ends as it was ended");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_heartbeats_ends_with_the_first_that_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    register(&server.client().await, "p1").await;
    let too_many = vec!["p1"; 10_001];
    for (bad, expected) in [(beat(&["p1", ""]), "value.invalid"), (beat(&too_many), "request.too_large")] {
        let requests = tokio_stream::iter([beat(&["p1"]), bad, beat(&["p1"])]);
        let mut answers = raw(&server).await.heartbeat_stream(requests).await.unwrap().into_inner();

        assert_eq!(answers.message().await.unwrap().unwrap().noted, 1);
        let refused = answers.message().await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert_eq!(refused.metadata().get("capstan-code").unwrap(), expected);
        assert!(matches!(answers.message().await, Ok(None)), "nothing after it is read");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_heartbeats_that_is_open_does_not_hold_up_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    register(&server.client().await, "p1").await;
    let (beats, requests) = mpsc::channel(1);
    let mut answers = raw(&server).await.heartbeat_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    beats.send(beat(&["p1"])).await.unwrap();
    answers.message().await.unwrap().unwrap();

    server.stop().await;

    let ended = answers.message().await;
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
}
