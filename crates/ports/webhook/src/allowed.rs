//! Which hosts may be connected to.

use crate::address::Address;
use reqwest::Url;
use std::str::FromStr;

/// Hosts that an operator allows; nothing where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Allowed>);

/// One host, on any of its ports or on one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    host: String,
    port: Option<u16>,
}

/// Text that names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST or HOST:PORT, such as hooks.example.com or 10.0.0.1:9093, found {0:?}")]
pub struct AllowedError(String);

impl AllowList {
    /// Reads entries of the form `HOST`, which allows every port of it, or `HOST:PORT`.
    ///
    /// Hosts are compared as they are written, in any case: a name does not allow its address, nor what lies below it.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, AllowedError> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether messages may go there.
    pub fn has(&self, address: &Address) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed.host == address.host() && allowed.port.is_none_or(|port| port == address.port()))
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let error = || AllowedError(text.to_owned());
        if text.contains(|c: char| "/\\@?#*%".contains(c) || c.is_whitespace() || c.is_control()) {
            return Err(error());
        }
        let (host, port) = match text.rsplit_once(':') {
            // Within brackets a colon is part of the host.
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().map_err(|_| error())?)),
            _ => (text, None),
        };
        if port == Some(0) || (host.contains(':') && !host.starts_with('[')) {
            return Err(error());
        }
        // Compared as an address has it.
        let url = Url::parse(&format!("http://{host}/")).map_err(|_| error())?;
        url.host_str().map(|host| Self { host: host.to_owned(), port }).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_allowed_by_its_host_and_by_its_port_where_one_is_named() {
        let table = [
            ("hooks.example.com", "https://hooks.example.com/x", true),
            ("Hooks.Example.COM", "https://hooks.example.com:8443/x", true),
            ("hooks.example.com:443", "https://hooks.example.com/x", true),
            ("hooks.example.com:443", "http://hooks.example.com/x", false),
            ("hooks.example.com:80", "http://hooks.example.com/x", true),
            ("example.com", "https://hooks.example.com/", false),
            ("hooks.example.com", "https://hooks.example.com.evil.net/", false),
            ("hooks.example.com", "https://hooks.example.com@evil.net/", false),
            ("127.0.0.1:9099", "http://127.0.0.1:9099/", true),
            ("127.0.0.1", "http://localhost/", false),
            ("127.0.0.1", "http://0x7f.1/", true),
            ("[::1]", "http://[::1]:80/", true),
            ("[::1]:8080", "http://[0:0::1]:8080/", true),
            ("[::1]:8080", "http://[::1]:8081/", false),
        ];
        for (entry, address, expected) in table {
            let allowed = AllowList::parse([entry]).unwrap();
            assert_eq!(allowed.has(&Address::parse(address).unwrap()), expected, "{entry} {address}");
        }
    }

    #[test]
    fn nothing_is_allowed_where_nothing_is_listed() {
        assert!(!AllowList::default().has(&Address::parse("http://127.0.0.1/").unwrap()));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", ":80", "https://a", "a/b", "ann@a", "*.example.com", "a:b", "a:0", "a:80:80", "a:70000", "a b", "::1"]
        {
            assert_eq!(AllowList::parse([text]), Err(AllowedError(text.into())), "{text}");
        }
    }
}
