//! A receiver on a free port, which answers as it is told and remembers what it got.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With this status, and these lines in its head.
    Status(u16, &'static str),
    /// With the head of an answer, and a body that never ends.
    Endless,
    /// Never.
    Hang,
    /// By closing the connection.
    Close,
}

/// A request as it came.
#[derive(Debug)]
pub struct Request {
    pub line: String,
    /// In lower case, but for the values.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// Requests, in the order in which they came.
pub struct Receiver {
    /// `127.0.0.1:PORT`.
    pub place: String,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Receiver {
    /// Answers with one after the other, and with the last of them from then on.
    pub async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let (tell, requests) = mpsc::unbounded_channel();
        let mut replies = replies.to_vec();
        replies.reverse();
        tokio::spawn(async move {
            // What hangs is kept, so that its connection stays open.
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else { continue };
                let reply = if replies.len() > 1 { replies.pop() } else { replies.last().cloned() };
                if tell.send(request).is_err() {
                    return;
                }
                match reply.expect("there is a last one") {
                    Reply::Status(status, lines) => {
                        let answer = format!("HTTP/1.1 {status} So\r\n{lines}Content-Length: 2\r\n\r\nno");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    Reply::Endless => hanging.push(tokio::spawn(async move {
                        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
                        let _ = stream.write_all(head).await;
                        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
                    })),
                    Reply::Hang => hanging.push(tokio::spawn(async move {
                        let _ = stream.read(&mut [0; 1]).await;
                    })),
                    Reply::Close => {}
                }
            }
        });
        Self { place, requests }
    }

    /// The next request; there must be one soon.
    pub async fn next(&mut self) -> Request {
        let next = tokio::time::timeout(Duration::from_secs(20), self.requests.recv()).await;
        next.expect("a request within 20 s").expect("the receiver lives")
    }

    /// Whether there is none more by now.
    pub fn is_quiet(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let ends = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..ends].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut request = Request { line, headers, body: String::new() };
    let length: usize = request.header("content-length").parse().unwrap_or(0);
    while bytes.len() < ends + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    request.body = String::from_utf8(bytes[ends + 4..].to_vec()).unwrap();
    Some(request)
}
