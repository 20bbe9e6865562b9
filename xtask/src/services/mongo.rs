//! mongo-java-server: the MongoDB wire protocol from memory, by a main class of ours.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Place, built, on_path, process};
use crate::workspace::succeed;

const NAME: &str = "mongo";
const SOURCES: built::Sources = &[
    ("pom.xml", include_str!("../../services/mongo/pom.xml")),
    ("MongoForTests.java", include_str!("../../services/mongo/MongoForTests.java")),
];

/// The Java that runs it, where its build is there.
pub fn program() -> Option<PathBuf> {
    built::find(NAME, SOURCES).and_then(|_| on_path("java"))
}

pub fn build() -> Result<()> {
    let tool = |name| on_path(name).with_context(|| format!("needs the program {name}"));
    let (maven, javac) = (tool("mvn")?, tool("javac")?);
    built::build(NAME, SOURCES, |folder| {
        let mut copy = Command::new(maven);
        copy.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]).current_dir(folder);
        succeed(copy.stdin(Stdio::null()), "mvn dependency:copy-dependencies")?;
        let mut compile = Command::new(javac);
        compile.args(["-d", "classes", "-cp", "jars/*", "MongoForTests.java"]).current_dir(folder);
        succeed(compile.stdin(Stdio::null()), "javac MongoForTests.java")
    })
}

pub fn command(program: &Path, place: &Place) -> Result<Command> {
    let folder = built::find(NAME, SOURCES).context("find the build of mongo-java-server")?;
    let class_path = format!("{0}/classes:{0}/jars/*", folder.display());
    let mut command = Command::new(program);
    command.args(["-Xmx1g", "-XX:+UseSerialGC", "-cp", &class_path, "MongoForTests", &place.port.to_string()]);
    Ok(command)
}

/// `{isMaster: 1, $db: "admin"}` in a message: every server and version answers that.
const HELLO: &[u8] = b"\x37\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
\x22\0\0\0\x10isMaster\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";

pub fn answers(port: u16) -> bool {
    let Some(mut stream) = process::connect(port) else { return false };
    let mut header = [0; 16];
    // The answer names the request it answers.
    stream.write_all(HELLO).is_ok() && stream.read_exact(&mut header).is_ok() && header[8..12] == HELLO[4..8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_lengths_it_claims() {
        let length = |at: usize| u32::from_le_bytes(*HELLO[at..].first_chunk().unwrap()) as usize;
        assert_eq!(length(0), HELLO.len());
        assert_eq!(length(21), HELLO.len() - 21);
    }
}
