//! Names, checked once where they enter.

use std::fmt;
use std::sync::Arc;

/// Why a string is not a name of the wanted sort: what was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// The sort of name: `session name`, `item id` …
    pub what: &'static str,
    /// What it must be.
    pub expected: &'static str,
    /// What came, shortened.
    pub found: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, found {:?}", self.what, self.expected, self.found)
    }
}

impl std::error::Error for NameError {}

impl NameError {
    /// What came is not what was expected; it is shown shortened.
    pub fn new(what: &'static str, expected: &'static str, found: &str) -> Self {
        Self { what, expected, found: shortened(found) }
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 64 { text.to_owned() } else { text.chars().take(63).chain(['…']).collect() }
}

/// A cheap-to-clone name that its constructor has checked; other cores make theirs with it too.
///
/// ```
/// capstan_ids::name!(
///     /// What people call a colour.
///     Colour, "colour", "1 to 20 bytes",
///     |t| (1..=20).contains(&t.len())
/// );
/// assert_eq!(Colour::new("").unwrap_err().to_string(), "colour must be 1 to 20 bytes, found \"\"");
/// ```
#[macro_export]
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(::std::sync::Arc<str>);

        impl $name {
            #[doc = concat!("Checks that `text` is ", $expected, ".")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, $crate::NameError> {
                let text = text.as_ref();
                if Self::is_valid(text) {
                    Ok(Self(::std::sync::Arc::from(text)))
                } else {
                    Err($crate::NameError::new($what, $expected, text))
                }
            }

            #[doc = concat!("Whether `text` is ", $expected, ": what the constructor asks, without making a name.")]
            pub fn is_valid(text: &str) -> bool {
                let valid: fn(&str) -> bool = $valid;
                valid(text)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::NameError;

            fn from_str(text: &str) -> Result<Self, $crate::NameError> {
                Self::new(text)
            }
        }

        impl<C> ::minicbor::Encode<C> for $name {
            fn encode<W: ::minicbor::encode::Write>(
                &self,
                e: &mut ::minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), ::minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> ::minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut ::minicbor::Decoder<'b>, _: &mut C) -> Result<Self, ::minicbor::decode::Error> {
                let at = d.position();
                Self::new(d.str()?).map_err(|e| ::minicbor::decode::Error::message(e).at(at))
            }
        }
    };
}

/// Whether a text is free of control characters.
pub fn printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

name!(
    /// A namespace of work.
    SessionName, "session name", "1 to 50 characters of A-Z a-z 0-9 _ -",
    |t| (1..=50).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
);
name!(
    /// A unit of leased work within its session; any characters, also `/`, `$`, spaces.
    ItemId, "item id", "1 to 512 bytes of UTF-8",
    |t| (1..=512).contains(&t.len())
);
name!(
    /// What sort of work an item is; names the pool that limits it.
    Kind, "kind", "1 to 32 characters of a-z 0-9 _ -",
    |t| (1..=32).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
);
name!(
    /// Who holds a lease.
    WorkerId, "worker id", "1 to 256 bytes without control characters",
    |t| (1..=256).contains(&t.len()) && printable(t)
);
name!(
    /// A named set of items that others may wait for.
    GroupName, "group name", "1 to 256 bytes without control characters",
    |t| (1..=256).contains(&t.len()) && printable(t)
);
name!(
    /// A condition from outside that a group waits for.
    GateName, "gate name", "1 to 128 bytes without control characters",
    |t| (1..=128).contains(&t.len()) && printable(t)
);
name!(
    /// What a number of live leases is limited by: a kind, or any other name such as `host:db1`.
    LimitName, "limit name", "1 to 128 bytes without control characters",
    |t| (1..=128).contains(&t.len()) && printable(t)
);
name!(
    /// Makes a repeated acquire answer as the first did.
    IdempotencyKey, "idempotency key", "1 to 128 bytes without control characters",
    |t| (1..=128).contains(&t.len()) && printable(t)
);
name!(
    /// What a snapshot, a replay or a retention rule is about: a tag on events of the one log.
    StreamName, "stream name", "1 to 128 characters of A-Z a-z 0-9 _ - /",
    |t| (1..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'))
);

impl From<&Kind> for LimitName {
    fn from(kind: &Kind) -> Self {
        Self(Arc::clone(&kind.0))
    }
}

impl Kind {
    /// What an item is when nobody said otherwise.
    pub fn backfill() -> Self {
        Self(Arc::from("backfill"))
    }
}

impl StreamName {
    /// The stream of one session.
    pub fn session(session: &SessionName) -> Self {
        Self(Arc::from(format!("work/{session}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_id_may_hold_anything_but_too_much() {
        for id in ["a/b", "$x", "with space", "status", "ünïcode", "\u{0}", &"x".repeat(512)] {
            assert_eq!(ItemId::new(id).unwrap().as_str(), id);
        }
        assert_eq!(ItemId::new("").unwrap_err().to_string(), "item id must be 1 to 512 bytes of UTF-8, found \"\"");
        assert!(ItemId::new("x".repeat(513)).is_err());
    }

    #[test]
    fn a_session_name_is_plain_and_short() {
        assert!(SessionName::new("Ab-1_").is_ok());
        for bad in ["", "a b", "a/b", "é", &"x".repeat(51)] {
            assert!(SessionName::new(bad).is_err(), "{bad:?}");
        }
    }
}
