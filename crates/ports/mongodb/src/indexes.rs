//! Builds a unit's indexes, and says which of them the server does not have as they were.

use bson::{Bson, Document, doc};
use capstan_endpoint::{ExtJson, Namespace, Result, SetAside, Unit};

use crate::definition::covers;
use crate::fault::{self, Fault};
use crate::listing;
use crate::server::Server;

/// Fields of a listed index that are the server's own affair.
const OWN: [&str; 5] = ["v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion"];

/// Builds all indexes in one pass over the documents, or one by one where the server does not take them all.
pub(crate) async fn build(server: &Server, unit: &Unit) -> Result<Vec<SetAside>> {
    let mut wanted: Vec<Document> = unit.indexes.iter().map(definition).filter(|index| !is_of_ids(index)).collect();
    if collates(server, unit).await? {
        // A server lists no collation of an index that compares bytes, and gives one made without any the collection's.
        for index in wanted.iter_mut().filter(|index| !index.contains_key("collation")) {
            index.insert("collation", doc! { "locale": "simple" });
        }
    }
    let mut refused = Vec::new();
    if wanted.is_empty() || order_all(server, unit, &wanted).await?.is_none() {
        return unkept(server, unit, &wanted).await;
    }
    let mut taken = Vec::new();
    for index in wanted {
        match order_all(server, unit, std::slice::from_ref(&index)).await? {
            None => taken.push(index),
            Some(reason) => refused.push(aside(unit, &index, format!("refused: {reason}"))),
        }
    }
    refused.extend(unkept(server, unit, &taken).await?);
    Ok(refused)
}

/// Asks for indexes; says why, where the server refuses.
async fn order_all(server: &Server, unit: &Unit, indexes: &[Document]) -> Result<Option<String>> {
    let command = doc! { "createIndexes": &unit.namespace.collection, "indexes": indexes.to_vec() };
    match server.run(&unit.namespace.database, command).await {
        Ok(_) => Ok(None),
        Err(error) => match fault::of(&error) {
            Fault::Never | Fault::Refused | Fault::Document => Ok(Some(fault::said(&error).to_string())),
            Fault::Cut if server.answers().await => Ok(Some("the server closes the connection on it".into())),
            _ => Err(server.failed("building indexes", &error)),
        },
    }
}

/// Indexes that the server has taken and lists otherwise.
async fn unkept(server: &Server, unit: &Unit, wanted: &[Document]) -> Result<Vec<SetAside>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let listed = listing::indexes(server, &unit.namespace).await?;
    let listed: Vec<Document> = listed.iter().filter_map(|index| Document::try_from(index.as_ref()).ok()).collect();
    let mut set_aside = Vec::new();
    for index in wanted {
        let Some(kept) = listed.iter().find(|kept| kept.get("name") == index.get("name")) else {
            set_aside.push(aside(unit, index, "the target took it, and does not list it".into()));
            continue;
        };
        let simple = Bson::Document(doc! { "locale": "simple" });
        let is_kept = |name: &str, value: &Bson| match kept.get(name) {
            Some(kept) => covers(kept, value),
            None => name == "collation" && *value == simple,
        };
        let lost = index.iter().filter(|(name, value)| !is_kept(name, value));
        let mut lost: Vec<&str> = lost.map(|(name, _)| name.as_str()).collect();
        let keys = |index: &Document| index.get_document("key").ok().map(|key| key.keys().cloned().collect::<Vec<_>>());
        if keys(kept) != keys(index) && !lost.contains(&"key") {
            lost.push("key");
        }
        if !lost.is_empty() {
            let reason = format!("the target took it, and lists it without or with another {}", lost.join(", "));
            set_aside.push(aside(unit, index, reason));
        }
    }
    Ok(set_aside)
}

/// Whether the collection, as the target made it, compares strings by other rules than their bytes.
async fn collates(server: &Server, unit: &Unit) -> Result<bool> {
    if unit.options.as_ref().is_none_or(|options| !options.to_document().contains_key("collation")) {
        return Ok(false);
    }
    let Namespace { database, collection } = &unit.namespace;
    let found = listing::collections(server, database, Some(collection)).await?;
    let options = found.first().and_then(|found| found.options.as_ref());
    let collation = options.and_then(|options| options.get_document("collation").ok());
    Ok(collation.is_some_and(|collation| collation.get_str("locale").is_ok_and(|locale| locale != "simple")))
}

/// An index as it is asked for.
fn definition(index: &ExtJson) -> Document {
    let mut index = index.to_document();
    OWN.iter().for_each(|name| drop(index.remove(name)));
    index
}

/// Every collection has this one from the beginning. A clustered collection lists its clustered index, which is made
/// with the collection.
fn is_of_ids(index: &Document) -> bool {
    index.get_document("key").is_ok_and(|key| key.len() == 1 && key.contains_key("_id"))
        && index.get_str("name").is_ok_and(|name| name == "_id_")
        || index.get_bool("clustered").unwrap_or(false)
}

fn aside(unit: &Unit, index: &Document, reason: String) -> SetAside {
    SetAside {
        what: format!("index {} of {}", index.get_str("name").unwrap_or("without a name"), unit.namespace),
        reason,
    }
}
