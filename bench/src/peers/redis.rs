//! Redis streams.
//!
//! Enqueue is `XADD`. Acquire is `XREADGROUP` of one new entry, complete is `XACK` and `XDEL` sent together: without the
//! second the stream would only grow. The protocol is written by hand on one connection and one task a client.

use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::{Cell, payload};
use crate::closed_loop::{Client, Measured, run};
use crate::connection::Connection;
use crate::row::{BATCH, BULK, Case};

pub const DESCRIBED: &str =
    "streams, `appendonly yes`, `appendfsync always`; XADD, XREADGROUP, XACK with XDEL; raw RESP";
/// As many requests on one connection as the field's own benchmarks send.
pub const DEPTH_MAX: usize = 16;

const STREAM: &str = "jobs";
const GROUP: &str = "workers";

pub async fn version(address: SocketAddr) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    let Reply::Text(info) = call(&mut connection, &["INFO", "server"]).await? else { bail!("INFO gave no text") };
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or("of unknown version").to_owned())
}

pub async fn reset(address: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    call(&mut connection, &["DEL", STREAM]).await?;
    call(&mut connection, &["XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"]).await?;
    Ok(())
}

pub async fn fill(address: SocketAddr, items: u64) -> Result<()> {
    let mut filler = Adder::open(address, BULK).await?;
    for _ in 0..items.div_ceil(BULK as u64) {
        filler.step().await?;
    }
    Ok(())
}

pub async fn measure(address: SocketAddr, cell: &Cell<'_>) -> Result<Measured> {
    let mut adders = Vec::new();
    let mut takers = Vec::new();
    for number in 0..cell.clients {
        match cell.case {
            Case::Enqueue => adders.push(Adder::open(address, cell.depth).await?),
            Case::Bulk => adders.push(Adder::open(address, BULK).await?),
            Case::AcquireComplete => takers.push(Taker::open(address, number, 1).await?),
            Case::Batch50 => takers.push(Taker::open(address, number, BATCH).await?),
        }
    }
    match cell.case.takes() {
        false => run(adders, cell.warm_up, cell.window).await,
        true => run(takers, cell.warm_up, cell.window).await,
    }
}

/// Adds entries, a number of them at a time.
struct Adder {
    connection: Connection,
    requests: Vec<u8>,
    count: usize,
}

impl Adder {
    async fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let requests = request(&["XADD", STREAM, "*", "p", &payload()]).repeat(count);
        Ok(Self { connection: Connection::open(address).await?, requests, count })
    }
}

impl Client for Adder {
    async fn step(&mut self) -> Result<u64> {
        self.connection.send(&self.requests).await?;
        for _ in 0..self.count {
            self.connection.receive(reply).await?.or_error()?;
        }
        Ok(self.count as u64)
    }
}

/// Acquires and completes entries, a number of them at a time.
struct Taker {
    connection: Connection,
    acquire: Vec<u8>,
}

impl Taker {
    async fn open(address: SocketAddr, number: usize, count: usize) -> Result<Self> {
        let (consumer, count) = (format!("worker-{number}"), count.to_string());
        let acquire = request(&["XREADGROUP", "GROUP", GROUP, &consumer, "COUNT", &count, "STREAMS", STREAM, ">"]);
        Ok(Self { connection: Connection::open(address).await?, acquire })
    }
}

impl Client for Taker {
    async fn step(&mut self) -> Result<u64> {
        self.connection.send(&self.acquire).await?;
        let acquired = self.connection.receive(reply).await?.or_error()?;
        let ids = entry_ids(&acquired);
        if ids.is_empty() {
            bail!("the stream ran empty");
        }
        let mut acknowledge = vec!["XACK", STREAM, GROUP];
        acknowledge.extend(&ids);
        let mut delete = vec!["XDEL", STREAM];
        delete.extend(&ids);
        let complete = [request(&acknowledge), request(&delete)].concat();
        self.connection.send(&complete).await?;
        for _ in 0..2 {
            let done = self.connection.receive(reply).await?.or_error()?;
            if !matches!(done, Reply::Number(count) if count == i64::try_from(ids.len())?) {
                bail!("an entry was not completed: {done:?}");
            }
        }
        Ok(ids.len() as u64)
    }
}

/// `[[stream, [[id, fields], …]]]`
fn entry_ids(reply: &Reply) -> Vec<&str> {
    let entries = reply.parts().first().and_then(|stream| stream.parts().get(1));
    entries.map_or(&[][..], Reply::parts).iter().filter_map(|entry| entry.parts().first()?.text()).collect()
}

pub async fn call(connection: &mut Connection, words: &[&str]) -> Result<Reply> {
    connection.send(&request(words)).await?;
    connection.receive(reply).await?.or_error()
}

pub fn request(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(String),
    Number(i64),
    Nil,
    Error(String),
    List(Vec<Reply>),
}

impl Reply {
    /// What a list holds; nothing for anything else.
    pub fn parts(&self) -> &[Self] {
        if let Self::List(parts) = self { parts } else { &[] }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn or_error(self) -> Result<Self> {
        match self {
            Self::Error(error) => bail!("redis answered {error}"),
            reply => Ok(reply),
        }
    }
}

/// Parses one whole reply at the front of the bytes.
pub fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[1..end])?;
    let after = end + 2;
    match bytes[0] {
        b'+' => Ok(Some((Reply::Text(line.to_owned()), after))),
        b'-' => Ok(Some((Reply::Error(line.to_owned()), after))),
        b':' => Ok(Some((Reply::Number(line.parse()?), after))),
        b'$' | b'*' if line == "-1" => Ok(Some((Reply::Nil, after))),
        b'$' => {
            let whole = after + line.parse::<usize>()?;
            if bytes.len() < whole + 2 {
                return Ok(None);
            }
            Ok(Some((Reply::Text(String::from_utf8(bytes[after..whole].to_vec())?), whole + 2)))
        }
        b'*' => {
            let mut parts = Vec::new();
            let mut at = after;
            for _ in 0..line.parse::<usize>()? {
                let Some((part, length)) = reply(&bytes[at..])? else { return Ok(None) };
                parts.push(part);
                at += length;
            }
            Ok(Some((Reply::List(parts), at)))
        }
        other => bail!("a reply begins with {:?}", char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_parsed_whole_or_not_at_all() {
        let bytes = b"*1\r\n*2\r\n$4\r\njobs\r\n*1\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\np\r\n$2\r\nxx\r\n";

        for length in 0..bytes.len() {
            assert_eq!(reply(&bytes[..length]).unwrap(), None, "{length} bytes");
        }

        let (whole, length) = reply(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(entry_ids(&whole), ["7-0"]);
    }

    #[test]
    fn every_kind_of_reply_is_told_apart() {
        assert_eq!(reply(b"+OK\r\n:5\r\n").unwrap(), Some((Reply::Text("OK".to_owned()), 5)));
        assert_eq!(reply(b":5\r\n").unwrap(), Some((Reply::Number(5), 4)));
        assert_eq!(reply(b"*-1\r\n").unwrap(), Some((Reply::Nil, 5)));
        assert!(reply(b"-ERR no\r\n").unwrap().unwrap().0.or_error().is_err());
        assert!(reply(b"?\r\n").is_err());
    }
}
