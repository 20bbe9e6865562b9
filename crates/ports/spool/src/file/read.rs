//! Opening a part's file.

use super::{Folder, SEALED};
use crate::decode::Decoder;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use std::fs::File;
use std::io::{self, BufReader};

const READ_BYTES: usize = 256 << 10;

pub(super) type Opened = Decoder<BufReader<File>>;

/// Opens a part whose size is right and whose header is proved.
pub(super) fn open(folder: &Folder, facts: PartFacts) -> Result<Opened, SpoolError> {
    let path = folder.path(&facts.name, SEALED);
    let place = folder.place.clone();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SpoolError::Missing { part: facts.name, place });
        }
        file => file.map_err(|e| folder.failed("open a part", &path, e))?,
    };
    let found = file.metadata().map_err(|e| folder.failed("open a part", &path, e))?.len();
    if found != facts.stored_bytes {
        let what = format!("{} stored bytes expected, {found} found", facts.stored_bytes);
        return Err(SpoolError::Damaged { offset: found.min(facts.stored_bytes), part: facts.name, place, what });
    }
    Decoder::begin(BufReader::with_capacity(READ_BYTES, file), place, facts)
}
