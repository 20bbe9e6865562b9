//! Proving an archive whole, in one reading.

use std::collections::BTreeMap;

use crc_fast::Digest;

use crate::dump::archive::blocks::Event;
use crate::dump::archive::{ArchiveFile, Prelude};
use crate::dump::names::BUCKETS;
use crate::parts::checksum;
use crate::{EndpointError, Namespace, Result, Unit, UnitKind};

/// What an archive was found to hold.
#[derive(Debug)]
pub(crate) struct Index {
    extents: BTreeMap<Namespace, Extent>,
}

/// Where the documents of a collection lie.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub namespace: Namespace,
    pub documents: u64,
    pub bytes: u64,
    /// The offset of the first document.
    pub start: u64,
    /// The offset after the last document.
    pub end: u64,
}

struct Open {
    extent: Extent,
    checksum: Digest,
    ended: bool,
}

impl Index {
    /// Reads the whole archive: framing, order of blocks, every collection's end and checksum.
    pub(crate) fn of(archive: &ArchiveFile) -> Result<Self> {
        let place = archive.path.display().to_string();
        let (prelude, mut blocks) = Prelude::read(archive.open()?, &archive.path)?;
        let mut found: BTreeMap<Namespace, Open> = BTreeMap::new();
        let mut current: Option<Namespace> = None;
        let mut document = Vec::new();
        loop {
            let at = blocks.position();
            let damaged = |reason: String| EndpointError::damaged(&place, at, reason);
            document.clear();
            match blocks.next(&mut document)? {
                Event::End => {
                    check_all_ended(&prelude, &found).map_err(damaged)?;
                    let extents = found.into_iter().map(|(namespace, open)| (namespace, open.extent)).collect();
                    return Ok(Self { extents });
                }
                Event::Begin(namespace) => {
                    let open = opened(&mut found, &prelude, &namespace).map_err(damaged)?;
                    if open.ended {
                        return Err(damaged(format!("`{namespace}` goes on after its end")));
                    }
                    current = Some(namespace);
                }
                Event::Document => {
                    let namespace = current.as_ref().expect("documents follow the header of their block");
                    let open = found.get_mut(namespace).expect("opened by its header");
                    open.checksum.update(&document);
                    open.extent.end = blocks.position();
                    if open.extent.documents == 0 {
                        open.extent.start = blocks.position() - document.len() as u64;
                    }
                    open.extent.documents += 1;
                    open.extent.bytes += document.len() as u64;
                }
                Event::Ended { namespace, checksum } => {
                    let open = opened(&mut found, &prelude, &namespace).map_err(damaged)?;
                    let computed = open.checksum.finalize();
                    if std::mem::replace(&mut open.ended, true) {
                        return Err(damaged(format!("`{namespace}` ends twice")));
                    }
                    if computed != checksum {
                        let reason = format!(
                            "the documents of `{namespace}` have CRC-64 {computed:016x}, {checksum:016x} is written"
                        );
                        return Err(damaged(reason));
                    }
                }
            }
        }
    }

    /// Where a unit's documents lie. Those of a time-series collection are its buckets, or are under its own name
    /// in archives of the newest servers.
    pub(crate) fn extent(&self, unit: &Unit) -> Option<&Extent> {
        let Namespace { database, collection } = &unit.namespace;
        let buckets = Namespace::new(database, format!("{BUCKETS}{collection}"));
        let buckets = (unit.kind == UnitKind::TimeSeries).then(|| self.extents.get(&buckets)).flatten();
        buckets.or_else(|| self.extents.get(&unit.namespace))
    }
}

fn opened<'a>(
    found: &'a mut BTreeMap<Namespace, Open>,
    prelude: &Prelude,
    namespace: &Namespace,
) -> Result<&'a mut Open, String> {
    if !found.contains_key(namespace) {
        let measured = namespace.collection.strip_prefix(BUCKETS).map(|name| Namespace::new(&namespace.database, name));
        let announced = |name: &Namespace| prelude.announced.iter().any(|(known, _)| known == name);
        if !announced(namespace) && !measured.as_ref().is_some_and(announced) {
            return Err(format!("documents of `{namespace}` follow, which the archive does not announce"));
        }
    }
    let new = || Open {
        extent: Extent { namespace: namespace.clone(), documents: 0, bytes: 0, start: 0, end: 0 },
        checksum: checksum(),
        ended: false,
    };
    Ok(found.entry(namespace.clone()).or_insert_with(new))
}

fn check_all_ended(prelude: &Prelude, found: &BTreeMap<Namespace, Open>) -> Result<(), String> {
    if let Some((namespace, _)) = found.iter().find(|(_, open)| !open.ended) {
        return Err(format!("the archive is cut short: `{namespace}` has no end"));
    }
    for (namespace, kind) in &prelude.announced {
        let buckets = Namespace::new(&namespace.database, format!("{BUCKETS}{}", namespace.collection));
        let seen = found.contains_key(namespace) || *kind == UnitKind::TimeSeries && found.contains_key(&buckets);
        if !seen {
            return Err(format!("the archive is cut short: `{namespace}` is announced and never comes"));
        }
    }
    Ok(())
}
