//! A believable shop as a mongodump directory of any size.
//!
//! One database, `shop`: customers, products, orders and what happened to them, carts, reviews, parcels, searches,
//! photos. Sizes are skewed as real ones are: half of all documents are events of orders, few documents are large, few
//! products get most orders. Beside these are the collections that break tools: `_id`s of every type that may be one,
//! every BSON type with its hard values, an empty and a capped collection, a view, and names that no file may have.
//!
//! The same seed gives the same bytes on every machine, and a document depends on nothing but the seed, its number and
//! the sizes. All names are made up.

mod definitions;
mod documents;
mod files;
mod specimens;
mod words;

use std::io;
use std::path::Path;

use documents::Shop;
use files::{CollectionFile, write_metadata, write_prelude};

/// The database that is made.
pub const DATABASE: &str = "shop";

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The collections, in the order in which they were made; the view is not among them.
    pub collections: Vec<Collection>,
    /// All documents.
    pub documents: u64,
    /// Their size as BSON.
    pub bytes: u64,
}

/// One collection that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its name, as the database knows it.
    pub name: String,
    /// Its documents.
    pub documents: u64,
    /// Their size as BSON.
    pub bytes: u64,
}

/// Writes a shop of so many documents to `folder`, which is made if it is not there; files of the same names go.
///
/// The odd collections have a fixed size, together [`fixed_documents`]; where fewer documents are asked for, it is these.
/// About 250 bytes a document, more than a million documents a second in a release build, a few megabytes of memory.
///
/// ```
/// let folder = std::env::temp_dir().join(format!("capstan-shop-{}", std::process::id()));
/// let shop = capstan_testkit::shop::generate(&folder, 1_000, 42)?;
/// assert_eq!(shop.documents, 1_000);
/// assert!(folder.join("shop/orders.bson").exists());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn generate(folder: &Path, documents: u64, seed: u64) -> io::Result<Summary> {
    let shop = Shop::new(documents.saturating_sub(fixed_documents()), seed);
    let database = folder.join(DATABASE);
    std::fs::create_dir_all(&database)?;
    let mut summary = Summary::default();
    for (name, documents, write) in documents::collections(&shop) {
        let mut file = CollectionFile::create(&database, name)?;
        for number in 0..documents {
            file.document(|out| write(&shop, number, out))?;
        }
        summary.add(name, file.finish(&definitions::of(name), seed)?);
    }
    for (name, write) in specimens::collections() {
        let mut file = CollectionFile::create(&database, name)?;
        for document in write() {
            file.document(|out| out.extend_from_slice(&document))?;
        }
        summary.add(name, file.finish(&definitions::of(name), seed)?);
    }
    write_metadata(&database, definitions::VIEW, "view", definitions::VIEW_OPTIONS, "", seed)?;
    write_prelude(folder)?;
    Ok(summary)
}

/// How many documents the odd collections have together.
pub fn fixed_documents() -> u64 {
    specimens::collections().iter().map(|(_, write)| write().len() as u64).sum()
}

impl Summary {
    fn add(&mut self, name: &str, (documents, bytes): (u64, u64)) {
        self.collections.push(Collection { name: name.into(), documents, bytes });
        self.documents += documents;
        self.bytes += bytes;
    }
}
