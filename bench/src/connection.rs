//! A connection to a server, with its own buffer and nothing in between.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Room for replies; grows where a reply is larger.
const BUFFER_BYTES: usize = 16 * 1024;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the first unread byte is.
    start: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES), start: 0 })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("send a request")
    }

    /// Reads until `parse` finds a whole reply at the front of what has come, and takes that off.
    ///
    /// `parse` returns what it made of the reply and the reply's length, or nothing while bytes are missing.
    pub async fn receive<T>(&mut self, parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>>) -> Result<T> {
        loop {
            if let Some((reply, length)) = parse(&self.buffer[self.start..])? {
                self.start += length;
                if self.start == self.buffer.len() {
                    self.buffer.clear();
                    self.start = 0;
                }
                return Ok(reply);
            }
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            if self.stream.read_buf(&mut self.buffer).await.context("receive a reply")? == 0 {
                bail!("the server closed the connection");
            }
        }
    }
}

/// The address in `scheme://127.0.0.1:6379/…`.
pub fn address(url: &str) -> Result<SocketAddr> {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let authority = after.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.parse().with_context(|| format!("{url} names no address such as 127.0.0.1:6379"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_urls() {
        for url in ["redis://127.0.0.1:6379", "postgres://postgres@127.0.0.1:6379/postgres", "127.0.0.1:6379"] {
            assert_eq!(address(url).unwrap().to_string(), "127.0.0.1:6379", "{url}");
        }
        assert!(address("redis://").is_err());
    }
}
