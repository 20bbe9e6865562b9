//! A copy by a plain loop on the driver: what a coordinator is measured against, and what it may cost above.

use anyhow::{Context, Result};
use bson::{RawDocumentBuf, doc};
use clap::Args;
use futures::StreamExt;
use mongodb::Client;
use tokio::task::JoinSet;

/// Documents and bytes of one insert.
const DOCUMENTS: usize = 1_000;
const BYTES: usize = 16 << 20;
/// Inserts at once.
const INSERTS: usize = 2;

/// Copies a collection to the same name.
#[derive(Args)]
pub struct Copy {
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    /// DATABASE.COLLECTION
    #[arg(long)]
    namespace: String,
}

pub async fn run(copy: &Copy) -> Result<()> {
    let (database, collection) = copy.namespace.split_once('.').context("a namespace is DATABASE.COLLECTION")?;
    let source = Client::with_uri_str(&copy.from).await?.database(database).collection::<RawDocumentBuf>(collection);
    let target = Client::with_uri_str(&copy.to).await?.database(database).collection::<RawDocumentBuf>(collection);
    let mut cursor = source.find(doc! {}).batch_size(u32::try_from(DOCUMENTS)?).await?;
    let mut inserting = JoinSet::new();
    let (mut waiting, mut bytes) = (Vec::with_capacity(DOCUMENTS), 0);
    while let Some(document) = cursor.next().await.transpose()? {
        bytes += document.as_bytes().len();
        waiting.push(document);
        if waiting.len() == DOCUMENTS || bytes >= BYTES {
            if inserting.len() == INSERTS {
                inserting.join_next().await.context("an insert is under way")???;
            }
            inserting.spawn(insert(target.clone(), std::mem::replace(&mut waiting, Vec::with_capacity(DOCUMENTS))));
            bytes = 0;
        }
    }
    if !waiting.is_empty() {
        inserting.spawn(insert(target, waiting));
    }
    while let Some(inserted) = inserting.join_next().await {
        inserted??;
    }
    Ok(())
}

async fn insert(target: mongodb::Collection<RawDocumentBuf>, documents: Vec<RawDocumentBuf>) -> Result<()> {
    target.insert_many(&documents).ordered(false).await.context("insert")?;
    Ok(())
}
