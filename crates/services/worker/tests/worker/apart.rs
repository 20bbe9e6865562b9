//! A job never writes over what it reads, however the two places are written.

use crate::servers::{Live, MONGO, options, proved};
use crate::stage::Stage;
use bson::doc;
use capstan_migration::{Report, ReportState};
use std::os::unix::fs::symlink;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// `--write overwrite` onto the same place in other words removed the source, and was called completed and equal.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_never_written_over_itself() {
    let stage = Stage::new();
    stage.write_dump(300);
    symlink(stage.path("from"), stage.path("link")).unwrap();
    let before = stage.files("from");
    let worker = stage.employ(stage.options("alice"));
    let from = stage.path("from").display().to_string();

    for to in [format!("{from}?gzip=true"), format!("{from}/"), format!("{from}/../link"), format!("{from}/shop/new")] {
        let job = stage.submit(&stage.spec(&format!("to = 'dump:{to}'\nwrite = 'overwrite'"))).await;
        let report = stage.ended(&job).await;

        assert_eq!(report.state, ReportState::Failed, "{to}: {report:#?}");
        assert!(report.refused[0].reason.contains("what is read from"), "{to}: {report:#?}");
        assert_eq!(stage.files("from"), before, "{to}");
    }
    worker.dismiss().await;
}

async fn ended(stage: &Stage, from: &str, to: &str, more: &str) -> Report {
    let worker = stage.employ(options(stage));
    let job = stage.submit(&format!("from = '{from}'\nto = '{to}'\nwrite = 'overwrite'\n{more}")).await;
    let report = stage.ended(&job).await;
    worker.dismiss().await;
    report
}

fn refused(report: &Report, collection: &str) {
    assert_eq!(report.state, ReportState::Failed, "{report:#?}");
    assert!(
        report.refused.iter().any(|why| &*why.what == collection && why.reason.contains("is read by this job")),
        "{report:#?}"
    );
}

/// Another way to a server: what it shows tells nothing of where it leads.
async fn tunnel_to(address: &str) -> String {
    let (listener, address) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), address.to_owned());
    let own = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    format!("mongodb://{own}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_never_written_over_itself_whatever_its_address() {
    let test = "a_server_is_never_written_over_itself";
    let Some(live) = Live::open(MONGO, test, "only").await else { return };
    let documents: Vec<_> = (0..50).map(|n| doc! { "_id": n }).collect();
    live.insert("orders", &documents).await;
    live.insert("users", &documents).await;
    let before = live.documents("orders").await;
    let stage = Stage::new();
    let database = &live.database;
    let include = format!("include = ['{database}.*']");
    let address = live.url.strip_prefix("mongodb://").unwrap().trim_end_matches('/');
    let port = address.rsplit_once(':').unwrap().1;

    let words = format!("mongodb://localhost:{port}/?retryReads=true");
    for other in [words, format!("{}/", live.url), tunnel_to(address).await] {
        let report = ended(&stage, &live.url, &other, &include).await;
        refused(&report, &format!("{database}.orders"));
        assert_eq!(live.documents("orders").await, before, "{other}");
        let left = live.client.database(database).list_collection_names().await.unwrap();
        assert_eq!(left.len(), 2, "nothing is left behind: {left:?}");
    }

    let chain = format!(
        "{include}\nrenames = [{{ from = '{database}.orders', to = '{database}.users' }}, {{ from = '{database}.users', to = '{database}.more' }}]"
    );
    refused(&ended(&stage, &live.url, &live.url, &chain).await, &format!("{database}.users"));
    assert_eq!(live.documents("users").await.len(), 50);

    let apart = format!("{include}\nrenames = [{{ from = '{database}.*', to = '{database}.copy_*' }}]");
    proved(&ended(&stage, &live.url, &live.url, &apart).await);
    assert_eq!(live.documents("copy_orders").await, before);
    live.drop().await;
}
