//! Items as JSON: one document, a list, or a line each.

use crate::failure::Failure;
use anyhow::Context;
use capstan_client::{Item, v1};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{BufRead, BufReader, Read};

/// An item as it is written in a file; the fields are those of the REST API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    index_name: String,
    #[serde(default)]
    shard_number: u32,
    #[serde(default)]
    document_count: u64,
    #[serde(default)]
    total_size_bytes: u64,
    #[serde(default)]
    priority: i16,
    not_before: Option<jiff::Timestamp>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    waits_for: Vec<Awaited>,
    #[serde(default)]
    limits: Vec<String>,
    #[serde(default)]
    undo: bool,
    payload: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Awaited {
    Group(String),
    Item(String),
}

impl From<Written> for Item {
    fn from(written: Written) -> Self {
        let awaited = |awaited| v1::WaitsFor {
            awaited: Some(match awaited {
                Awaited::Group(group) => v1::waits_for::Awaited::Group(group),
                Awaited::Item(item) => v1::waits_for::Awaited::ItemId(item),
            }),
        };
        Self {
            id: written.id,
            kind: written.kind,
            index_name: written.index_name,
            shard_number: written.shard_number,
            document_count: written.document_count,
            total_size_bytes: written.total_size_bytes,
            priority: written.priority.into(),
            not_before: written.not_before.map(crate::render::timestamp),
            groups: written.groups,
            waits_for: written.waits_for.into_iter().map(awaited).collect(),
            limits: written.limits,
            undo: written.undo,
            payload: written.payload.filter(|payload| payload.get() != "null").map(|payload| payload.get().to_owned()),
        }
    }
}

/// One item as JSON.
fn item(text: &str) -> Result<Item, serde_json::Error> {
    serde_json::from_str::<Written>(text).map(Into::into)
}

/// Items out of a file, read as they are asked for.
pub struct Items {
    name: String,
    lines: Lines,
}

enum Lines {
    /// A list was read whole.
    List(std::vec::IntoIter<Written>),
    /// One document a line.
    Each(Box<dyn BufRead>, usize),
}

impl Items {
    /// Opens a file, or stdin where it is named `-`. A document that begins with `[` is a list; anything else is one
    /// item a line.
    pub fn open(name: &str) -> Result<Self, Failure> {
        let reader: Box<dyn Read> = match name {
            "-" => Box::new(std::io::stdin()),
            file => Box::new(std::fs::File::open(file).with_context(|| format!("open {file}"))?),
        };
        Self::read(name, Box::new(BufReader::with_capacity(1 << 16, reader)))
    }

    fn read(name: &str, mut reader: Box<dyn BufRead>) -> Result<Self, Failure> {
        loop {
            let buffer = reader.fill_buf().with_context(|| format!("read {name}"))?;
            let Some(first) = buffer.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                let length = buffer.len();
                if length == 0 {
                    break;
                }
                reader.consume(length);
                continue;
            };
            if buffer[first] != b'[' {
                break;
            }
            let list: Vec<Written> =
                serde_json::from_reader(reader).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
            return Ok(Self { name: name.to_owned(), lines: Lines::List(list.into_iter()) });
        }
        Ok(Self { name: name.to_owned(), lines: Lines::Each(reader, 0) })
    }

    /// Up to `most` items more; none at the end.
    pub fn batch(&mut self, most: usize) -> Result<Vec<Item>, Failure> {
        let name = &self.name;
        match &mut self.lines {
            Lines::List(list) => Ok(list.take(most).map(Into::into).collect()),
            Lines::Each(reader, number) => {
                let (mut items, mut line) = (Vec::new(), String::new());
                while items.len() < most {
                    line.clear();
                    if reader.read_line(&mut line).with_context(|| format!("read {name}"))? == 0 {
                        break;
                    }
                    *number += 1;
                    if !line.trim().is_empty() {
                        let read = item(&line);
                        items.push(read.map_err(|error| Failure::Usage(format!("{name}, line {number}: {error}")))?);
                    }
                }
                Ok(items)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &'static str) -> Items {
        Items::read("items.json", Box::new(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_list_and_lines_give_the_same_items() {
        let mut list = items(
            " \n[{\"id\":\"a\",\"payload\":{\"x\":1}},{\"id\":\"b\",\"waits_for\":[{\"group\":\"g\"},{\"item\":\"a\"}]}]",
        );
        let mut lines = items(
            "{\"id\":\"a\",\"payload\":{\"x\":1}}\n\n{\"id\":\"b\",\"waits_for\":[{\"group\":\"g\"},{\"item\":\"a\"}]}\n",
        );

        let (from_list, from_lines) = (list.batch(10).unwrap(), lines.batch(10).unwrap());

        assert_eq!(from_list, from_lines);
        assert_eq!(from_list[0].payload.as_deref(), Some(r#"{"x":1}"#));
        assert_eq!(from_list.len(), 2);
        assert!(list.batch(10).unwrap().is_empty() && lines.batch(10).unwrap().is_empty());
    }

    #[test]
    fn batches_end_where_they_are_told_to() {
        let mut lines = items("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}");
        let ids = |items: Vec<Item>| items.into_iter().map(|item| item.id).collect::<Vec<_>>();
        assert_eq!(ids(lines.batch(2).unwrap()), ["a", "b"]);
        assert_eq!(ids(lines.batch(2).unwrap()), ["c"]);
    }

    #[test]
    fn a_wrong_line_is_named_with_its_fault() {
        let error = items("{\"id\":\"a\"}\n{\"id\":\"b\",\"shrad\":1}\n").batch(5).unwrap_err();
        let Failure::Usage(message) = error else { panic!("{error:?}") };
        assert!(message.starts_with("items.json, line 2: unknown field `shrad`"), "{message}");
    }
}
