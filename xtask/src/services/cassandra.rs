//! Apache Cassandra: a cluster of one node, from the project's own jars.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Durability, Place, built, free_port, on_path, process};
use crate::workspace::succeed;

const NAME: &str = "cassandra";
const SOURCES: built::Sources = &[
    ("pom.xml", include_str!("../../services/cassandra/pom.xml")),
    ("jvm.args", include_str!("../../services/cassandra/jvm.args")),
    ("logback.xml", include_str!("../../services/cassandra/logback.xml")),
];

/// The Java that runs it, where its build is there.
pub fn program() -> Option<PathBuf> {
    built::find(NAME, SOURCES).and_then(|_| on_path("java"))
}

pub fn build() -> Result<()> {
    let maven = on_path("mvn").context("needs the program mvn")?;
    built::build(NAME, SOURCES, |folder| {
        let mut copy = Command::new(maven);
        copy.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]).current_dir(folder);
        succeed(copy.stdin(Stdio::null()), "mvn dependency:copy-dependencies")
    })
}

/// Writes its settings into its folder, and says how it is run.
pub fn prepare(program: &Path, place: &Place) -> Result<Command> {
    let built = built::find(NAME, SOURCES).context("find Cassandra's jars")?;
    let settings = place.folder.join("cassandra.yaml");
    fs::write(&settings, self::settings(place, free_port()?))
        .with_context(|| format!("write {}", settings.display()))?;
    let mut command = Command::new(program);
    command.arg(format!("@{}", built.join("jvm.args").display()));
    // It serves for a minute or two: the thorough compiler would take longer than it ever gives back.
    command.args(["-Xms768m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-javaagent:{}", agent(&built)?.display()));
    command.arg(format!("-Dcassandra.config=file://{}", settings.display()));
    command.arg(format!("-Dcassandra.storagedir={}", place.folder.display()));
    // One node has nobody to hear from: it need not wait for gossip to settle.
    command.args(["-Dcassandra-foreground=yes", "-Dcassandra.skip_wait_for_gossip_to_settle=0"]);
    command.args(["-Dcassandra.ring_delay_ms=1000", "-Dcassandra.superuser_setup_delay_ms=0"]);
    command.arg("-cp").arg(format!("{0}:{0}/jars/*", built.display()));
    command.arg("org.apache.cassandra.service.CassandraDaemon");
    Ok(command)
}

/// It measures objects with an agent, which lies among its jars under its version's name.
fn agent(built: &Path) -> Result<PathBuf> {
    let jars = fs::read_dir(built.join("jars")).context("list Cassandra's jars")?;
    let mut paths = jars.filter_map(|jar| Some(jar.ok()?.path()));
    let found = paths.find(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"jamm-")));
    found.context("Cassandra's jars lack its agent, jamm")
}

/// A path in double quotes stands for itself in YAML unless it has a quote or a backslash, which no folder of ours has.
fn settings(place: &Place, storage_port: u16) -> String {
    let Place { folder, port, durability } = place;
    let sync = match durability {
        // Flushes as soon as there is something; `group` would have a single writer wait for others first.
        Durability::BeforeAck => "commitlog_sync: batch",
        Durability::Later => "commitlog_sync: periodic\ncommitlog_sync_period: 10s",
    };
    let folder = folder.display();
    format!(
        r#"cluster_name: capstan-test
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
num_tokens: 1
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {port}
storage_port: {storage_port}
ssl_storage_port: {storage_port}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage_port}"
data_file_directories: ["{folder}/data"]
commitlog_directory: "{folder}/commitlog"
saved_caches_directory: "{folder}/caches"
hints_directory: "{folder}/hints"
cdc_raw_directory: "{folder}/cdc"
{sync}
commitlog_segment_size: 5MiB
commitlog_total_space: 256MiB
memtable_allocation_type: heap_buffers
disk_access_mode: standard
auto_snapshot: false
"#
    )
}

/// A request for the options that the server knows, in version 4 of its protocol: answered without logging in.
const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
const SUPPORTED: u8 = 6;

pub fn answers(port: u16) -> bool {
    let Some(mut stream) = process::connect(port) else { return false };
    let mut header = [0; 9];
    stream.write_all(&OPTIONS).is_ok() && stream.read_exact(&mut header).is_ok() && header[4] == SUPPORTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_log_is_flushed_before_an_answer_unless_asked_otherwise() {
        let place = |durability| Place { folder: "/x".into(), port: 9042, durability };

        assert!(settings(&place(Durability::BeforeAck), 1).contains("commitlog_sync: batch\n"));
        assert!(settings(&place(Durability::Later), 1).contains("commitlog_sync: periodic\n"));
    }
}
