//! Where a journal is: the address as it was typed, and what is meant by it.

use crate::OpenError;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How a connection is kept from being read or taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Whoever answers is believed, encrypted or not as the configuration says.
    Anybody,
    /// The server proves its name by a certificate of these authorities.
    Authorities(Authorities),
}

/// Who may vouch for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorities {
    /// Those that browsers know.
    Public,
    /// Those in a file of PEM certificates.
    File(PathBuf),
}

/// An address, taken apart. Holds a password and is never shown: [`Address::place`] is.
#[derive(Clone)]
pub(crate) struct Address {
    pub config: Config,
    pub schema: String,
    pub trust: Trust,
}

const SCHEMA: &str = "capstan";
const SCHEMA_BYTES_MAX: usize = 63;
/// Parameters that are handed on as they are. Others could only be misspelt: libpq's, and what a password with a bare
/// `&` leaves over.
const HANDED_ON: [&str; 14] = [
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "application_name",
    "options",
    "target_session_attrs",
    "load_balance_hosts",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
];

impl Address {
    /// Reads a `postgres://` URL. What it says may be secret, so no error repeats any of it.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, OpenError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        if !base.starts_with("postgres://") && !base.starts_with("postgresql://") {
            return Err(wrong("the address is no PostgreSQL address"));
        }
        // The driver would take what follows the first for the host, and the host is shown.
        if base.matches('@').count() > 1 {
            return Err(wrong("the address has more than one @; write those of the user and the password as %40"));
        }
        let (mut handed_on, mut mode, mut authorities, mut schema) = (Vec::new(), None, None, SCHEMA.to_owned());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').ok_or_else(|| wrong("a parameter has no value"))?;
            let decoded = percent_decode_str(value).decode_utf8().map_err(|_| wrong("a parameter is not UTF-8"))?;
            match key {
                "schema" => schema = decoded.into_owned(),
                "sslmode" => mode = Some(decoded.into_owned()),
                "sslrootcert" => authorities = Some(Authorities::File(PathBuf::from(decoded.as_ref()))),
                _ if HANDED_ON.contains(&key) => handed_on.push(parameter),
                _ => {
                    return Err(wrong(format!(
                        "a parameter is none of schema, sslmode, sslrootcert, {}",
                        HANDED_ON.join(", ")
                    )));
                }
            }
        }
        if !is_schema(&schema) {
            return Err(wrong("the schema is not 1 to 63 of a-z, 0-9 and _, with a letter or _ first"));
        }
        let plain = format!("{base}?{}", handed_on.join("&"));
        // Its error is not passed on: it may hold a part of what was typed.
        let mut config = Config::from_str(&plain).map_err(|_| {
            wrong(
                "the address cannot be read; write @ : / ? # & % in names and passwords as %40 %3A %2F %3F %23 %26 %25",
            )
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("the address names no host"));
        }
        if let Some(password) = password
            && config.get_password().is_none()
        {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("capstan");
        }
        // Of several servers, only the one that takes changes is meant.
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let trust = encryption(&mut config, mode.as_deref(), authorities)?;
        Ok(Self { config, schema, trust })
    }

    /// The address as it may be shown.
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let mut hosts: Vec<String> = hosts.enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
        if hosts.is_empty() {
            hosts.extend(
                self.config.get_hostaddrs().iter().enumerate().map(|(at, host)| format!("{host}:{}", port(at))),
            );
        }
        format!("postgres://{}/{}?schema={}", hosts.join(","), self.database(), self.schema)
    }

    /// The database, which is named after the user where the address names none.
    pub fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or_default()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

fn encryption(config: &mut Config, mode: Option<&str>, authorities: Option<Authorities>) -> Result<Trust, OpenError> {
    let (ssl_mode, trust) = match (mode, authorities) {
        (Some("disable"), _) => (SslMode::Disable, Trust::Anybody),
        (None | Some("prefer"), None) => (SslMode::Prefer, Trust::Anybody),
        (Some("require"), None) => (SslMode::Require, Trust::Anybody),
        (Some("verify-full"), None) => (SslMode::Require, Trust::Authorities(Authorities::Public)),
        (Some("require" | "verify-full"), Some(given)) => (SslMode::Require, Trust::Authorities(given)),
        (None | Some("prefer"), Some(_)) => {
            return Err(wrong(
                "sslrootcert says whom to believe, and without sslmode=verify-full nobody would be asked",
            ));
        }
        (Some(_), _) => return Err(wrong("sslmode is none of disable, prefer, require, verify-full")),
    };
    if cfg!(not(feature = "tls")) && ssl_mode == SslMode::Require {
        return Err(wrong("the address asks for an encrypted connection, and this program was built without TLS"));
    }
    config.ssl_mode(ssl_mode);
    Ok(trust)
}

fn is_schema(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c == '_';
    (1..=SCHEMA_BYTES_MAX).contains(&name.len())
        && name.starts_with(letters)
        && name.chars().all(|c| letters(c) || c.is_ascii_digit())
}

fn wrong(what: impl Into<String>) -> OpenError {
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
        let it = address("postgres://us%40er:p%40ss%3A%2F%3Fw%26@[::1]:6000/my%20db?schema=blue&sslmode=require");
        assert_eq!(it.config.get_user(), Some("us@er"));
        assert_eq!(it.config.get_password(), Some(b"p@ss:/?w&".as_slice()));
        assert_eq!(it.place(), "postgres://[::1]:6000/my db?schema=blue");
        assert_eq!((it.config.get_ssl_mode(), &it.trust), (SslMode::Require, &Trust::Anybody));

        let socket = address("postgresql://capstan@%2Fvar%2Frun%2Fpostgresql/capstan");
        assert_eq!(socket.config.get_hosts(), [Host::Unix("/var/run/postgresql".into())]);
        assert_eq!(socket.schema, "capstan");
        let socket = address("postgres:///capstan?host=/run/pg&port=6432");
        assert_eq!(socket.place(), "postgres:///run/pg:6432/capstan?schema=capstan");
    }

    #[test]
    fn whom_to_believe_follows_from_the_mode() {
        let file = || Trust::Authorities(Authorities::File("/ca.pem".into()));
        for (query, ssl_mode, trust) in [
            ("", SslMode::Prefer, Trust::Anybody),
            ("sslmode=disable", SslMode::Disable, Trust::Anybody),
            ("sslmode=require", SslMode::Require, Trust::Anybody),
            ("sslmode=require&sslrootcert=/ca.pem", SslMode::Require, file()),
            ("sslmode=verify-full&sslrootcert=%2Fca.pem", SslMode::Require, file()),
            ("sslmode=verify-full", SslMode::Require, Trust::Authorities(Authorities::Public)),
        ] {
            let it = address(&format!("postgres://db/x?{query}"));
            assert_eq!((it.config.get_ssl_mode(), it.trust), (ssl_mode, trust), "{query}");
        }
    }

    #[test]
    fn an_error_about_an_address_repeats_nothing_of_it() {
        for url in [
            "mysql://u:hunter2@db/x",
            "postgres://u:hunter2@db:port/x",
            "postgres://u:pass@hunter2@db/x",
            "postgres://u:pass?hunter2@db/x",
            "postgres://u:pass?hunter2=@db/x",
            "postgres://u:hunter2@db/x?password=a&hunter2=b",
            "postgres://u:hunter2@db/x?hunter2",
            "postgres://u:hunter2@db/x?schema=Hunter2",
            "postgres://u:hunter2@db/x?sslmode=hunter2",
            "postgres://u:hunter2@db/x?target_session_attrs=hunter2",
            "postgres://u:hunter2@db/x?sslrootcert=hunter2",
            "postgres:///hunter2",
        ] {
            let error = Address::parse(url, None).map(|_| ()).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.to_lowercase().contains("hunter2"), "{url}: {told}");
        }
    }

    #[test]
    fn a_password_beside_the_address_is_used_where_it_has_none() {
        let beside = |url| Address::parse(url, Some("beside")).unwrap().config.get_password().unwrap().to_vec();
        assert_eq!(beside("postgres://u@db/x"), b"beside");
        assert_eq!(beside("postgres://u:within@db/x"), b"within");
        assert!(!format!("{:?}", address("postgres://u:within@db/x")).contains("within"));
    }
}
