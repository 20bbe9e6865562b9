//! Which deployment this is, whatever its address says.
//!
//! Addresses alone do not tell: one server has many names, and a tunnel gives it more. So whoever is not sure leaves a
//! trace at the target, an empty-looking collection of a random name, and looks for it from the source's connection.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bson::doc;
use bson::oid::ObjectId;
use capstan_endpoint::{Namespace, Result, Unit, Whereabouts};

use crate::fault;
use crate::listing;
use crate::marks;
use crate::range::raw;
use crate::server::Server;

/// Every address that the deployment's names stand for.
pub(crate) async fn of(server: &Server) -> Whereabouts {
    let mut addresses = BTreeSet::new();
    for member in &server.members {
        match tokio::net::lookup_host(member.as_str()).await {
            Ok(found) => addresses.extend(found.map(|address| one_loopback(address).to_string())),
            // The driver may have reached another member; this one is still known by its name.
            Err(_) => drop(addresses.insert(member.to_ascii_lowercase())),
        }
    }
    Whereabouts::Servers(addresses)
}

/// A server that listens on this machine does so, nearly always, on both of its addresses.
fn one_loopback(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) if ip.is_loopback() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Leaves a collection that nothing else can be taken for, in the database of the unit: its name as `DATABASE.COLLECTION`.
pub(crate) async fn leave_trace(server: &Server, unit: &Unit) -> Result<String> {
    let trace = Namespace::new(&*unit.namespace.database, marks::trace(&ObjectId::new().to_hex()));
    let concern = bson::Document::try_from(server.write_concern().as_ref()).unwrap_or_default();
    let insert = doc! { "insert": &trace.collection, "documents": [{ "_id": 1 }], "writeConcern": concern };
    let action = "leaving a trace at the target";
    let answer = server.command(&trace.database, insert, action).await?;
    match fault::write_errors(&raw(&answer)).into_iter().next() {
        None => Ok(trace.to_string()),
        Some(error) => {
            let said = fault::Said { code: Some(error.code), message: error.message };
            Err(fault::raise(fault::of_code(error.code, &said.message), server.place(), action, said))
        }
    }
}

/// Whether the trace is to be seen from here, whatever database the address names.
pub(crate) async fn sees(server: &Server, trace: &str) -> Result<bool> {
    let Some((database, collection)) = trace.split_once('.') else { return Ok(false) };
    let find = doc! { "find": collection, "limit": 1 };
    Ok(!server.gather(database, raw(&find), "looking for a trace of the target").await?.is_empty())
}

/// Takes a trace back.
pub(crate) async fn erase_trace(server: &Server, trace: &str) -> Result<()> {
    match trace.split_once('.') {
        Some((database, collection)) if marks::is_one(collection) => {
            marks::drop_collection(server, database, collection).await
        }
        _ => Ok(()),
    }
}

/// Takes back what the job remembers of itself in every database, and nothing that it wrote.
pub(crate) async fn forget(server: &Server, marks: &marks::Marks) -> Result<()> {
    for database in listing::databases(server).await? {
        marks.clear(&database).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_of_either_kind_is_one_address() {
        for text in ["127.0.0.1:27017", "[::1]:27017", "[::ffff:127.0.0.1]:27017"] {
            assert_eq!(one_loopback(text.parse().unwrap()).to_string(), "127.0.0.1:27017", "{text}");
        }
        assert_eq!(one_loopback("[2001:db8::1]:1".parse().unwrap()).to_string(), "[2001:db8::1]:1");
    }
}
