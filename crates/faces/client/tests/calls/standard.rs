//! What every gRPC server has: health, reflection, an answer to calls that are not there.

use crate::server::Server;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

#[tokio::test]
async fn health_and_reflection_answer_as_the_standard_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let channel = Endpoint::from_shared(server.url()).unwrap().connect().await.unwrap();

    let mut health = HealthClient::new(channel.clone());
    for service in ["", "capstan.v1.Work"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer, HealthCheckResponse { status: ServingStatus::Serving as i32 });
    }
    let unknown = health.check(HealthCheckRequest { service: "nosuch".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(channel);
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut answers = reflection.server_reflection_info(futures::stream::iter([list])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    for wanted in ["capstan.v1.Work", "capstan.v1.System", "grpc.health.v1.Health"] {
        assert!(names.contains(&wanted), "{wanted} in {names:?}");
    }
    drop((watch, answers));
    server.stop().await;
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_server_that_stops() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.impatient_client().await;
    let mut watch = client.work().watch(capstan_client::v1::WatchRequest::default()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert!(first.changes.is_empty() && first.next > 0, "a watch is told where it begins: {first:?}");
    let (_frames, outgoing) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut exchange = client.work().exchange(outgoing).await.unwrap().into_inner();

    let before = std::time::Instant::now();
    server.stop().await;

    assert!(before.elapsed() < std::time::Duration::from_secs(5), "it took {:?}", before.elapsed());
    assert_eq!(watch.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert_eq!(exchange.message().await.unwrap_err().code(), tonic::Code::Unavailable);
}
