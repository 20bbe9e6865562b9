//! A stretch of network that can be cut: a relay between one server and what it, or who asks it, connects to.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that another takes for a moment is tried again this soon.
const AGAIN: Duration = Duration::from_millis(20);
const PIECE_BYTES: usize = 16 << 10;

/// What a link does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Carries it.
    Open,
    /// Holds it back without a word, as a network does that loses every packet; what is held is carried later.
    Silent,
    /// Refuses connections, as a machine does on which nobody listens, and ends those there are.
    Refused,
}

/// A relay on loopback. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    /// Where it listens, always.
    pub address: SocketAddr,
    target: Arc<OnceLock<String>>,
    passage: watch::Sender<Passage>,
    relay: JoinHandle<()>,
}

impl Link {
    /// One that leads nowhere yet.
    pub async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen for a link")?;
        let address = listener.local_addr()?;
        let (passage, seen) = watch::channel(Passage::Open);
        let target = Arc::new(OnceLock::new());
        let relay = tokio::spawn(relay(listener, address, Arc::clone(&target), seen));
        Ok(Self { address, target, passage, relay })
    }

    /// One to `HOST:PORT`.
    pub async fn to(target: &str) -> Result<Self> {
        let link = Self::new().await?;
        link.lead_to(target);
        Ok(link)
    }

    /// Says where it leads, once and for all.
    pub fn lead_to(&self, target: &str) {
        let at = self.target.get_or_init(|| target.to_owned());
        debug_assert_eq!(at, target, "a link leads to one place");
    }

    /// What it does from now on, with connections that there are too.
    pub fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn relay(
    listener: TcpListener,
    address: SocketAddr,
    target: Arc<OnceLock<String>>,
    mut passage: watch::Receiver<Passage>,
) {
    let mut listener = Some(listener);
    loop {
        if *passage.borrow_and_update() == Passage::Refused {
            listener = None;
            if passage.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(listening) = &listener else {
            match TcpListener::bind(address).await {
                Ok(bound) => listener = Some(bound),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
            continue;
        };
        tokio::select! {
            changed = passage.changed() => if changed.is_err() { return },
            came = listening.accept() => if let (Ok((from, _)), Some(target)) = (came, target.get()) {
                tokio::spawn(carry(from, target.clone(), passage.clone()));
            },
        }
    }
}

/// Carries one connection until either side ends it or the link refuses.
async fn carry(from: TcpStream, target: String, passage: watch::Receiver<Passage>) {
    let mut refused = passage.clone();
    let carried = async {
        open(&mut passage.clone()).await?;
        let to = TcpStream::connect(target).await.ok()?;
        from.set_nodelay(true).ok()?;
        to.set_nodelay(true).ok()?;
        let ((from_in, from_out), (to_in, to_out)) = (from.into_split(), to.into_split());
        tokio::join!(pour(from_in, to_out, passage.clone()), pour(to_in, from_out, passage.clone()));
        Some(())
    };
    tokio::select! {
        _ = carried => {}
        _ = refused.wait_for(|passage| *passage == Passage::Refused) => {}
    }
}

/// Carries one direction; its end is the other side's end of input.
async fn pour(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut passage: watch::Receiver<Passage>) -> Option<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = from.read(&mut piece).await.unwrap_or(0);
        open(&mut passage).await?;
        if bytes == 0 {
            return to.shutdown().await.ok();
        }
        to.write_all(&piece[..bytes]).await.ok()?;
    }
}

/// Waits while nothing is carried.
async fn open(passage: &mut watch::Receiver<Passage>) -> Option<()> {
    passage.wait_for(|passage| *passage == Passage::Open).await.ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a connection to it over a link.
    async fn echoed() -> Result<(Link, TcpStream)> {
        let echo = TcpListener::bind("127.0.0.1:0").await?;
        let link = Link::to(&echo.local_addr()?.to_string()).await?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = echo.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        let stream = TcpStream::connect(link.address).await?;
        Ok((link, stream))
    }

    #[tokio::test]
    async fn what_is_sent_in_silence_arrives_when_it_is_over() -> Result<()> {
        let (link, mut stream) = echoed().await?;
        let mut back = [0; 2];
        stream.write_all(b"ab").await?;
        stream.read_exact(&mut back).await?;
        link.set(Passage::Silent);
        stream.write_all(b"cd").await?;
        let waited = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut back)).await;
        assert!(waited.is_err(), "nothing is carried");
        link.set(Passage::Open);
        stream.read_exact(&mut back).await?;
        assert_eq!(&back, b"cd");
        Ok(())
    }

    #[tokio::test]
    async fn a_link_that_refuses_ends_what_there_is_and_takes_nothing_new() -> Result<()> {
        let (link, mut stream) = echoed().await?;
        stream.write_all(b"ab").await?;
        stream.read_exact(&mut [0; 2]).await?;
        link.set(Passage::Refused);
        assert!(matches!(stream.read(&mut [0; 2]).await, Ok(0) | Err(_)));
        while TcpStream::connect(link.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        link.set(Passage::Open);
        while TcpStream::connect(link.address).await.is_err() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
