//! Redis with its append-only file.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use super::{Durability, Place, process};

pub fn command(program: &Path, place: &Place) -> Command {
    let flush = match place.durability {
        Durability::BeforeAck => "always",
        Durability::Later => "everysec",
    };
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &place.port.to_string(), "--daemonize", "no", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", flush, "--dir"]).arg(&place.folder);
    command
}

/// While it loads its file it answers `-LOADING` instead.
pub fn answers(port: u16) -> bool {
    let Some(mut stream) = process::connect(port) else { return false };
    let mut reply = [0; 7];
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut reply).is_ok() && &reply == b"+PONG\r\n"
}
