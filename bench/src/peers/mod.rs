//! The systems that Capstan is measured against, each with the leanest client there is for it.
//!
//! All acknowledge only what is on their disk. What is measured of each is written at the top of its file.

mod beanstalkd;
pub mod postgres;
pub mod redis;

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::closed_loop::Measured;
use crate::connection::address;
use crate::row::{Case, PAYLOAD_BYTES, Row};

/// A peer that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    kind: Kind,
    address: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    Postgres,
    Beanstalkd,
}

/// One measurement of one peer.
pub struct Cell<'a> {
    pub case: Case,
    pub clients: usize,
    /// Requests that each client has outstanding.
    pub depth: usize,
    pub warm_up: Duration,
    pub window: Duration,
    /// A folder for what a client program writes.
    pub scratch: &'a Path,
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let kind = match text.split_once('=') {
            Some(("redis", _)) => Kind::Redis,
            Some(("postgres", _)) => Kind::Postgres,
            Some(("beanstalkd", _)) => Kind::Beanstalkd,
            _ => bail!("expected redis=URL, postgres=URL or beanstalkd=URL"),
        };
        let url = text.split_once('=').map_or("", |(_, url)| url);
        Ok(Self { kind, address: address(url)? })
    }
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self.kind {
            Kind::Redis => "redis",
            Kind::Postgres => "postgres",
            Kind::Beanstalkd => "beanstalkd",
        }
    }

    /// How it is used and flushed, for people.
    pub fn described(self) -> &'static str {
        match self.kind {
            Kind::Redis => redis::DESCRIBED,
            Kind::Postgres => postgres::DESCRIBED,
            Kind::Beanstalkd => beanstalkd::DESCRIBED,
        }
    }

    pub fn address(self) -> SocketAddr {
        self.address
    }

    pub fn transport(self) -> &'static str {
        match self.kind {
            Kind::Redis => "resp",
            Kind::Postgres => "pgbench",
            Kind::Beanstalkd => "text",
        }
    }

    /// Whether it has the case at all.
    pub fn has(self, case: Case) -> bool {
        // beanstalkd takes and gives one job a command.
        self.kind != Kind::Beanstalkd || matches!(case, Case::Enqueue | Case::AcquireComplete)
    }

    /// How many requests a client of it may have outstanding on one connection, for the case without a stop.
    pub fn depth_max(self) -> usize {
        match self.kind {
            Kind::Redis => redis::DEPTH_MAX,
            Kind::Postgres | Kind::Beanstalkd => 1,
        }
    }

    /// More items a second than it can be made to give out here, so that none runs empty while it is measured.
    pub fn takes_per_second_max(self, case: Case) -> u64 {
        match (self.kind, case) {
            (Kind::Redis, Case::Batch50) => 300_000,
            (Kind::Redis, _) => 60_000,
            (Kind::Postgres, Case::Batch50) => 120_000,
            (Kind::Postgres, _) => 20_000,
            (Kind::Beanstalkd, _) => 10_000,
        }
    }

    pub async fn version(self) -> Result<String> {
        match self.kind {
            Kind::Redis => redis::version(self.address).await,
            Kind::Postgres => postgres::version(self.address).await,
            Kind::Beanstalkd => beanstalkd::version(self.address).await,
        }
    }

    /// Empties it, and makes what it needs.
    pub async fn reset(self) -> Result<()> {
        match self.kind {
            Kind::Redis => redis::reset(self.address).await,
            Kind::Postgres => postgres::reset(self.address).await,
            Kind::Beanstalkd => beanstalkd::reset(self.address).await,
        }
    }

    /// Adds items, as fast as it takes them.
    pub async fn fill(self, items: u64) -> Result<()> {
        match self.kind {
            Kind::Redis => redis::fill(self.address, items).await,
            Kind::Postgres => postgres::fill(self.address, items).await,
            Kind::Beanstalkd => beanstalkd::fill(self.address, items).await,
        }
    }

    pub async fn measure(self, cell: &Cell<'_>) -> Result<Row> {
        let measured = match self.kind {
            Kind::Redis => redis::measure(self.address, cell).await?,
            Kind::Postgres => postgres::measure(self.address, cell).await?,
            Kind::Beanstalkd => beanstalkd::measure(self.address, cell).await?,
        };
        if let Some(error) = &measured.first_error {
            eprintln!("{}: {} errors, the first: {error}", self.name(), measured.errors);
        }
        Ok(self.row(cell, &measured))
    }

    fn row(self, cell: &Cell<'_>, measured: &Measured) -> Row {
        let per_second = measured.per_second();
        Row {
            system: self.name().to_owned(),
            case: cell.case.name().to_owned(),
            transport: self.transport().to_owned(),
            clients: cell.clients,
            in_flight: cell.clients * cell.depth,
            durability: "before_ack".to_owned(),
            per_second,
            p50_ms: measured.quantile_ms(0.5),
            p99_ms: measured.quantile_ms(0.99),
            errors: measured.errors,
            repeats: 1,
            per_second_min: per_second,
            per_second_max: per_second,
        }
    }
}

/// What every item carries.
fn payload() -> String {
    "x".repeat(PAYLOAD_BYTES)
}
