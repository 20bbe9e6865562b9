//! Asking for work.

use crate::lease::Lease;
use crate::retry::random;
use capstan_proto::v1;
use std::time::Duration;

/// A request for work.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquire {
    request: v1::AcquireRequest,
}

impl Acquire {
    /// One item of any kind and session, for this worker, if there is one at once.
    pub fn by(worker: impl Into<String>) -> Self {
        Self { request: v1::AcquireRequest { worker_id: worker.into(), max: 1, ..Default::default() } }
    }

    /// Only from this session; call again for more of them.
    #[must_use]
    pub fn from(mut self, session: impl Into<String>) -> Self {
        self.request.sessions.push(session.into());
        self
    }

    /// Only of this kind; call again for more of them.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.request.kinds.push(kind.into());
        self
    }

    /// Only this item, which needs exactly one session.
    #[must_use]
    pub fn item(mut self, item: impl Into<String>) -> Self {
        self.request.item_id = item.into();
        self
    }

    /// At most so many, 1 to 1,000.
    #[must_use]
    pub fn up_to(mut self, leases: u32) -> Self {
        self.request.max = leases;
        self
    }

    /// A wished length of each lease; the session's bounds hold.
    #[must_use]
    pub fn lease(mut self, length: Duration) -> Self {
        self.request.lease_ms = Some(length.as_millis() as u64);
        self
    }

    /// Waits so long where there is no work, up to a minute.
    #[must_use]
    pub fn wait(mut self, length: Duration) -> Self {
        self.request.wait_ms = length.as_millis() as u64;
        self
    }

    /// A key by which a repeat, also one of another process, is handed the same leases. Without one the client draws
    /// its own for each call.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.request.idempotency_key = key.into();
        self
    }

    pub(crate) fn worker_id(&self) -> &str {
        &self.request.worker_id
    }

    /// The request as it is sent, always with a key: a lost answer must not leave leases with nobody.
    pub(crate) fn request(&self) -> v1::AcquireRequest {
        let mut request = self.request.clone();
        if request.idempotency_key.is_empty() {
            request.idempotency_key = format!("{:016x}{:016x}", random(), random());
        }
        request
    }

    /// The request of the next item in one step with a completion, which has no key and does not wait.
    pub(crate) fn next_request(&self) -> v1::AcquireRequest {
        v1::AcquireRequest { wait_ms: 0, idempotency_key: String::new(), ..self.request.clone() }
    }
}

/// What came of asking for work.
#[derive(Debug)]
pub struct Acquired {
    /// Leases, if there was work.
    pub leases: Vec<Lease>,
    /// How long the request had waited at the server.
    pub waited: Duration,
    /// Why there are none, where there are none.
    pub nothing: Option<v1::NoWork>,
}
