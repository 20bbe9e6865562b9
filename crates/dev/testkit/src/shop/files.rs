//! The files of a dump: documents, metadata, prelude.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::definitions::Definition;
use crate::Random;

/// A collection's file of documents.
pub(super) struct CollectionFile {
    folder: PathBuf,
    name: String,
    file: BufWriter<File>,
    document: Vec<u8>,
    documents: u64,
    bytes: u64,
}

impl CollectionFile {
    pub fn create(folder: &Path, name: &str) -> io::Result<Self> {
        let file = File::create(folder.join(format!("{}.bson", file_stem(name))))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { folder: folder.into(), name: name.into(), file, document: Vec::new(), documents: 0, bytes: 0 })
    }

    /// Adds the document that `write` appends to an empty buffer.
    pub fn document(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.document.clear();
        write(&mut self.document);
        self.documents += 1;
        self.bytes += self.document.len() as u64;
        self.file.write_all(&self.document)
    }

    /// Writes the rest and the metadata; answers documents and bytes.
    pub fn finish(mut self, definition: &Definition, seed: u64) -> io::Result<(u64, u64)> {
        self.file.flush()?;
        let options = if definition.capped {
            // Twice what it holds: a server that restores it must not let any of it go.
            let size = (2 * self.bytes).next_multiple_of(4_096).max(1 << 20);
            format!(r#"{{"capped":true,"size":{{"$numberLong":"{size}"}}}}"#)
        } else {
            definition.options.to_owned()
        };
        write_metadata(&self.folder, &self.name, "collection", &options, definition.indexes, seed)?;
        Ok((self.documents, self.bytes))
    }
}

/// Writes `NAME.metadata.json`; `indexes` are those beside the one on `_id`, each with a comma in front.
pub(super) fn write_metadata(
    folder: &Path,
    name: &str,
    kind: &str,
    options: &str,
    indexes: &str,
    seed: u64,
) -> io::Result<()> {
    let id_index =
        if kind == "view" { "" } else { r#"{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}"# };
    let options = if options.is_empty() { String::new() } else { format!(r#""options":{options},"#) };
    let number = name.bytes().fold(0, |number: u64, byte| number.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut random = Random::of(seed, 0, number);
    let uuid = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
    let uuid = if kind == "view" { String::new() } else { format!(r#""uuid":"{uuid}","#) };
    let text =
        format!(r#"{{{options}"indexes":[{id_index}{indexes}],{uuid}"collectionName":"{name}","type":"{kind}"}}"#);
    fs::write(folder.join(format!("{}.metadata.json", file_stem(name))), text)
}

pub(super) fn write_prelude(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("prelude.json"), r#"{"ServerVersion":"7.0.0","ToolVersion":"capstan shop"}"#)
}

/// A collection's name as mongodump writes it in a file name.
fn file_stem(name: &str) -> String {
    name.bytes().fold(String::new(), |mut stem, byte| {
        match byte {
            b' ' => stem.push('+'),
            b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => stem.push(byte.into()),
            _ => stem.push_str(&format!("%{byte:02X}")),
        }
        stem
    })
}
