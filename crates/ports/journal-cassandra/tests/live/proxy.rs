//! A way to the database that loses what it is told to lose.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lose {
    Nothing,
    /// What the client asks for never arrives.
    Requests,
    /// What the client asks for is done, and it never hears of it.
    Replies,
}

pub struct Proxy {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    lose: Lose,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Listens, and passes everything on to the host of a `cassandra://` address.
    pub fn before(url: &str) -> Self {
        let host = url.strip_prefix("cassandra://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("cassandra://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { lose: Lose::Nothing, open: Vec::new() }));
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&host) else { continue };
                let mut state = theirs.lock().unwrap();
                state.open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                pass(client, server, Lose::Requests, Arc::clone(&theirs));
                pass(back, forth, Lose::Replies, Arc::clone(&theirs));
            }
        });
        Self { url, state }
    }

    /// From now on loses this. Connections on which something was lost end when nothing is lost any more.
    pub fn lose(&self, lose: Lose) {
        let mut state = self.state.lock().unwrap();
        state.lose = lose;
        if lose == Lose::Nothing {
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, lost_as: Lose, state: Arc<Mutex<State>>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let is_lost = state.lock().unwrap().lose == lost_as;
            if !is_lost && to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
