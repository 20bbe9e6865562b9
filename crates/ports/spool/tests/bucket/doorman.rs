//! A doorman before a server: he lets everything through, or answers every request himself.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Doorman {
    pub address: SocketAddr,
    /// What he answers; nothing while he lets everything through.
    answer: watch::Sender<Option<&'static str>>,
}

impl Doorman {
    /// Before the server at `behind`, letting everything through.
    pub async fn before(behind: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (answer, answers)) = (listener.local_addr().unwrap(), watch::channel(None));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(attend(stream, behind.clone(), answers.clone()));
            }
        });
        Self { address, answer }
    }

    pub fn answers(&self, answer: Option<&'static str>) {
        self.answer.send_replace(answer);
    }
}

async fn attend(mut stream: TcpStream, behind: String, mut answers: watch::Receiver<Option<&'static str>>) {
    let answer = *answers.borrow_and_update();
    let Some(answer) = answer else {
        let mut server = TcpStream::connect(behind).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut server) => {}
            // Connections are kept for later requests: those shall meet the new answer.
            _ = answers.changed() => {}
        }
        return;
    };
    // The body is read to its end, since a client that still sends does not hear the answer.
    let mut request = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or_default()
}
