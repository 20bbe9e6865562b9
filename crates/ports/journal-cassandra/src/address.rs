//! Where a journal is: the address as it was typed, and what is meant by it.

use crate::OpenError;
use percent_encoding::percent_decode_str;
use scylla::frame::types::{Consistency, SerialConsistency};
use std::fmt;
use std::path::PathBuf;

/// How many replicas answer before something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quorum {
    /// More than half of all replicas.
    All,
    /// More than half of the replicas in one datacentre.
    Local,
}

/// An address, taken apart. Holds a password and is never shown: [`Address::place`] is.
#[derive(Clone)]
pub(crate) struct Address {
    /// Each with its port.
    pub hosts: Vec<String>,
    pub user: Option<(String, String)>,
    pub keyspace: String,
    pub log: String,
    /// Only for a keyspace that is not there yet.
    pub replication_factor: u32,
    pub local_dc: Option<String>,
    pub quorum: Quorum,
    /// The certificates of those that may vouch for a node; without, connections are not encrypted.
    pub authorities: Option<PathBuf>,
}

const PORT: u16 = 9042;
const KEYSPACE: &str = "capstan";
const LOG: &str = "main";
/// Cassandra's own limit.
const NAME_BYTES_MAX: usize = 48;
const REPLICATION_FACTOR_MAX: u32 = 99;
const UNREADABLE: &str =
    "the address cannot be read; write @ : / ? # & % in names and passwords as %40 %3A %2F %3F %23 %26 %25";

impl Quorum {
    pub fn consistency(self) -> Consistency {
        match self {
            Self::All => Consistency::Quorum,
            Self::Local => Consistency::LocalQuorum,
        }
    }

    /// For reads that see everything that was ever answered.
    pub fn serially(self) -> Consistency {
        match self {
            Self::All => Consistency::Serial,
            Self::Local => Consistency::LocalSerial,
        }
    }

    /// For the comparing half of a conditional write.
    pub fn serial(self) -> SerialConsistency {
        match self {
            Self::All => SerialConsistency::Serial,
            Self::Local => SerialConsistency::LocalSerial,
        }
    }
}

impl Address {
    /// Reads a `cassandra://` URL. What it says may be secret, so no error repeats any of it.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, OpenError> {
        let rest =
            url.strip_prefix("cassandra://").ok_or_else(|| wrong("the address does not begin with cassandra://"))?;
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, keyspace) = base.split_once('/').unwrap_or((base, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let mut address = Self {
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            user: user.map(|user| credentials(user, password)).transpose()?,
            keyspace: if keyspace.is_empty() { KEYSPACE.to_owned() } else { keyspace.to_owned() },
            log: LOG.to_owned(),
            replication_factor: 1,
            local_dc: None,
            quorum: Quorum::All,
            authorities: None,
        };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').ok_or_else(|| wrong("a parameter has no value"))?;
            address.set(key, decoded(value)?)?;
        }
        address.check()?;
        Ok(address)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), OpenError> {
        match key {
            "log" => self.log = value,
            "replication_factor" => {
                let number = value.parse().ok().filter(|number| (1..=REPLICATION_FACTOR_MAX).contains(number));
                self.replication_factor =
                    number.ok_or_else(|| wrong(format!("replication_factor is not 1 to {REPLICATION_FACTOR_MAX}")))?;
            }
            "local_dc" => self.local_dc = Some(value),
            "consistency" => {
                self.quorum = match value.as_str() {
                    "quorum" => Quorum::All,
                    "local_quorum" => Quorum::Local,
                    _ => return Err(wrong("consistency is none of quorum, local_quorum")),
                }
            }
            "tls_ca" => self.authorities = Some(value.into()),
            _ => {
                return Err(wrong("a parameter is none of log, replication_factor, local_dc, consistency, tls_ca"));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), OpenError> {
        if !is_name(&self.keyspace) {
            return Err(wrong("the keyspace is not 1 to 48 of a-z, 0-9 and _, with a letter first"));
        }
        if !is_name(&self.log) {
            return Err(wrong("the log is not 1 to 48 of a-z, 0-9 and _, with a letter first"));
        }
        // A datacentre stands between quotes in a statement, and no real one has others.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_. :".contains(c);
        if self.local_dc.as_ref().is_some_and(|dc| dc.is_empty() || !dc.chars().all(plain)) {
            return Err(wrong("local_dc is not a datacentre's name"));
        }
        if self.quorum == Quorum::Local && self.local_dc.is_none() {
            return Err(wrong("consistency=local_quorum needs local_dc, the datacentre that all servers are in"));
        }
        Ok(())
    }

    /// The address as it may be shown.
    pub fn place(&self) -> String {
        format!("cassandra://{}/{}?log={}", self.hosts.join(","), self.keyspace, self.log)
    }

    /// What all servers on a log have to agree about.
    pub fn agreement(&self) -> String {
        match (&self.quorum, &self.local_dc) {
            (Quorum::Local, Some(dc)) => format!("local_quorum in {dc}"),
            _ => "quorum".to_owned(),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

fn host(text: &str) -> Result<String, OpenError> {
    let (name, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().map_err(|_| wrong(UNREADABLE))?),
        _ => (text, PORT),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(wrong(if name.is_empty() { "the address names no host" } else { UNREADABLE }));
    }
    Ok(format!("{name}:{port}"))
}

fn credentials(text: &str, beside: Option<&str>) -> Result<(String, String), OpenError> {
    let (user, secret) = match text.split_once(':') {
        Some((user, secret)) => (user, decoded(secret)?),
        None => (text, beside.ok_or_else(|| wrong("the address names a user and no password"))?.to_owned()),
    };
    Ok((decoded(user)?, secret))
}

fn decoded(text: &str) -> Result<String, OpenError> {
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| wrong("a part of the address is not UTF-8"))?.into_owned())
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(crate) fn wrong(what: impl Into<String>) -> OpenError {
    OpenError::Address { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url, None).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn an_address_is_read_with_everything_that_is_special_in_it() {
        let it = address(
            "cassandra://us%40er:p%40ss%3A%2F@h1:9043,h2,[::1],[fe80::2]:99/blue?replication_factor=3&local_dc=eu-1&consistency=local_quorum&log=a_1",
        );
        assert_eq!(it.user, Some(("us@er".into(), "p@ss:/".into())));
        assert_eq!(it.hosts, ["h1:9043", "h2:9042", "[::1]:9042", "[fe80::2]:99"]);
        assert_eq!((it.replication_factor, it.quorum), (3, Quorum::Local));
        assert_eq!(it.place(), "cassandra://h1:9043,h2:9042,[::1]:9042,[fe80::2]:99/blue?log=a_1");
        assert_eq!(it.agreement(), "local_quorum in eu-1");

        let it = address("cassandra://db");
        assert_eq!((it.keyspace.as_str(), it.log.as_str(), it.agreement().as_str()), ("capstan", "main", "quorum"));
        assert!(it.user.is_none());
    }

    #[test]
    fn an_error_about_an_address_repeats_nothing_of_it() {
        for url in [
            "postgres://u:hunter2@db/x",
            "cassandra://u:hunter2@db:port/x",
            "cassandra://u:hunter2/@db/x",
            "cassandra://u:hunter2@/x",
            "cassandra://u:hunter2@db/x?hunter2",
            "cassandra://u:hunter2@db/x?hunter2=1",
            "cassandra://u:hunter2@db/Hunter2",
            "cassandra://u:hunter2@db/x?log=Hunter2",
            "cassandra://u:hunter2@db/x?consistency=hunter2",
            "cassandra://u:hunter2@db/x?consistency=local_quorum",
            "cassandra://u:hunter2@db/x?replication_factor=hunter2",
            "cassandra://u:hunter2@db/x?local_dc=hunter2'",
            "cassandra://hunter2@db/x",
        ] {
            let error = Address::parse(url, None).map(|_| ()).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.to_lowercase().contains("hunter2"), "{url}: {told}");
        }
    }

    #[test]
    fn a_password_beside_the_address_is_used_where_it_has_none() {
        let beside = |url| Address::parse(url, Some("beside")).unwrap().user.unwrap().1;
        assert_eq!(beside("cassandra://u@db/x"), "beside");
        assert_eq!(beside("cassandra://u:within@db/x"), "within");
        assert!(!format!("{:?}", address("cassandra://u:within@db/x")).contains("within"));
    }
}
