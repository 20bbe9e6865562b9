//! The URL of a spool: `file:PATH`, or `SCHEME://BUCKET/PREFIX?option=value&…`.

use crate::error::SpoolError;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// A URL longer than this is refused.
const URL_BYTES_MAX: usize = 8 << 10;
/// What stands for a URL that may hold a secret at a place where it cannot be told from the rest.
const HIDDEN: &str = "(not shown)";

/// A URL in its parts.
pub(crate) struct SpoolUrl {
    pub scheme: String,
    /// What lies between the scheme's colon and the `?`, still percent-encoded.
    pub place: String,
    options: BTreeMap<String, String>,
}

impl SpoolUrl {
    pub fn parse(text: &str) -> Result<Self, SpoolError> {
        let refused = |url: &str, reason: &str| SpoolError::Url { url: url.into(), reason: reason.into() };
        if text.len() > URL_BYTES_MAX {
            return Err(refused(HIDDEN, &format!("it has {} bytes; there may be {URL_BYTES_MAX}", text.len())));
        }
        let known = |scheme: &str| ["file", "s3", "gs", "az"].contains(&scheme);
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| known(scheme)) else {
            return Err(refused(HIDDEN, "a spool is file:PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://…"));
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if scheme != "file" && place.contains('@') {
            let reason = "it holds a user or a password; credentials come from the environment or as secret:NAME, and \
                          an @ of a name is written %40";
            return Err(refused(HIDDEN, reason));
        }
        let mut url = Self { scheme: scheme.into(), place: place.into(), options: BTreeMap::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = url.decoded(name)?;
            let value = url.decoded(value)?;
            if url.options.contains_key(&name) {
                return Err(url.refused(format!("option `{name}` is given twice")));
            }
            url.options.insert(name, value);
        }
        Ok(url)
    }

    /// The URL as it may be shown: its options are left out, since one may be a secret in the wrong place.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.scheme, self.place)
    }

    pub fn refused(&self, reason: impl Into<String>) -> SpoolError {
        SpoolError::Url { url: self.shown(), reason: reason.into() }
    }

    /// The place as a path of a file system: relative to the working directory unless it begins with `/`.
    pub fn path(&self) -> Result<String, SpoolError> {
        let place = match self.place.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            Some(_) => {
                return Err(self.refused("a folder has no host; write file:relative/path or file:/absolute/path"));
            }
            None => &self.place,
        };
        if place.is_empty() {
            return Err(self.refused("a path is expected after the colon"));
        }
        self.decoded(place)
    }

    /// The place as a bucket and what its objects' names begin with.
    pub fn bucket(&self) -> Result<(String, String), SpoolError> {
        let place = self.place.strip_prefix("//").unwrap_or_default();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if bucket.is_empty() || bucket.len() > 255 || !bucket.bytes().all(plain) {
            let reason =
                format!("{}://BUCKET/PREFIX is expected, with a bucket of letters, digits, -, _ and .", self.scheme);
            return Err(self.refused(reason));
        }
        Ok((bucket.into(), self.decoded(prefix)?))
    }

    /// Refuses options other than `known`; shows no option's value.
    pub fn allow(&self, known: &[&str]) -> Result<(), SpoolError> {
        match self.options.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) if known.is_empty() => Err(self.refused(format!("option `{name}` is unknown: it takes none"))),
            Some(name) => Err(self.refused(format!("option `{name}` is unknown: it takes {}", known.join(", ")))),
        }
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether an option is `true`.
    pub fn flag(&self, name: &str) -> Result<bool, SpoolError> {
        match self.option(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.refused(format!("option `{name}` must be true or false"))),
        }
    }

    /// The name of the secret that an option refers to; a secret itself is refused and not repeated.
    pub fn secret(&self, name: &str) -> Result<Option<&str>, SpoolError> {
        let Some(value) = self.option(name) else { return Ok(None) };
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        let reference = value.strip_prefix("secret:").filter(|name| !name.is_empty() && name.bytes().all(plain));
        reference.map(Some).ok_or_else(|| {
            self.refused(format!("option `{name}` must be secret:NAME; a secret itself is never kept in a URL"))
        })
    }

    fn decoded(&self, text: &str) -> Result<String, SpoolError> {
        let bytes = text.as_bytes();
        let broken = |(at, _): (usize, &str)| {
            !bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        if text.match_indices('%').any(broken) {
            return Err(self.refused("`%` is followed by two hexadecimal digits; write %25 for a percent sign"));
        }
        match percent_decode_str(text).decode_utf8() {
            Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into()),
            _ => Err(self.refused("a decoded text must be UTF-8 without a NUL character")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SpoolUrl {
        SpoolUrl::parse(text).unwrap()
    }

    #[test]
    fn a_url_comes_apart_into_its_parts() {
        for (text, path) in [
            ("file:spool", "spool"),
            ("file:/var/spool", "/var/spool"),
            ("file:///var/spool", "/var/spool"),
            ("file:./a%20b%3Fc", "./a b?c"),
        ] {
            assert_eq!(url(text).path().unwrap(), path);
        }
        for (text, bucket, prefix) in [
            ("s3://shop", "shop", ""),
            ("s3://shop/", "shop", ""),
            ("s3://shop.eu-1/a/b%20c?region=eu-1", "shop.eu-1", "a/b c"),
            ("gs://shop_2/a/", "shop_2", "a/"),
        ] {
            assert_eq!(url(text).bucket().unwrap(), (bucket.into(), prefix.into()));
        }
        assert_eq!(url("s3://shop?endpoint=http%3A//h:1").option("endpoint"), Some("http://h:1"));
        assert_eq!(url("s3://shop?token=secret:a-1").secret("token").unwrap(), Some("a-1"));
    }

    #[test]
    fn what_may_be_a_secret_is_refused_and_not_repeated() {
        for text in [
            "s3://ann:hunter2@shop/a",
            "s3://hunter2@shop",
            "s3://ann:hun/hunter2@shop",
            "hunter2",
            "ftp://ann:hunter2@shop",
            "s3://shop?secret_access_key=hunter2",
            "s3://shop?secret_access_key=secret:",
            "s3://shop?secret_access_key=secret:a/hunter2",
            "s3://shop?hunter2_key=hunter2&allow_http=hunter2",
            "s3://shop?token=hunter2&token=hunter2",
            "s3://shop?token=%zhunter2",
        ] {
            let refused = SpoolUrl::parse(text).and_then(|url| {
                url.secret("secret_access_key")?;
                url.flag("allow_http")?;
                url.secret("token").map(|_| ())
            });
            let error = refused.unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(url("file://host/path").path().is_err());
        assert!(url("file:").path().is_err());
        assert!(url("file:a%00b").path().is_err());
        for text in ["s3:shop", "s3://", "s3:///a", "s3://sh op", "s3://shop:80/a"] {
            assert!(url(text).bucket().is_err(), "{text}");
        }
        assert!(url("s3://shop?a=1").allow(&["b"]).is_err());
        assert!(SpoolUrl::parse("s3://shop?region=a&region=b").is_err());
        assert!(SpoolUrl::parse(&format!("file:{}", "a".repeat(URL_BYTES_MAX))).is_err());
    }
}
