//! How a server is set up: defaults, then the file, then the environment, then what was typed.

use super::alerts::{AlertOptions, AlertSettings, AlertTable};
use crate::failure::Failure;
use crate::journals::Place;
use clap::Args;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What can be typed.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:
  capstan server --data-dir ./data
  capstan server --data-dir ./data --http 127.0.0.1:0 --grpc 127.0.0.1:0

When it is ready it prints one line: listening http=HOST:PORT grpc=HOST:PORT. gRPC is answered on both ports. Settings
may also come from the tables [server] and [alerts] of a file, or from the environment as CAPSTAN__SERVER__HTTP,
CAPSTAN__ALERTS__WEBHOOKS and so on; what is typed wins. Several servers on one postgres:// or cassandra:// journal elect one that leads; the others pass requests on
to it, and one of them takes over when it is gone. It ends with 20 where the journal failed, and with 21 where another server leads the journal.")]
pub struct ServerOptions {
    /// Where everything that must survive is kept
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// Where to listen for REST and gRPC; port 0 picks a free one [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
    /// Where to listen for gRPC alone; port 0 picks a free one [default: 127.0.0.1:50050]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc: Option<SocketAddr>,
    /// The address that others reach this server at [default: where it listens]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
    /// Where the journal is: embedded keeps it in the data directory; postgres://USER@HOST/DATABASE?schema=NAME and
    /// cassandra://HOST,HOST/KEYSPACE?log=NAME are shared by several servers, one of which leads. A password goes as
    /// secret:NAME into its place, or by the environment [default: embedded]
    #[arg(long, value_name = "JOURNAL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    /// Read settings from a TOML file
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    alerts: AlertOptions,
    /// Listen on addresses that other machines reach, although anybody who reaches them may do anything
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_remote_without_authentication: bool,
    /// What to log to stderr, such as info or capstan_coordinator=debug,warn [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Log JSON lines
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    log_json: bool,
}

/// What is meant.
#[derive(Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub log: String,
    pub log_json: bool,
    /// What others are told to ask; where it listens, where nothing is said.
    pub advertise: Option<String>,
    pub journal: Place,
    pub alerts: AlertSettings,
}

/// The `[server]` table with its defaults.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Table {
    data_dir: Option<PathBuf>,
    http: SocketAddr,
    grpc: SocketAddr,
    advertise: Option<String>,
    journal: String,
    allow_remote_without_authentication: bool,
    log: String,
    log_json: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            data_dir: None,
            http: SocketAddr::from(([127, 0, 0, 1], 8000)),
            grpc: SocketAddr::from(([127, 0, 0, 1], 50050)),
            advertise: None,
            journal: "embedded".to_owned(),
            allow_remote_without_authentication: false,
            log: std::env::var("LOG_LEVEL").map_or_else(|_| "info".to_owned(), |level| level.to_lowercase()),
            log_json: false,
        }
    }
}

impl Settings {
    /// Whether a file is sound, whatever else is typed with it; all faults are told together.
    pub fn check(file: &Path) -> Result<(), Failure> {
        refuse_unknown_tables(file)?;
        let Tables { server, alerts } = extracted(defaults().merge(Toml::file_exact(file)))?;
        let server = Table { data_dir: server.data_dir.clone().or_else(|| Some(".".into())), ..server };
        Tables { server, alerts }.lower().map(drop)
    }

    /// Lowers what was typed to what is meant; all faults are told together.
    pub fn from(options: ServerOptions) -> Result<Self, Failure> {
        let mut figment = defaults();
        if let Some(file) = &options.config {
            refuse_unknown_tables(file)?;
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment
            .merge(Env::prefixed("CAPSTAN__").split("__"))
            .merge(Serialized::default("server", &options))
            .merge(Serialized::default("alerts", &options.alerts));
        extracted(figment)?.lower()
    }
}

/// By their names.
const TABLES: [&str; 2] = ["server", "alerts"];

/// The tables of a file.
#[derive(Debug, PartialEq)]
struct Tables {
    server: Table,
    alerts: AlertTable,
}

fn defaults() -> Figment {
    Figment::from(Serialized::default("server", Table::default()))
        .merge(Serialized::default("alerts", AlertTable::default()))
}

/// A table by a wrong name would be passed over, and with it what somebody relies on.
fn refuse_unknown_tables(file: &Path) -> Result<(), Failure> {
    // A file that cannot be read is told of where it is read.
    let found: BTreeMap<String, IgnoredAny> = Figment::from(Toml::file_exact(file)).extract().unwrap_or_default();
    match found.into_keys().find(|name| !TABLES.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Failure::Usage(format!(
            "{} has {name:?} where only the tables [{}] are known",
            file.display(),
            TABLES.join("], [")
        ))),
    }
}

fn extracted(figment: Figment) -> Result<Tables, Failure> {
    fn table<'de, T: Deserialize<'de>>(figment: &Figment, name: &str, faults: &mut Vec<String>) -> Option<T> {
        let told = |error: figment::Error| error.into_iter().map(|fault| without_excerpt(&fault.to_string())).collect();
        figment.extract_inner(name).map_err(|error| faults.append(&mut told(error))).ok()
    }
    let mut faults = Vec::new();
    match (table(&figment, "server", &mut faults), table(&figment, "alerts", &mut faults)) {
        (Some(server), Some(alerts)) => Ok(Tables { server, alerts }),
        _ => {
            // What no table can be read of is said once.
            faults.dedup();
            Err(Failure::Usage(faults.join("\n       ")))
        }
    }
}

/// The same without the lines of the file that a fault shows: they may hold a secret. Where it is stays.
fn without_excerpt(fault: &str) -> String {
    let is_excerpt = |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    let lines: Vec<_> = fault.lines().filter(|line| !is_excerpt(line)).collect();
    lines.join(": ")
}

impl Tables {
    fn lower(self) -> Result<Settings, Failure> {
        let mut faults = Vec::new();
        let alerts = self.alerts.lower(&mut faults);
        self.server.lower(alerts, faults)
    }
}

impl Table {
    fn lower(self, alerts: AlertSettings, mut faults: Vec<String>) -> Result<Settings, Failure> {
        if self.data_dir.is_none() {
            faults.push("a server needs --data-dir DIR: where everything that must survive is kept".to_owned());
        }
        let journal = Place::parse(&self.journal).unwrap_or_else(|fault| {
            faults.push(fault);
            Place::Embedded
        });
        for (name, address) in [("--http", self.http), ("--grpc", self.grpc)] {
            if !is_loopback(address.ip()) && !self.allow_remote_without_authentication {
                faults.push(format!(
                    "{name} {address} is reached by other machines, and there is no authentication: listen on 127.0.0.1, or say --allow-remote-without-authentication if the network keeps strangers out"
                ));
            }
        }
        if let Some(advertise) = self.advertise.as_ref().filter(|url| !url.starts_with("http://")) {
            faults.push(format!("--advertise must be http://HOST:PORT, found {advertise:?}"));
        }
        match self.data_dir {
            Some(data_dir) if faults.is_empty() => Ok(Settings {
                data_dir,
                http: self.http,
                grpc: self.grpc,
                log: self.log,
                log_json: self.log_json,
                advertise: self.advertise,
                journal,
                alerts,
            }),
            _ => Err(Failure::Usage(faults.join("\n       "))),
        }
    }
}

/// Also where an IPv4 address is written as an IPv6 one.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> ServerOptions {
        ServerOptions {
            data_dir: Some("data".into()),
            http: None,
            grpc: None,
            advertise: None,
            journal: None,
            config: None,
            alerts: AlertOptions::default(),
            allow_remote_without_authentication: false,
            log: None,
            log_json: false,
        }
    }

    fn fault(options: ServerOptions) -> String {
        match Settings::from(options) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_data_directory_is_all_it_needs() {
        let settings = Settings::from(typed()).unwrap();
        assert_eq!(settings.http, "127.0.0.1:8000".parse().unwrap());
        assert_eq!(settings.advertise, None);
    }

    #[test]
    fn an_address_that_others_reach_needs_the_flag() {
        let open = |allow| ServerOptions {
            http: Some("0.0.0.0:8000".parse().unwrap()),
            grpc: Some("[::ffff:127.0.0.1]:1".parse().unwrap()),
            allow_remote_without_authentication: allow,
            ..typed()
        };
        let message = fault(open(false));
        assert!(message.contains("--http 0.0.0.0:8000") && !message.contains("--grpc"), "{message}");
        assert!(Settings::from(open(true)).is_ok());
    }

    #[test]
    fn the_printed_file_says_the_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, crate::commands::config::DEFAULT).unwrap();

        let tables = extracted(Figment::from(Toml::file_exact(file.path()))).unwrap();

        let server = Table { log: "info".into(), ..Table::default() };
        assert_eq!(tables, Tables { server, alerts: AlertTable::default() });
        Settings::check(file.path()).unwrap();
    }

    #[test]
    fn all_faults_are_told_together() {
        let message = fault(ServerOptions {
            data_dir: None,
            journal: Some("mysql://me:secret@db/x".into()),
            advertise: Some("ftp://x".into()),
            ..typed()
        });
        assert_eq!(message.lines().count(), 3, "{message}");
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_without_what_stands_in_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "[alerts]\nwebhooks = [\"https://hooks.example.com/hunter2\"\n",
            "[alerts]\nwebhooks = \"https://hooks.example.com/hunter2\nallow = []\n",
            "[alerts]\nwebhooks = { hunter2 = \"hunter2\" }\n",
            "[alerts]\nwebhooks = [[\"hunter2\"]]\n",
            "[alerts]\nwebhooks = \"https://hooks.example.com/hunter2\"\n",
            "[alerts]\nwebhook = \"https://hooks.example.com/hunter2\"\n",
        ] {
            std::fs::write(&file, text).unwrap();
            let message = fault(ServerOptions { config: Some(file.path().into()), ..typed() });
            assert!(!message.contains("hunter2"), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }

    #[test]
    fn what_is_typed_wins_over_the_file_and_a_wrong_key_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "[server]\nhttp = \"127.0.0.1:1\"\ngrpc = \"127.0.0.1:2\"\n").unwrap();
        let options = || ServerOptions { config: Some(file.path().into()), ..typed() };

        let settings =
            Settings::from(ServerOptions { http: Some("127.0.0.1:9".parse().unwrap()), ..options() }).unwrap();
        assert_eq!((settings.http.port(), settings.grpc.port()), (9, 2));

        std::fs::write(&file, "[server]\nhtpp = \"127.0.0.1:1\"\n").unwrap();
        assert!(fault(options()).contains("htpp"));

        std::fs::write(&file, "[alert]\nfor = \"1s\"\n").unwrap();
        assert!(fault(options()).contains("\"alert\""));
        assert!(Settings::check(file.path()).is_err());
    }
}
