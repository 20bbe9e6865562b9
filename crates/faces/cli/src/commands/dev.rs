//! Everything in one process, on embedded defaults.

use super::server;
use crate::failure::Failure;
use crate::home::{Home, state_folder};
use crate::station::Addresses;
use capstan_worker::Secrets;
use clap::Args;
use std::path::PathBuf;

/// Where it is kept and listens.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan dev
  capstan dev --data-dir ./capstan --http 127.0.0.1:0 --grpc 127.0.0.1:0

A server and a worker in one process. When it is ready it prints one line: listening http=HOST:PORT grpc=HOST:PORT.")]
pub struct DevOptions {
    /// Where everything is kept; the user's state folder where nothing is said
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen for REST and gRPC, on this machine; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = loopback)]
    http: String,
    /// Where to listen for gRPC alone, on this machine; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050", value_parser = loopback)]
    grpc: String,
    /// Items the worker works on at a time; twice the cores where nothing is said
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    #[command(flatten)]
    alerts: server::AlertOptions,
}

fn loopback(text: &str) -> Result<String, String> {
    let address: std::net::SocketAddr = text.parse().map_err(|_| format!("expected IP:PORT, found {text:?}"))?;
    if address.ip().to_canonical().is_loopback() {
        Ok(text.to_owned())
    } else {
        Err(format!("{text} is reached by other machines; `capstan server` can be told to listen there"))
    }
}

/// Serves and works until it is told to stop.
pub fn run(options: DevOptions) -> Result<(), Failure> {
    server::log_to_stderr("info", false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = server::stop_signals()?;
        let data_dir = options.data_dir.clone().map_or_else(state_folder, Ok)?;
        let addresses = Addresses { http: options.http, grpc: options.grpc, advertise: None };
        let secrets = Secrets { folder: Some(crate::secrets::folder(&data_dir)) };
        let alerts = options.alerts.alone()?.open(&secrets)?;
        let mut home = Home::open(&data_dir, &addresses, options.slots).await?;
        home.station.tell_of_health(&alerts);
        server::announce(home.station.http, home.station.grpc)?;
        tokio::select! {
            ended = home.station.ended() => server::told(ended),
            () = stop.cancelled() => home.close().await,
        }
    })
}
