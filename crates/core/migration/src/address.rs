//! What the core must know of addresses: whether they hold a secret, and what scheme they have.

use capstan_ids::{secrets_in_options, stands_for_a_secret};

/// Whether the address holds a password itself, rather than `secret:NAME` in its place.
pub fn hides_a_password(url: &str) -> bool {
    let place = url.split_once('?').map_or(url, |(place, _)| place);
    secrets_in_options(url).next().is_some() || password_in(place) || (place.len() < url.len() && password_in(url))
}

/// The password lies between the first colon of what stands before the last `@` and that `@`.
fn password_in(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let Some((user, _)) = rest.rsplit_once('@') else { return false };
    user.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !stands_for_a_secret(password))
}

/// The scheme of an address: what stands before the first colon. Behind it something must follow, but for `null:`.
pub fn scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let plain = scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b));
    let whole = !rest.is_empty() || scheme == "null";
    (plain && scheme.starts_with(|c: char| c.is_ascii_lowercase()) && whole).then_some(scheme)
}

/// The first host of an address with its port, in lower case: what limits on endpoints are named after. None where
/// there is no host, as for files and for the store of this very cluster.
pub(crate) fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme == "kv" {
        return None;
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let first = hosts.split(',').next().filter(|host| !host.is_empty())?.to_ascii_lowercase();
    let behind_brackets = first.rsplit_once(']').map_or(first.as_str(), |(_, rest)| rest);
    let port = match scheme {
        "mongodb" => Some(27_017),
        "http" | "opensearch+http" => Some(80),
        "https" | "opensearch+https" => Some(443),
        _ => None,
    };
    match port {
        Some(port) if !behind_brackets.contains(':') => Some(format!("{first}:{port}")),
        _ => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_where_there_is_one() {
        for (url, found) in [
            ("mongodb://ann:secret:shop@DB1/shop", Some("db1:27017")),
            ("mongodb://db1:27018,db2/?replicaSet=a", Some("db1:27018")),
            ("mongodb+srv://cluster.example.org/db", Some("cluster.example.org")),
            ("mongodb://[::1]/db", Some("[::1]:27017")),
            ("mongodb://[::1]:27019/db", Some("[::1]:27019")),
            ("opensearch+https://search/", Some("search:443")),
            ("dump:./backup", None),
            ("kv://shop", None),
            ("null:", None),
        ] {
            assert_eq!(host(url).as_deref(), found, "{url}");
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_stands() {
        for (url, found) in [
            ("mongodb://ann:pass@host/db", true),
            ("mongodb://ann:p/a@ss:w@host", true),
            ("mongodb://ann:p?a@host/db", true),
            ("mongodb://ann:secret:shop-db@host/db", false),
            ("mongodb://ann:secret:shop-db/x@host/db", true),
            ("mongodb://ann@host/db", false),
            ("mongodb://ann:@host/db", false),
            ("mongodb://host:27017/db", false),
            ("dump:./back@up:1", false),
            ("opensearch+https://h/?Password=x", true),
            ("opensearch+https://h/?password=secret:x", false),
            ("kv://shop?token=t", true),
            ("mongodb://h/?tlsCertificateKeyFilePassword=hunter2", true),
            ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:hunter3", true),
            ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret:aws", false),
        ] {
            assert_eq!(hides_a_password(url), found, "{url}");
        }
    }

    #[test]
    fn an_address_begins_with_a_scheme() {
        for (url, found) in [
            ("dump:./x", Some("dump")),
            ("opensearch+http://h", Some("opensearch+http")),
            ("./x", None),
            ("Dump:x", None),
            ("null:", Some("null")),
            ("dump:", None),
            ("1a:x", None),
        ] {
            assert_eq!(scheme(url), found, "{url}");
        }
    }
}
