//! beanstalkd with its write-ahead log.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use super::{Durability, Place, process};

pub fn command(program: &Path, place: &Place) -> Command {
    let flush_ms = match place.durability {
        Durability::BeforeAck => "0",
        Durability::Later => "50",
    };
    let mut command = Command::new(program);
    command.args(["-l", "127.0.0.1", "-p", &place.port.to_string(), "-f", flush_ms, "-b"]).arg(&place.folder);
    command
}

pub fn answers(port: u16) -> bool {
    let Some(mut stream) = process::connect(port) else { return false };
    let mut reply = [0; 2];
    stream.write_all(b"stats\r\n").is_ok() && stream.read_exact(&mut reply).is_ok() && &reply == b"OK"
}
