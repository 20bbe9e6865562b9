//! File names of collections, as mongodump escapes them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::{EndpointError, Namespace, Result};

/// What is escaped in a file name: all but letters, digits and `-_.~`; a space becomes `+` besides.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// The longest stem: with the longest ending (`.metadata.json.gz`) a name has 255 bytes.
const STEM_BYTES_MAX: usize = 238;
/// How much of a longer stem is kept before `%24` and 27 characters that tell it from others.
const STEM_BYTES_KEPT: usize = 208;

/// What stands before the collection's name in the name of a time-series collection's buckets.
pub(crate) const BUCKETS: &str = "system.buckets.";

/// The stem of a collection's files.
///
/// A name that is too long is cut and told from others by a digest; mongorestore, and we, then read it from the
/// metadata. (The digest is ours: mongodump's is SHA-1 and nobody looks into it.)
pub(crate) fn file_stem(collection: &str) -> String {
    let stem = utf8_percent_encode(collection, ESCAPED).to_string().replace(' ', "+");
    if stem.len() <= STEM_BYTES_MAX {
        return stem;
    }
    let digest = format!("{:032x}", xxh3_128_with_seed(collection.as_bytes(), 0));
    format!("{}%24{}", &stem[..STEM_BYTES_KEPT], &digest[..27])
}

/// The collection that a stem names, or `None` for a stem that was cut and names nothing by itself.
pub(crate) fn collection_of(stem: &str) -> Result<Option<String>, String> {
    if stem.len() == STEM_BYTES_MAX && stem.contains("%24") {
        return Ok(None);
    }
    let spaced = stem.replace('+', " ");
    for (at, _) in spaced.match_indices('%') {
        if !spaced.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("a `%` in it is not followed by two hexadecimal digits".into());
        }
    }
    let name = percent_decode_str(&spaced).decode_utf8().map_err(|_| "its decoded form is not UTF-8")?;
    if name.is_empty() { Err("it names no collection".into()) } else { Ok(Some(name.into())) }
}

/// Refuses what MongoDB allows in no database name, because it could not be the name of a folder.
pub(crate) fn check(namespace: &Namespace, place: &str) -> Result<()> {
    let Namespace { database, collection } = namespace;
    let refused = |reason: &str| Err(EndpointError::unsupported(format!("the name `{namespace}`"), place, reason));
    if database.is_empty() || database.len() > 63 {
        return refused("a database name has 1 to 63 bytes");
    }
    if database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        return refused("a database name holds none of / \\ . \" $, space and NUL");
    }
    if collection.is_empty() || collection.contains('\0') {
        return refused("a collection name is not empty and holds no NUL");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_mongodump_escapes_them() {
        for (collection, stem) in [
            ("ünïcode", "%C3%BCn%C3%AFcode"),
            ("name with space.and.dots", "name+with+space.and.dots"),
            ("a/b", "a%2Fb"),
            ("$admin.system.users", "%24admin.system.users"),
            ("100%+1", "100%25%2B1"),
            ("a-b_c~d", "a-b_c~d"),
            ("..", ".."),
        ] {
            assert_eq!(file_stem(collection), stem);
            assert_eq!(collection_of(stem), Ok(Some(collection.into())));
        }
    }

    #[test]
    fn a_name_too_long_for_a_file_is_cut_and_says_so() {
        let long = "é".repeat(100);
        let stem = file_stem(&long);
        assert_eq!((stem.len(), collection_of(&stem)), (238, Ok(None)));
        assert_ne!(stem, file_stem(&format!("{long}x")));
        assert_eq!(collection_of(&file_stem(&"x".repeat(238))), Ok(Some("x".repeat(238))));
    }

    #[test]
    fn a_stem_that_nobody_escaped_is_refused() {
        assert!(collection_of("100%").is_err());
        assert!(collection_of("%ff").is_err());
    }
}
