//! Where messages go, without showing it.

use reqwest::Url;
use std::fmt;

/// The longest address.
pub const ADDRESS_BYTES_MAX: usize = 4_096;

/// Where messages go. What is shown of it is `scheme://host[:port]`: user, path and query may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Text that is no address of a webhook. Repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL at all.
    #[error("expected http://HOST… or https://HOST…, found what is no URL: {0}")]
    Malformed(String),
    /// It is not reached over HTTP.
    #[error("expected http://HOST… or https://HOST…, found {0}:…")]
    Scheme(String),
    /// It has a part that is never sent.
    #[error("what follows # in an address is never sent; leave it out, or write %23")]
    Fragment,
    /// It is too long.
    #[error("an address is at most {ADDRESS_BYTES_MAX} bytes long, found {0}")]
    TooLong(usize),
}

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong(text.len()));
        }
        // Its errors are fixed sentences: nothing of the text is in them.
        let url = Url::parse(text).map_err(|error| AddressError::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme(url.scheme().to_owned()));
        }
        if url.fragment().is_some() {
            return Err(AddressError::Fragment);
        }
        Ok(Self(url))
    }

    /// Its host, as it is compared: in lower case, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Its port, also where it goes without saying.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_an_address_is_shown() {
        for (text, shown) in [
            ("https://hooks.example.com/services/hunter2", "https://hooks.example.com"),
            ("http://ann:hunter2@10.0.0.1:9093/?token=hunter2", "http://10.0.0.1:9093"),
            ("https://HOOKS.example.com:443/hunter2", "https://hooks.example.com"),
            ("http://[::1]:8080/hunter2", "http://[::1]:8080"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        let long = format!("https://a/{}", "hunter2".repeat(600));
        for text in
            ["hunter2", "ftp://hunter2.example", "https://", "http://a:hunter2/", "https://a/#hunter2", "", &long]
        {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
