//! beanstalkd.
//!
//! Enqueue is `put`; acquire is `reserve`, which it keeps in memory only; complete is `delete`. So a job costs it one
//! flush where the others pay two. One connection and one task a client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use super::{Cell, payload};
use crate::closed_loop::{Client, Measured, run};
use crate::connection::Connection;
use crate::row::PAYLOAD_BYTES;

pub const DESCRIBED: &str = "`-b -f0`; put, reserve (not logged), delete; raw protocol";

/// Emptying a tube costs a flush a job, so every round takes a new one.
static TUBE: AtomicU64 = AtomicU64::new(0);
/// How many puts are sent before their answers are read, where only the result matters.
const FILL_AT_ONCE: u64 = 100;

pub async fn version(address: SocketAddr) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    connection.send(b"stats\r\n").await?;
    let stats = connection.receive(answer).await?;
    let version = stats.lines().find_map(|line| line.strip_prefix("version: "));
    Ok(version.unwrap_or("of unknown version").trim_matches('"').to_owned())
}

pub async fn reset(_address: SocketAddr) -> Result<()> {
    TUBE.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

pub async fn fill(address: SocketAddr, items: u64) -> Result<()> {
    let mut adder = Adder { connection: open(address).await?, put: put() };
    let mut left = items;
    while left > 0 {
        let now = left.min(FILL_AT_ONCE);
        adder.connection.send(&adder.put.repeat(usize::try_from(now)?)).await?;
        for _ in 0..now {
            expect(&adder.connection.receive(answer).await?, "INSERTED")?;
        }
        left -= now;
    }
    Ok(())
}

pub async fn measure(address: SocketAddr, cell: &Cell<'_>) -> Result<Measured> {
    let mut connections = Vec::new();
    for _ in 0..cell.clients {
        connections.push(open(address).await?);
    }
    if cell.case.takes() {
        let takers = connections.into_iter().map(|connection| Taker { connection }).collect();
        run(takers, cell.warm_up, cell.window).await
    } else {
        let adders = connections.into_iter().map(|connection| Adder { connection, put: put() }).collect();
        run(adders, cell.warm_up, cell.window).await
    }
}

async fn open(address: SocketAddr) -> Result<Connection> {
    let mut connection = Connection::open(address).await?;
    let tube = format!("jobs-{}", TUBE.load(Ordering::Relaxed));
    for (command, word) in [("use", "USING"), ("watch", "WATCHING")] {
        connection.send(format!("{command} {tube}\r\n").as_bytes()).await?;
        expect(&connection.receive(answer).await?, word)?;
    }
    connection.send(b"ignore default\r\n").await?;
    expect(&connection.receive(answer).await?, "WATCHING")?;
    Ok(connection)
}

fn put() -> Vec<u8> {
    format!("put 0 0 300 {PAYLOAD_BYTES}\r\n{}\r\n", payload()).into_bytes()
}

struct Adder {
    connection: Connection,
    put: Vec<u8>,
}

impl Client for Adder {
    async fn step(&mut self) -> Result<u64> {
        self.connection.send(&self.put).await?;
        expect(&self.connection.receive(answer).await?, "INSERTED")?;
        Ok(1)
    }
}

struct Taker {
    connection: Connection,
}

impl Client for Taker {
    async fn step(&mut self) -> Result<u64> {
        self.connection.send(b"reserve-with-timeout 0\r\n").await?;
        let reserved = self.connection.receive(answer).await?;
        let mut words = expect(&reserved, "RESERVED")?.split_whitespace();
        let id = words.nth(1).context("a reserved job has no id")?;
        self.connection.send(format!("delete {id}\r\n").as_bytes()).await?;
        expect(&self.connection.receive(answer).await?, "DELETED")?;
        Ok(1)
    }
}

fn expect<'a>(answer: &'a str, word: &str) -> Result<&'a str> {
    if !answer.starts_with(word) {
        bail!("beanstalkd answered {:?} where {word} was expected", answer.lines().next().unwrap_or_default());
    }
    Ok(answer)
}

/// One line, and the body after it where the line ends with its length.
fn answer(bytes: &[u8]) -> Result<Option<(String, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end])?;
    let has_body = line.starts_with("RESERVED") || line.starts_with("OK");
    let length = match line.rsplit(' ').next().filter(|_| has_body) {
        Some(body) => end + 2 + body.parse::<usize>().context("an answer has no length")? + 2,
        None => end + 2,
    };
    if bytes.len() < length {
        return Ok(None);
    }
    Ok(Some((std::str::from_utf8(&bytes[..length])?.to_owned(), length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_body_is_taken_whole() {
        let bytes = b"RESERVED 7 3\r\nabc\r\nDELETED\r\n";

        assert_eq!(answer(&bytes[..16]).unwrap(), None);
        let (reserved, length) = answer(bytes).unwrap().unwrap();
        assert_eq!((reserved.as_str(), length), ("RESERVED 7 3\r\nabc\r\n", 19));
        assert_eq!(answer(&bytes[length..]).unwrap(), Some(("DELETED\r\n".to_owned(), 9)));
    }

    #[test]
    fn another_answer_than_expected_is_an_error() {
        assert!(expect("TIMED_OUT\r\n", "RESERVED").is_err());
    }
}
