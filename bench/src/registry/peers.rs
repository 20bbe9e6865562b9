//! What a program would keep its pipelines in otherwise: a row in PostgreSQL, a hash in Redis.
//!
//! A registration is an `INSERT`, or an `HSET` of a new key; a report is an upsert, or an `HSET` of some of the fields;
//! a look is a `SELECT` by key, or an `HGETALL`. Neither counts anything together, keeps a history or notices silence.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use super::case::{Case, REPORTED, Turns, id, usage};
use crate::closed_loop::{Client, Measured, run, run_through};
use crate::connection::Connection;
use crate::peers::postgres::{self, Script};
use crate::peers::{Peer, redis};

pub const POSTGRES: &str =
    "`synchronous_commit=on`; INSERT, upsert by key, SELECT by key, a commit each; pgbench, prepared";
pub const REDIS: &str = "`appendonly yes`, `appendfsync always`; HSET, HGETALL; raw RESP";

const TABLE: &str = "
    DROP TABLE IF EXISTS pipelines;
    DROP SEQUENCE IF EXISTS pipeline_numbers;
    CREATE SEQUENCE pipeline_numbers CACHE 100;
    CREATE TABLE pipelines (
        id text PRIMARY KEY,
        name text NOT NULL,
        status text NOT NULL DEFAULT 'configured',
        total_records bigint NOT NULL DEFAULT 0,
        failed_records bigint NOT NULL DEFAULT 0,
        cpu_percent double precision NOT NULL DEFAULT 0,
        memory_mb bigint NOT NULL DEFAULT 0,
        heartbeat timestamptz NOT NULL DEFAULT now()
    );";
const FILL: &str =
    "INSERT INTO pipelines (id, name) SELECT 'pipeline-' || n, 'Pipeline' FROM generate_series(0, $COUNT - 1) n";
const REGISTER: &str =
    "INSERT INTO pipelines (id, name) VALUES ('pipeline-' || nextval('pipeline_numbers'), 'Pipeline');\n";
const REPORT_STATUS: &str = "\
\\set number random(0, $COUNT - 1)
\\set total random(1, 1000000000)
INSERT INTO pipelines (id, name, status, total_records) VALUES ('pipeline-' || (:number ::bigint), 'Pipeline', 'running', :total ::bigint) \
ON CONFLICT (id) DO UPDATE SET status = excluded.status, total_records = excluded.total_records, heartbeat = now();
";
const REPORT_USAGE: &str = "\
\\set number random(0, $COUNT - 1)
\\set memory random(1, 1000000000)
INSERT INTO pipelines (id, name, cpu_percent, memory_mb) VALUES ('pipeline-' || (:number ::bigint), 'Pipeline', 0.5, :memory ::bigint) \
ON CONFLICT (id) DO UPDATE SET cpu_percent = excluded.cpu_percent, memory_mb = excluded.memory_mb, heartbeat = now();
";
const GET_ONE: &str =
    "\\set number random(0, $COUNT - 1)\nSELECT * FROM pipelines WHERE id = 'pipeline-' || (:number ::bigint);\n";

/// Whether a peer has the case at all.
pub fn has(case: Case) -> bool {
    !matches!(case, Case::List100 | Case::System)
}

/// Measures one case of one peer, with as many pipelines in it as Capstan has.
pub async fn measure(
    peer: Peer,
    case: Case,
    clients: usize,
    (warm_up, window): (Duration, Duration),
    scratch: &Path,
) -> Result<Measured> {
    match peer.name() {
        "postgres" => measure_postgres(peer, case, clients, (warm_up, window), scratch).await,
        "redis" => measure_redis(peer, case, clients, (warm_up, window)).await,
        other => bail!("{other} has no rows that pipelines could be kept in; there are postgres and redis"),
    }
}

async fn measure_postgres(
    peer: Peer,
    case: Case,
    clients: usize,
    (warm_up, window): (Duration, Duration),
    scratch: &Path,
) -> Result<Measured> {
    let counted = |text: &str| text.replace("$COUNT", &REPORTED.to_string());
    postgres::psql(peer.address(), TABLE).await?;
    if case != Case::Register {
        postgres::psql(peer.address(), &counted(FILL)).await?;
        postgres::psql(peer.address(), "VACUUM ANALYZE pipelines").await?;
    }
    // Now, and not while it or another system is measured.
    postgres::psql(peer.address(), "CHECKPOINT").await?;
    let text = match case {
        Case::Register => REGISTER.to_owned(),
        Case::ReportStatus => counted(REPORT_STATUS),
        Case::ReportUsage => counted(REPORT_USAGE),
        Case::GetOne => counted(GET_ONE),
        Case::List100 | Case::System => bail!("PostgreSQL is not asked for {}", case.name()),
    };
    let script = Script { text, items: 1, define: None, clients, scratch };
    let warm_up = if case == Case::Register { Duration::ZERO } else { warm_up };
    script.measure(peer.address(), warm_up, window).await
}

async fn measure_redis(
    peer: Peer,
    case: Case,
    clients: usize,
    (warm_up, window): (Duration, Duration),
) -> Result<Measured> {
    let mut connection = Connection::open(peer.address()).await?;
    redis::call(&mut connection, &["FLUSHALL"]).await?;
    let open = async |case: Case, clients: usize| -> Result<Vec<RedisClient>> {
        let turns = Arc::new(Turns::new(REPORTED));
        let mut opened = Vec::new();
        for _ in 0..clients {
            let connection = Connection::open(peer.address()).await?;
            opened.push(RedisClient { connection, case, turns: Arc::clone(&turns) });
        }
        Ok(opened)
    };
    if case == Case::Register {
        return run_through(open(case, clients).await?, window).await;
    }
    let filled = run_through(open(Case::Register, 64).await?, Duration::from_secs(60)).await?;
    if filled.items != REPORTED {
        bail!("{} pipelines of {REPORTED} were made", filled.items);
    }
    run(open(case, clients).await?, warm_up, window).await
}

struct RedisClient {
    connection: Connection,
    case: Case,
    turns: Arc<Turns>,
}

impl Client for RedisClient {
    async fn step(&mut self) -> Result<u64> {
        let request = if self.case == Case::Register {
            let Some(pipeline) = self.turns.new_one() else { return Ok(0) };
            let (key, name) = (key(pipeline), format!("Pipeline {pipeline}"));
            let state = ["status", "configured", "total_records", "0", "failed_records", "0", "heartbeat", "0"];
            redis::request(&[&["HSET", &key, "name", &name][..], &state].concat())
        } else {
            let (pipeline, number) = self.turns.next();
            let (key, total) = (key(pipeline), number.to_string());
            let ((cpu, memory), beat) = (usage(number), ["heartbeat", &total]);
            match self.case {
                Case::ReportStatus => {
                    redis::request(&[&["HSET", &key, "status", "running", "total_records", &total][..], &beat].concat())
                }
                Case::ReportUsage => {
                    let (cpu, memory) = (cpu.to_string(), memory.to_string());
                    redis::request(&[&["HSET", &key, "cpu_percent", &cpu, "memory_mb", &memory][..], &beat].concat())
                }
                Case::GetOne => redis::request(&["HGETALL", &key]),
                Case::Register | Case::List100 | Case::System => bail!("Redis is not asked for {}", self.case.name()),
            }
        };
        self.connection.send(&request).await?;
        self.connection.receive(redis::reply).await?.or_error()?;
        Ok(1)
    }
}

fn key(pipeline: u64) -> String {
    format!("pipeline:{}", id(pipeline))
}
