//! HTTP/1.1 with JSON: a connection a client, prepared bytes, and no library in between.

use crate::case::Case;
use crate::measure::{Tally, Window};
use crate::run::{Ground, LoadError, Plan};
use serde::Deserialize;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Items of one bulk request: below the 16 MiB that a body may have.
const BULK: usize = 10_000;

pub(crate) async fn run(plan: &Plan, case: Case, ground: &Arc<Ground>, window: Window) -> Result<Tally, LoadError> {
    let address = plan.server.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned());
    let address = address.ok_or_else(|| LoadError::Address(plan.server.clone()))?;
    let mut clients = JoinSet::new();
    for number in 0..plan.clients {
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let client = Client {
            stream,
            sent: Vec::with_capacity(1_024),
            body: Vec::with_capacity(1_024),
            received: Vec::with_capacity(4_096),
            ground: Arc::clone(ground),
            worker: format!("bench-{number}"),
            held: None,
        };
        clients.spawn(client.run(case, window));
    }
    let mut total = Tally::new(window);
    while let Some(tally) = clients.join_next().await {
        total.add(tally.expect("clients do not panic"));
    }
    Ok(total)
}

struct Client {
    stream: TcpStream,
    sent: Vec<u8>,
    body: Vec<u8>,
    received: Vec<u8>,
    ground: Arc<Ground>,
    worker: String,
    held: Option<Held>,
}

struct Held {
    id: String,
    token: u64,
}

/// Of an answer that carries leases, what the next request needs.
#[derive(Deserialize)]
struct Granted<'a> {
    #[serde(borrow)]
    leases: Vec<Leased<'a>>,
}

#[derive(Deserialize)]
struct Leased<'a> {
    id: &'a str,
    token: u64,
}

impl Client {
    async fn run(mut self, case: Case, window: Window) -> Tally {
        let mut tally = Tally::new(window);
        while !window.is_over() {
            let began = Instant::now();
            match self.step(case).await {
                Ok(done) => tally.count(began, done),
                Err(error) => {
                    tally.fail(&error);
                    // What is half read cannot be gone on with.
                    break;
                }
            }
        }
        tally
    }

    async fn step(&mut self, case: Case) -> Result<u64, Error> {
        match case {
            Case::Enqueue => {
                self.body.clear();
                self.write_item();
                self.ask("POST", "/items").await?;
                Ok(1)
            }
            Case::Bulk => {
                self.body.clear();
                self.body.extend_from_slice(b"{\"items\":[");
                for number in 0..BULK {
                    if number > 0 {
                        self.body.push(b',');
                    }
                    self.write_item();
                }
                self.body.extend_from_slice(b"]}");
                self.ask("POST", "/items:batch").await?;
                Ok(BULK as u64)
            }
            Case::AcquireComplete => {
                let held = self.acquire().await?;
                self.body = format!("{{\"token\":{}}}", held.token).into_bytes();
                self.ask("POST", &format!("/items/{}/complete", held.id)).await?;
                Ok(1)
            }
            Case::CompleteAndAcquire => {
                let held = match self.held.take() {
                    Some(held) => held,
                    None => self.acquire().await?,
                };
                self.body = format!(
                    "{{\"complete\":{{\"token\":{}}},\"acquire\":{{\"worker_id\":\"{}\"}}}}",
                    held.token, self.worker
                )
                .into_bytes();
                let range = self.ask("POST", &format!("/items/{}/complete-and-acquire", held.id)).await?;
                self.held = granted(&self.received[range])?;
                Ok(1)
            }
            Case::Batch50 | Case::Renew | Case::Handover => Err(Error::other("not asked over HTTP")),
        }
    }

    fn write_item(&mut self) {
        let (id, payload) = (self.ground.next_id(), &self.ground.payload);
        self.body.extend_from_slice(format!("{{\"id\":\"job-{id}\",\"payload\":{payload}}}").as_bytes());
    }

    async fn acquire(&mut self) -> Result<Held, Error> {
        self.body = format!("{{\"worker_id\":\"{}\"}}", self.worker).into_bytes();
        let range = self.ask("POST", "/acquire").await?;
        let held = granted(&self.received[range])?;
        held.ok_or_else(|| Error::other("the prepared items ran out: measure for fewer seconds"))
    }

    /// Sends the body and reads the answer; where in `received` the answer's body lies.
    async fn ask(&mut self, method: &str, path: &str) -> Result<std::ops::Range<usize>, Error> {
        self.sent.clear();
        let head = format!(
            "{method} /api/v1/sessions/{}{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.ground.session,
            self.body.len()
        );
        self.sent.extend_from_slice(head.as_bytes());
        self.sent.extend_from_slice(&self.body);
        self.stream.write_all(&self.sent).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            if let Some((status, body)) = whole(&self.received)? {
                if (200..300).contains(&status) {
                    return Ok(body);
                }
                let text = String::from_utf8_lossy(&self.received[body]);
                return Err(Error::other(format!("{method} {path} was answered {status}: {text}")));
            }
        }
    }
}

fn granted(body: &[u8]) -> Result<Option<Held>, Error> {
    let granted: Granted<'_> = serde_json::from_slice(body)?;
    Ok(granted.leases.first().map(|lease| Held { id: lease.id.to_owned(), token: lease.token }))
}

/// The status and the body's place, once the whole answer is there.
fn whole(received: &[u8]) -> Result<Option<(u16, std::ops::Range<usize>)>, Error> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let bad = || Error::new(ErrorKind::InvalidData, "not an HTTP/1.1 answer with a content-length");
    let head = std::str::from_utf8(&received[..end]).map_err(|_| bad())?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
    let length = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    // 204 has no body and need not say so.
    let length = if status == 204 { 0 } else { length.ok_or_else(bad)? };
    let body = end + 4..end + 4 + length;
    Ok((received.len() >= body.end).then_some((status, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_only_with_all_of_its_body() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";

        for cut in 0..answer.len() {
            assert!(whole(&answer[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        assert_eq!(whole(answer).unwrap(), Some((201, 43..45)));
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\nhello").is_err());
    }
}
