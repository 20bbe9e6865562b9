//! Speaks like mongodump and mongorestore for tests: their flags, config file, streams, exit codes and last lines.
//!
//! Its database is a folder beside it, `db/COLLECTION.bson`. The file `behaviour` beside it tells how it goes wrong, and
//! `seen` is where it writes what it was given. It knows of queries nothing, so it is given whole collections.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::thread::park;

use capstan_endpoint::bson_frames::walk;
use capstan_endpoint::element::id_of;

fn main() {
    let mut arguments = std::env::args();
    let program = PathBuf::from(arguments.next().unwrap_or_default());
    let (Some(home), Some(name)) = (program.parent(), program.file_name()) else { exit(2) };
    let arguments: Vec<String> = arguments.collect();
    let name = name.to_string_lossy();
    let behaviour = fs::read_to_string(home.join("behaviour")).unwrap_or_default();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("{name} version: {}", behaviour.strip_prefix("version ").unwrap_or("100.12.2"));
        return;
    }
    let flag = |wanted: &str| arguments.iter().find_map(|argument| argument.strip_prefix(&format!("--{wanted}=")));
    let config = flag("config").unwrap_or_default();
    let Ok(uri) = fs::read_to_string(config) else {
        say("Failed: error opening file with --config");
        exit(1)
    };
    let seen = format!("{}\n{config}\n", std::process::id());
    fs::write(home.join("seen.new"), seen)
        .and_then(|()| fs::rename(home.join("seen.new"), home.join("seen")))
        .unwrap_or(());
    let collection = flag("collection").unwrap_or_default().replace('/', "%2F");
    let file = home.join("db").join(format!("{collection}.bson"));
    match &*name {
        "mongodump" => dump(&file, &behaviour, &uri),
        _ => restore(&file, &behaviour, &uri),
    }
}

fn say(line: &str) {
    eprintln!("2026-01-01T00:00:00.000+0000\t{line}");
}

fn hang() -> ! {
    loop {
        park();
    }
}

fn dump(file: &Path, behaviour: &str, uri: &str) {
    let Ok(bytes) = fs::read(file) else {
        return say("namespace with DB a and collection b does not exist");
    };
    let documents: Vec<&[u8]> = walk(&bytes).collect();
    let half = documents.len() / 2;
    let mut output = std::io::stdout().lock();
    let mut give = |some: &[u8]| {
        if output.write_all(some).and_then(|()| output.flush()).is_err() {
            say("Failed: error writing to file: broken pipe");
            exit(1);
        }
    };
    say("writing a.b to stdout");
    match behaviour {
        "exit 1" => {
            give(&documents[..half].concat());
            say(&format!("Failed: error reading collection from {uri}"));
            exit(1);
        }
        "fewer" => {
            give(&documents[..half].concat());
            return say(&format!("dumped {} documents", documents.len()));
        }
        "truncated" => {
            give(&bytes[..bytes.len() - 3]);
            return say(&format!("dumped {} documents", documents.len()));
        }
        "silent about counts" => return give(&bytes),
        "hang" => {
            give(&documents[..half].concat());
            hang();
        }
        "die" => {
            give(&documents[..half].concat());
            std::process::abort();
        }
        "other order" => give(&documents.iter().rev().copied().collect::<Vec<_>>().concat()),
        _ => give(&bytes),
    }
    say(&format!("dumped {} documents", documents.len()));
}

fn restore(file: &Path, behaviour: &str, uri: &str) {
    if behaviour == "hang" {
        hang();
    }
    let mut bytes = Vec::new();
    if std::io::stdin().read_to_end(&mut bytes).is_err() {
        exit(1);
    }
    let there = fs::read(file).unwrap_or_default();
    let known = |document: &[u8]| walk(&there).any(|old| id_of(old) == id_of(document));
    let documents: Vec<&[u8]> = walk(&bytes).collect();
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = documents.iter().partition(|document| known(document));
    let taken = match behaviour {
        "die" => std::process::abort(),
        "exit 1" => {
            say(&format!("Failed: connection to {uri} was closed"));
            say("0 document(s) restored successfully. 0 document(s) failed to restore.");
            exit(1);
        }
        "fewer" => &new[..new.len() / 2],
        _ => &new[..],
    };
    let written =
        OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| file.write_all(&taken.concat()));
    if written.is_err() {
        exit(1);
    }
    let restored = taken.len();
    say(&format!("{restored} document(s) restored successfully. {} document(s) failed to restore.", old.len()));
}
