//! A way to the server that can be broken: it loses answers, or carries nothing at all.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

const OPEN: u8 = 0;
const LOSES_ANSWERS: u8 = 1;
const FROZEN: u8 = 2;

/// A port of our own that leads to the server's.
pub struct Way {
    pub port: u16,
    mode: Arc<AtomicU8>,
}

impl Way {
    pub fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(OPEN));
        let seen = Arc::clone(&mode);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((server.0.as_str(), server.1)).unwrap();
                carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&seen), false);
                carry(server, client, Arc::clone(&seen), true);
            }
        });
        Self { port, mode }
    }

    /// Requests arrive; in place of the first answer, the connection ends.
    pub fn lose_answers(&self) {
        self.mode.store(LOSES_ANSWERS, Ordering::SeqCst);
    }

    /// Everything is taken, and nothing arrives, as with a stopped process behind a living kernel.
    pub fn freeze(&self) {
        self.mode.store(FROZEN, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.mode.store(OPEN, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mode: Arc<AtomicU8>, answers: bool) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            match mode.load(Ordering::SeqCst) {
                FROZEN => continue,
                LOSES_ANSWERS if answers => break,
                _ if to.write_all(&buffer[..read]).is_err() => break,
                _ => {}
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
