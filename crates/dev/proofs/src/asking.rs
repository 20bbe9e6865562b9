//! One REST request on a connection of its own, so that what becomes of it concerns no other.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer is no longer than this.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Asks the server at `HOST:PORT`; its status and its JSON. An error where there is no whole answer within `patience`.
pub async fn ask(address: &str, method: &str, path: &str, body: &str, patience: Duration) -> Result<(u16, Value)> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.context("connect")?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.context("send")?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.context("read the answer")?;
        read(&answer)
    };
    tokio::time::timeout(patience, asked).await.context("no answer in time")?
}

fn read(answer: &[u8]) -> Result<(u16, Value)> {
    let text = std::str::from_utf8(answer).context("the answer is text")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer broke off")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    ensure!(!head.to_ascii_lowercase().contains("transfer-encoding"), "the answer came in chunks");
    Ok((status, serde_json::from_str(body).context("the answer is JSON")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_broke_off_is_none() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(read(whole).unwrap(), (503, Value::Object(Default::default())));
        assert!(read(&whole[..whole.len() - 1]).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(read(b"").is_err());
    }
}
