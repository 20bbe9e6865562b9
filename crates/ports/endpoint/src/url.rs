//! Addresses of endpoints: `SCHEME:PLACE[?option=value&…]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use capstan_ids::secrets_in_options;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::{EndpointError, Result};

/// The address of an endpoint, as it was typed and split into its parts.
///
/// Shown (`Display`, `Debug`, serialised) it hides the password, and the values of options that are secrets. [`text`](Self::text) gives it whole, for the adapter that
/// connects and for nobody else.
///
/// ```
/// # use capstan_endpoint::EndpointUrl;
/// let url: EndpointUrl = "dump:./back%20up?gzip=true".parse()?;
/// assert_eq!(url.scheme(), "dump");
/// assert_eq!(url.file_path()?, std::path::Path::new("./back up"));
/// assert_eq!(url.flag("gzip")?, Some(true));
/// # Ok::<(), capstan_endpoint::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    text: String,
    scheme_len: usize,
}

/// An address longer than this is refused.
const URL_BYTES_MAX: usize = 8 << 10;

impl EndpointUrl {
    /// What comes before the first colon, in lower case letters: `dump`, `jsonl`, `mongodb+srv`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme_len]
    }

    /// The address as it was typed, password included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What lies between the scheme's colon and the first `?`, still percent-encoded.
    pub fn place(&self) -> &str {
        let rest = &self.text[self.scheme_len + 1..];
        rest.split_once('?').map_or(rest, |(place, _)| place)
    }

    /// The place as a path: percent-decoded, relative to the working directory unless it begins with `/`.
    ///
    /// `scheme:///path` is taken as `/path`; a host (`scheme://host/path`) is refused.
    pub fn file_path(&self) -> Result<PathBuf> {
        let place = match self.place().strip_prefix("//") {
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) => {
                return Err(self.refused("a file has no host; write SCHEME:relative/path or SCHEME:/absolute/path"));
            }
            None => self.place(),
        };
        if place.is_empty() {
            return Err(self.refused("a path is expected after the colon"));
        }
        let decoded = decode(place).map_err(|reason| self.refused(reason))?;
        if decoded.contains('\0') {
            return Err(self.refused("a path cannot hold a NUL character"));
        }
        Ok(decoded.into())
    }

    /// The options after `?`, decoded. One that is given twice is refused.
    pub fn options(&self) -> Result<BTreeMap<String, String>> {
        let mut options = BTreeMap::new();
        let Some((_, query)) = self.text.split_once('?') else { return Ok(options) };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|reason| self.refused(reason))?;
            let value = decode(value).map_err(|reason| self.refused(reason))?;
            if options.insert(name.clone(), value).is_some() {
                return Err(self.refused(format!("option `{name}` is given twice")));
            }
        }
        Ok(options)
    }

    /// Refuses options other than `known`.
    pub fn allow_options(&self, known: &[&str]) -> Result<()> {
        match self.options()?.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) if known.is_empty() => Err(self.refused(format!("option `{name}` is unknown: it takes none"))),
            Some(name) => Err(self.refused(format!("option `{name}` is unknown: it takes {}", known.join(", ")))),
        }
    }

    /// An option that is `true` or `false`, if it is given.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.options()?.get(name).map(String::as_str) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.refused(format!("option `{name}` is true or false, not `{other}`"))),
        }
    }

    /// An error that names this address without its password.
    pub fn refused(&self, reason: impl Into<String>) -> EndpointError {
        EndpointError::Url { url: self.to_string(), reason: reason.into() }
    }

    /// Where the password is: after the first `:` in what lies between `//` and the last `@` before the path.
    fn password(&self) -> Option<std::ops::Range<usize>> {
        let start = self.scheme_len + 1 + 2;
        if !self.text[self.scheme_len + 1..].starts_with("//") {
            return None;
        }
        let authority = &self.text[start..];
        let end = authority.find(['/', '?']).filter(|&end| !authority[end..].contains('@')).unwrap_or(authority.len());
        let at = authority[..end].rfind('@')?;
        let colon = authority[..at].find(':')?;
        Some(start + colon + 1..start + at)
    }
}

fn decode(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        if !bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("`%` is followed by two hexadecimal digits; write %25 for a percent sign".into());
        }
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| "the decoded text is not UTF-8".into())
}

impl FromStr for EndpointUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |url: &str, reason: &str| EndpointError::Url { url: url.into(), reason: reason.into() };
        if text.len() > URL_BYTES_MAX {
            return Err(refused("(too long)", "an address has at most 8192 bytes"));
        }
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"+.-".contains(&c))
        });
        match scheme {
            Some(scheme) => Ok(Self { text: text.into(), scheme_len: scheme.len() }),
            // Not repeated: what cannot be split cannot have its password hidden.
            None => Err(refused(
                "(not shown)",
                "it begins with a scheme and a colon, as in dump:./backup or mongodb://host",
            )),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        for hidden in self.password().into_iter().chain(secrets_in_options(&self.text)) {
            // A question mark in a password that was not encoded: what is behind it is hidden with it already.
            if hidden.start >= shown {
                write!(f, "{}***", &self.text[shown..hidden.start])?;
                shown = hidden.end;
            }
        }
        f.write_str(&self.text[shown..])
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}

impl Serialize for EndpointUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> EndpointUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_a_path_relative_or_absolute_and_percent_decoded() {
        for (text, path) in [
            ("dump:backup", "backup"),
            ("dump:./a%20b%3Fc", "./a b?c"),
            ("dump:/var/backup?gzip=true", "/var/backup"),
            ("dump:///var/backup", "/var/backup"),
            ("jsonl:/tmp/%C3%BC.jsonl", "/tmp/ü.jsonl"),
        ] {
            assert_eq!(url(text).file_path().unwrap(), PathBuf::from(path), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (text, reason) in [
            ("dump:", "a path is expected after the colon"),
            ("dump://host/a", "a file has no host; write SCHEME:relative/path or SCHEME:/absolute/path"),
            ("dump:100%", "`%` is followed by two hexadecimal digits; write %25 for a percent sign"),
            ("dump:%00", "a path cannot hold a NUL character"),
        ] {
            let EndpointError::Url { reason: found, .. } = url(text).file_path().unwrap_err() else { panic!("{text}") };
            assert_eq!(found, reason, "{text}");
        }
        assert!("backup".parse::<EndpointUrl>().is_err());
        assert!("/a:b".parse::<EndpointUrl>().is_err());
    }

    #[test]
    fn options_are_checked_by_name_value_and_number() {
        assert_eq!(url("dump:a?gzip=true").flag("gzip").unwrap(), Some(true));
        assert!(url("dump:a?gzip=yes").flag("gzip").is_err());
        assert!(url("dump:a?gzip=true&gzip=false").options().is_err());
        assert!(url("dump:a?zip=true").allow_options(&["gzip"]).is_err());
        assert!(url("null:?x=1").allow_options(&[]).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("mongodb://ann:pa:ss@h:1/db?x=1", "mongodb://ann:***@h:1/db?x=1"),
            ("mongodb://ann:p@ss@h/db", "mongodb://ann:***@h/db"),
            ("mongodb://ann:p/s@h/db", "mongodb://ann:***@h/db"),
            ("mongodb://h:27017/db", "mongodb://h:27017/db"),
            ("dump:a@b:c", "dump:a@b:c"),
            (
                "mongodb://ann:x@h/?proxyPassword=p&tls=true&tlsCertificateKeyFilePassword=q",
                "mongodb://ann:***@h/?proxyPassword=***&tls=true&tlsCertificateKeyFilePassword=***",
            ),
            (
                "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:t,A:b",
                "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:***,A:b",
            ),
        ] {
            assert_eq!(
                (url(text).to_string(), format!("{:?}", url(text))),
                (shown.into(), format!("EndpointUrl({shown})"))
            );
            assert_eq!(serde_json::to_string(&url(text)).unwrap(), format!("\"{shown}\""));
        }
    }
}
