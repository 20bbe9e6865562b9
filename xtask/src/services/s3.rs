//! moto: the protocol of Amazon S3 from memory, in a Python environment of its own.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Place, built, on_path, process};
use crate::workspace::succeed;

const NAME: &str = "s3";
const SOURCES: built::Sources = &[("requirements.txt", include_str!("../../services/s3/requirements.txt"))];

/// The server's program, where it is installed.
pub fn program() -> Option<PathBuf> {
    let program = built::find(NAME, SOURCES)?.join("env/bin/moto_server");
    program.is_file().then_some(program)
}

/// The Debian package that is wanted to make a Python environment, where this machine cannot make one.
pub fn package() -> Option<&'static str> {
    let can = on_path("python3").is_some_and(|python| {
        let mut probe = Command::new(python);
        probe.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    (!can).then_some("python3-venv")
}

pub fn build() -> Result<()> {
    let python = on_path("python3").context("needs the program python3")?;
    built::build(NAME, SOURCES, |folder| {
        let mut make = Command::new(python);
        make.args(["-m", "venv", "env"]).current_dir(folder).stdin(Stdio::null());
        succeed(&mut make, "python3 -m venv")?;
        let mut install = Command::new(folder.join("env/bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"]);
        succeed(install.current_dir(folder).stdin(Stdio::null()), "pip install")
    })
}

/// The bucket that is there from the beginning.
pub const BUCKET: &str = "capstan";

pub fn command(program: &Path, place: &Place) -> Command {
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &place.port.to_string()]).current_dir(&place.folder);
    command
}

/// Makes the bucket; that it is there already is as good.
pub fn answers(port: u16) -> bool {
    let Some(mut stream) = process::connect(port) else { return false };
    let request =
        format!("PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let mut reply = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut reply).is_ok() && reply.ends_with(b" 200")
}
