//! The registry over HTTP/1.1 with JSON: a connection a client, bytes written by hand, and no library in between.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::case::{Case, Turns, id, usage};
use crate::closed_loop::Client;
use crate::connection::{Connection, address};

const PIPELINES: &str = "/api/v1/pipelines";

/// A connection that asks and waits for the answer.
pub struct Rest {
    connection: Connection,
    request: Vec<u8>,
}

impl Rest {
    pub async fn open(server: &str) -> Result<Self> {
        Ok(Self { connection: Connection::open(address(server)?).await?, request: Vec::with_capacity(1_024) })
    }

    /// The status and the body.
    pub async fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        self.send(method, path, body).await?;
        self.connection.receive(|bytes| answer(bytes, true)).await
    }

    /// The same, of an answer whose body nobody looks at. Anything but 200 and 201 is an error: a report that is held
    /// back with 202 is not durable.
    pub async fn done(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        self.send(method, path, body).await?;
        let (status, body) = self.connection.receive(|bytes| answer(bytes, false)).await?;
        if !matches!(status, 200 | 201) {
            bail!("{method} {path} was answered {status}: {body}");
        }
        Ok(())
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        self.request.clear();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body.as_bytes());
        self.connection.send(&self.request).await
    }

    /// One heartbeat of one pipeline.
    pub async fn heartbeat(&mut self, pipeline: u64) -> Result<()> {
        self.done("POST", &format!("{PIPELINES}/{}/heartbeat", id(pipeline)), "").await
    }

    /// A usage that is new.
    pub async fn report_usage(&mut self, pipeline: u64, number: u64) -> Result<()> {
        let (cpu, memory) = usage(number);
        let body = format!("{{\"cpu_percent\":{cpu},\"memory_mb\":{memory}}}");
        self.done("PUT", &format!("{PIPELINES}/{}/usage", id(pipeline)), &body).await
    }
}

/// A client of one case.
pub struct RestClient {
    pub rest: Rest,
    pub case: Case,
    pub turns: Arc<Turns>,
}

impl Client for RestClient {
    async fn step(&mut self) -> Result<u64> {
        if self.case == Case::Register {
            let Some(pipeline) = self.turns.new_one() else { return Ok(0) };
            let body = format!("{{\"id\":\"{}\",\"name\":\"Pipeline {pipeline}\"}}", id(pipeline));
            self.rest.done("POST", PIPELINES, &body).await?;
            return Ok(1);
        }
        let (pipeline, number) = self.turns.next();
        match self.case {
            Case::Register => unreachable!("handled above"),
            Case::ReportStatus => {
                let path = format!("{PIPELINES}/{}/status", id(pipeline));
                let total = number + 1;
                let body = format!("{{\"status\":\"running\",\"total_records\":{total},\"failed_records\":0}}");
                self.rest.done("PUT", &path, &body).await?;
            }
            Case::ReportUsage => self.rest.report_usage(pipeline, number).await?,
            Case::GetOne => self.rest.done("GET", &format!("{PIPELINES}/{}", id(pipeline)), "").await?,
            Case::List100 => {
                self.rest.done("GET", &format!("{PIPELINES}?limit=100&cursor={}", id(pipeline)), "").await?;
            }
            Case::System => self.rest.done("GET", "/api/v1/system", "").await?,
        }
        Ok(1)
    }
}

/// The whole answer at the front of the bytes: its status, and its body where that is wanted or tells of an error.
fn answer(bytes: &[u8], with_body: bool) -> Result<Option<((u16, String), usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("an answer's head is no text")?;
    let status = head.get(9..12).and_then(|digits| digits.parse::<u16>().ok());
    let status = status.with_context(|| format!("not an HTTP/1.1 answer: {head}"))?;
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let whole = end + 4 + length.with_context(|| format!("an answer without a content-length: {head}"))?;
    let Some(body) = bytes.get(end + 4..whole) else { return Ok(None) };
    let body = if with_body || status >= 300 { String::from_utf8_lossy(body).into_owned() } else { String::new() };
    Ok(Some(((status, body), whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_only_with_all_of_its_body() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP";

        for cut in 0..bytes.len() - 4 {
            assert!(answer(&bytes[..cut], true).unwrap().is_none(), "cut at {cut}");
        }
        assert_eq!(answer(bytes, true).unwrap(), Some(((200, "{}".to_owned()), bytes.len() - 4)));
        assert_eq!(answer(bytes, false).unwrap(), Some(((200, String::new()), bytes.len() - 4)));
    }

    #[test]
    fn the_body_of_an_error_is_kept_and_an_answer_without_a_length_refused() {
        let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone";
        assert_eq!(answer(refused, false).unwrap().unwrap().0, (404, "gone".to_owned()));
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\nhello", true).is_err());
    }
}
