//! Whether a database can hold a journal, and how it keeps what it acknowledges: checked, not assumed.

use crate::address::{Address, Quorum};
use crate::fault;
use crate::store::Store;
use capstan_journal::{Durability, JournalError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::unprepared::Statement;
use std::collections::HashMap;

const MAJOR_MIN: u32 = 4;
/// A part of a large commit has to fit into a mutation, which is at most half a segment.
const SEGMENT_BYTES_MIN: u64 = 2 << 20;

/// Sees that the database is new enough.
pub(crate) async fn check_version(store: &Store) -> Result<(), JournalError> {
    let found: Option<(String,)> = first(store, "SELECT release_version FROM system.local").await?;
    check_release(&store.place, &found.map(|(version,)| version).unwrap_or_default())
}

fn check_release(place: &str, version: &str) -> Result<(), JournalError> {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= MAJOR_MIN) {
        return Ok(());
    }
    let what = format!("it says that it is version {version}; Cassandra {MAJOR_MIN}.0 or newer is needed");
    Err(fault::unfit(place, what))
}

/// How a keyspace is kept; none where there is no such keyspace.
pub(crate) async fn replication(
    store: &Store,
    keyspace: &str,
) -> Result<Option<(bool, HashMap<String, String>)>, JournalError> {
    // The name was checked: it needs no quotes.
    let text =
        format!("SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'");
    first(store, &text).await
}

/// Sees that the keyspace keeps what is written; answers how many copies it keeps where the quorum is counted.
pub(crate) fn check_keyspace(
    address: &Address,
    durable_writes: bool,
    replication: &HashMap<String, String>,
) -> Result<u32, JournalError> {
    let place = format!("keyspace {} in {}", address.keyspace, address.place());
    let unfit = |what: String| Err(fault::unfit(&place, what));
    if !durable_writes {
        return unfit(format!(
            "it has durable_writes = false, which keeps nothing over a restart; ALTER KEYSPACE {} WITH durable_writes = true",
            address.keyspace
        ));
    }
    // One with transient replicas reads 3/1.
    let number = |text: &str| text.parse::<u32>().ok();
    let strategy = replication.get("class").map(String::as_str).unwrap_or_default();
    let copies = if strategy.ends_with("NetworkTopologyStrategy") {
        let of = |dc: &str| replication.get(dc).and_then(|text| number(text));
        match (address.quorum, &address.local_dc) {
            (Quorum::Local, Some(dc)) => of(dc),
            _ => replication.iter().filter(|(key, _)| *key != "class").map(|(_, text)| number(text)).sum(),
        }
    } else if strategy.ends_with("SimpleStrategy") {
        replication.get("replication_factor").and_then(|text| number(text))
    } else {
        None
    };
    match copies {
        Some(copies) if copies > 0 => Ok(copies),
        _ => unfit(format!(
            "its replication is {replication:?}; NetworkTopologyStrategy with whole copies{} is needed",
            address.local_dc.as_ref().map_or(String::new(), |dc| format!(" in {dc}")),
        )),
    }
}

/// How the nodes that answer keep what they acknowledge.
pub(crate) async fn durability(store: &Store, copies: u32) -> Result<Durability, JournalError> {
    let mut later = Vec::new();
    let cluster = store.session().get_cluster_state();
    for node in cluster.get_nodes_info().iter().filter(|node| node.is_connected()) {
        let address = node.address;
        let identifier = NodeIdentifier::HostId(node.host_id);
        let ask = |name: &'static str| setting(store, identifier.clone(), name);
        if let Some(size) = ask("commitlog_segment_size").await?.as_deref().and_then(bytes)
            && size < SEGMENT_BYTES_MIN
        {
            let what = format!(
                "node {address} has commitlog_segment_size {size} bytes, at least {SEGMENT_BYTES_MIN} are needed"
            );
            return Err(fault::unfit(&store.place, what));
        }
        match ask("commitlog_sync").await?.as_deref() {
            Some("batch" | "group") => {}
            Some(other) => later.push(format!("node {address} has commitlog_sync: {other}; set group or batch")),
            None => later.push(format!(
                "node {address} does not tell its commitlog_sync; GRANT SELECT ON KEYSPACE system_views to this role"
            )),
        }
    }
    if copies == 1 {
        let advice = "one copy is kept (replication factor 1): when its node is lost, so is the journal";
        if later.is_empty() {
            tracing::warn!(place = store.place, "{advice}");
        } else {
            later.push(advice.to_owned());
        }
    }
    Ok(if later.is_empty() { Durability::BeforeAck } else { Durability::Later(later.join("; ")) })
}

/// One setting of one node; none where it may not be asked.
async fn setting(store: &Store, node: NodeIdentifier, name: &str) -> Result<Option<String>, JournalError> {
    let mut statement = Statement::new(format!("SELECT value FROM system_views.settings WHERE name = '{name}'"));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(node, None)));
    statement.set_consistency(scylla::frame::types::Consistency::One);
    match ask(store, statement).await {
        Ok(row) => Ok(row.and_then(|(value,): (Option<String>,)| value)),
        Err(JournalError::Unfit { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `5MiB` and the like as a number of bytes.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

async fn first<R>(store: &Store, text: &str) -> Result<Option<R>, JournalError>
where
    R: for<'frame> scylla::deserialize::row::DeserializeRow<'frame, 'frame>,
{
    let mut statement = Statement::new(text);
    statement.set_consistency(scylla::frame::types::Consistency::One);
    ask(store, statement).await
}

async fn ask<R>(store: &Store, mut statement: Statement) -> Result<Option<R>, JournalError>
where
    R: for<'frame> scylla::deserialize::row::DeserializeRow<'frame, 'frame>,
{
    const OPERATION: &str = "ask the database about itself";
    statement.set_is_idempotent(true);
    let result = store.session().query_unpaged(statement, ()).await;
    let result = result.map_err(|error| fault::not_executed(error, OPERATION, &store.place))?;
    let rows = result.into_rows_result().map_err(|error| fault::store(&store.place, OPERATION, error.to_string()))?;
    rows.maybe_first_row::<R>().map_err(|error| fault::store(&store.place, OPERATION, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(class: &str, copies: &[(&str, &str)]) -> HashMap<String, String> {
        let class = ("class".to_owned(), format!("org.apache.cassandra.locator.{class}"));
        copies.iter().map(|(dc, number)| ((*dc).to_owned(), (*number).to_owned())).chain([class]).collect()
    }

    #[test]
    fn a_keyspace_that_keeps_nothing_is_unfit() {
        let address = Address::parse("cassandra://db/x", None).unwrap();
        let local = Address::parse("cassandra://db/x?consistency=local_quorum&local_dc=b", None).unwrap();
        let (two, simple) = (
            kept("NetworkTopologyStrategy", &[("a", "3"), ("b", "2")]),
            kept("SimpleStrategy", &[("replication_factor", "1")]),
        );

        assert_eq!(check_keyspace(&address, true, &two).unwrap(), 5);
        assert_eq!(check_keyspace(&local, true, &two).unwrap(), 2);
        assert_eq!(check_keyspace(&address, true, &simple).unwrap(), 1);
        for (address, durable, replication) in [
            (&address, false, &two),
            (&address, true, &kept("LocalStrategy", &[])),
            (&address, true, &kept("NetworkTopologyStrategy", &[("a", "3/1")])),
            (&local, true, &kept("NetworkTopologyStrategy", &[("a", "3")])),
        ] {
            let error = check_keyspace(address, durable, replication).unwrap_err();
            assert!(matches!(error, JournalError::Unfit { .. }), "{error}");
        }
    }

    #[test]
    fn a_database_that_is_too_old_is_told_what_is_needed() {
        for version in ["4.0.0", "4.1.7", "5.0.4", "10.0", "5.1-SNAPSHOT"] {
            check_release("cassandra://db", version).unwrap();
        }
        for version in ["3.11.19", "3.0.8", "2.2", "", "unknown"] {
            let error = check_release("cassandra://db", version).unwrap_err();
            assert!(matches!(error, JournalError::Unfit { .. }), "{error:?}");
            assert_eq!(
                error.to_string(),
                format!(
                    "cassandra://db cannot hold a journal as it is: it says that it is version {version}; \
                     Cassandra 4.0 or newer is needed"
                )
            );
        }
    }

    #[test]
    fn sizes_are_read_as_the_settings_show_them() {
        for (text, expected) in
            [("5MiB", Some(5 << 20)), ("1024KiB", Some(1 << 20)), ("7B", Some(7)), ("x", None), ("5MB", None)]
        {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
