//! What is moved.

use anyhow::{Context, Result};
use bson::{Document, RawDocumentBuf, doc};
use mongodb::Client;

/// Documents of one collection.
pub struct Data {
    pub name: &'static str,
    documents: u32,
    /// Bytes of the text in them, from the smallest document to the largest.
    text: (usize, usize),
    pub about: &'static str,
}

pub const DATA: [Data; 2] = [
    Data { name: "small", documents: 100_000, text: (60, 180), about: "orders of about 200 bytes" },
    Data { name: "large", documents: 120, text: (100 << 10, 1 << 20), about: "documents of 100 KiB to 1 MiB" },
];

/// What a collection holds.
#[derive(Clone, Copy)]
pub struct Filled {
    pub documents: u64,
    pub bytes: u64,
}

/// Puts the documents there, the same in every run.
pub async fn fill(client: &Client, database: &str, data: &Data) -> Result<Filled> {
    let collection = client.database(database).collection::<RawDocumentBuf>(data.name);
    let mut filled = Filled { documents: 0, bytes: 0 };
    let mut waiting = Vec::new();
    for number in 0..data.documents {
        let document = document(data, number)?;
        filled.documents += 1;
        filled.bytes += document.as_bytes().len() as u64;
        waiting.push(document);
        if waiting.len() == 1_000 || data.text.1 > 1_000 || number + 1 == data.documents {
            collection.insert_many(&waiting).await.context("fill the source")?;
            waiting.clear();
        }
    }
    Ok(filled)
}

fn document(data: &Data, number: u32) -> Result<RawDocumentBuf> {
    // A multiplier without a factor in common with its modulus: sizes spread evenly and in no order.
    let spread = u64::from(number) * 7_919 % 10_007;
    let (least, most) = data.text;
    let length = least + usize::try_from(spread)? * (most - least) / 10_007;
    let document: Document = doc! {
        "_id": i64::from(number),
        "customer": format!("customer {}", spread),
        "placed": bson::DateTime::from_millis(1_700_000_000_000 + i64::from(number) * 1_000),
        "total": f64::from(number) / 4.0,
        "lines": [i32::try_from(spread)?, 2, 3],
        "note": text(length, spread),
    };
    RawDocumentBuf::try_from(&document).context("encode a document")
}

/// Text that packs about as well as people's words do.
fn text(length: usize, seed: u64) -> String {
    const WORDS: [&str; 16] = [
        "harbour ",
        "lamp ",
        "seventeen ",
        "quietly ",
        "orange ",
        "of ",
        "river ",
        "and ",
        "letter ",
        "north ",
        "window ",
        "the ",
        "paper ",
        "blue ",
        "market ",
        "slow ",
    ];
    let mut text = String::with_capacity(length + 16);
    let mut state = seed | 1;
    while text.len() < length {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state >> 60) as usize]);
        text.push(char::from(b'a' + (state % 26) as u8));
    }
    text.truncate(length);
    text
}

/// How many documents a server says a collection has.
pub async fn count(client: &Client, database: &str, collection: &str) -> Result<u64> {
    let answer = client.database(database).run_command(doc! { "count": collection }).await.context("count")?;
    let count = answer.get("n").and_then(|n| n.as_i64().or(n.as_i32().map(i64::from)).or(n.as_f64().map(|n| n as i64)));
    count.and_then(|count| u64::try_from(count).ok()).context("the answer to count has no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_sizes_they_claim_and_are_the_same_each_time() {
        for data in &DATA {
            let sizes: Vec<usize> = (0..500).map(|number| document(data, number).unwrap().as_bytes().len()).collect();
            assert!(sizes.iter().all(|size| (data.text.0..data.text.1 + 250).contains(size)), "{}", data.name);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() > (data.text.1 - data.text.0) / 2);
        }
        assert_eq!(document(&DATA[0], 7).unwrap(), document(&DATA[0], 7).unwrap());
    }
}
