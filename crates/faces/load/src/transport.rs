//! How a server is asked.

use crate::case::Case;
use std::str::FromStr;

pub(crate) mod grpc;
pub(crate) mod handover;
pub(crate) mod http;
pub(crate) mod stream;

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 with JSON, a connection a client.
    Http,
    /// Unary gRPC.
    Grpc,
    /// One gRPC stream for everybody.
    Stream,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Http, Self::Grpc, Self::Stream];

    /// Its name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Stream => "stream",
        }
    }

    /// Whether a case can be asked this way.
    pub(crate) const fn has(self, case: Case) -> bool {
        match case {
            Case::Enqueue | Case::AcquireComplete | Case::CompleteAndAcquire | Case::Bulk => true,
            Case::Batch50 => matches!(self, Self::Stream),
            Case::Renew => !matches!(self, Self::Http),
            Case::Handover => matches!(self, Self::Grpc),
        }
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|transport| transport.name() == text);
        found
            .ok_or_else(|| format!("transport must be one of {}, found {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}
