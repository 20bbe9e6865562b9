//! One attempt to deliver.

use crate::address::Address;
use crate::allowed::AllowList;
use crate::courier::Letter;
use crate::pause::{Patience, asked};
use reqwest::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect, retry};
use std::error::Error;
use std::time::Duration;

/// The same for every attempt of a message, so that a receiver can drop what it has.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An address that messages may go to, and the means.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub(crate) address: Address,
    pub(crate) patience: Patience,
    client: Client,
}

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The host is not on the list.
    #[error("{0} is not among the allowed hosts")]
    NotAllowed(Address),
    /// No encrypted connection could be made from this machine.
    #[error(
        "no encrypted connection can be made from here; give this machine its root certificates (ca-certificates), or name a file of them in SSL_CERT_FILE"
    )]
    Client(#[source] reqwest::Error),
}

/// What came of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It was taken.
    Taken,
    /// It may be taken another time.
    Again { why: String, asked: Option<Duration> },
    /// It never will be.
    Refused { why: String },
}

impl Webhook {
    /// Webhooks to these addresses, all of which must be allowed. Nothing is asked of them yet.
    ///
    /// `agent` is how this program calls itself.
    pub fn open(
        addresses: impl IntoIterator<Item = Address>,
        allowed: &AllowList,
        agent: &str,
        patience: Patience,
    ) -> Result<Vec<Self>, OpenError> {
        let addresses: Vec<_> = addresses.into_iter().collect();
        if let Some(address) = addresses.iter().find(|address| !allowed.has(address)) {
            return Err(OpenError::NotAllowed(address.clone()));
        }
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let client = client(agent, patience, addresses.iter().any(Address::is_encrypted))?;
        let webhook = |address| Self { address, patience, client: client.clone() };
        Ok(addresses.into_iter().map(webhook).collect())
    }

    /// Where it goes, without what may be secret.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) async fn attempt(&self, letter: &Letter) -> Attempt {
        let request = self.client.post(self.address.url().clone());
        let request = request.header(CONTENT_TYPE, "application/json").header(IDEMPOTENCY_KEY, &letter.id);
        match request.body(letter.body.clone()).send().await {
            // Dropped with its body unread: the connection is closed.
            Ok(response) => judge(&response),
            Err(error) => Attempt::Again { why: self.said(&error), asked: None },
        }
    }

    /// What went wrong, in words that hold nothing of the address.
    fn said(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {} ms", self.patience.answer.as_millis());
        }
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        match (cause.is::<reqwest::Error>(), error.is_connect()) {
            // An error of this layer names the address.
            (true, _) => "the request failed".to_owned(),
            (false, true) => format!("no connection: {cause}"),
            (false, false) => format!("the connection broke: {cause}"),
        }
    }
}

fn client(agent: &str, patience: Patience, encrypted: bool) -> Result<Client, OpenError> {
    // Where something else was installed before, that serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder();
    // Nobody has to be trusted where nobody is: a small container has no root certificates.
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder
        .user_agent(agent)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(patience.connect)
        .timeout(patience.answer)
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| OpenError::Client(error.without_url()))
}

fn judge(response: &Response) -> Attempt {
    let status = response.status();
    if status.is_success() {
        return Attempt::Taken;
    }
    let why = format!("it answered {}", status.as_u16());
    if status.is_redirection() {
        return Attempt::Refused { why: format!("{why}, and redirects are not followed") };
    }
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || passing.contains(&status) {
        let header = response.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok());
        return Attempt::Again { why, asked: header.and_then(|header| asked(header, jiff::Timestamp::now())) };
    }
    Attempt::Refused { why }
}
