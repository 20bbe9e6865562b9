//! Who an endpoint is, whatever words its address uses: so that a job never writes over what it reads.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Result;
use crate::pump::blocking;

/// Where an endpoint's data lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whereabouts {
    /// Nowhere that anything else could be, or nobody can tell.
    #[default]
    Unknown,
    /// A file or folder, which need not exist yet.
    Files(Trail),
    /// Servers that hold the same collections, as `ADDRESS:PORT` with every address their names stand for.
    Servers(BTreeSet<String>),
}

/// A place in the file system by what it is, and not by its name: links and other spellings lead to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// What lies there: `dump`, `jsonl`.
    kind: &'static str,
    /// Device and inode, where it exists.
    own: Option<(u64, u64)>,
    /// Those of the folders around it, as far as they exist.
    around: Vec<(u64, u64)>,
}

impl Whereabouts {
    /// Those of a path. It is followed to what it leads to; folders that do not exist yet are passed over.
    pub async fn of_path(kind: &'static str, path: &Path) -> Result<Self> {
        let owned = path.to_path_buf();
        blocking(&path.display().to_string(), move || Ok(Self::Files(Trail::of(kind, &owned)))).await
    }

    /// Whether writing to the other place could touch what lies here.
    ///
    /// Files meet where they are the same, or where one folder of the same kind lies in the other. Servers meet where one
    /// address is the same: what is written to one collection there is in that collection here.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Files(here), Self::Files(there)) => here.meets(there),
            (Self::Servers(here), Self::Servers(there)) => !here.is_disjoint(there),
            _ => false,
        }
    }
}

impl Trail {
    fn of(kind: &'static str, path: &Path) -> Self {
        let about = |path: &Path| path.metadata().ok().map(|about| (about.dev(), about.ino()));
        // Absolute, so that each folder around it is among its ancestors; canonical as far as it exists, so that `..`
        // behind a link leads where the system would go.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let real = absolute.ancestors().find_map(|near| {
            let rest = absolute.strip_prefix(near).expect("an ancestor is a prefix");
            near.canonicalize().ok().map(|near| near.join(rest))
        });
        let real = real.unwrap_or(absolute);
        let around = real.ancestors().skip(1).filter_map(about).collect();
        Self { kind, own: about(&real), around }
    }

    fn meets(&self, other: &Self) -> bool {
        let lies_in = |inner: &Self, outer: &Self| {
            inner.kind == outer.kind && outer.own.is_some_and(|outer| inner.around.contains(&outer))
        };
        (self.own.is_some() && self.own == other.own) || lies_in(self, other) || lies_in(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(path: &Path) -> Whereabouts {
        Whereabouts::Files(Trail::of("dump", path))
    }

    #[test]
    fn a_folder_is_known_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (x, link) = (folder.path().join("x"), folder.path().join("link"));
        std::fs::create_dir_all(x.join("shop")).unwrap();
        std::fs::create_dir(folder.path().join("y")).unwrap();
        std::os::unix::fs::symlink(&x, &link).unwrap();
        let source = trail(&x);

        for same in ["x/", "y/../x", "./x/.", "link", "link/shop", "x/shop", "x/new/folder", "link/new", ""] {
            assert!(source.meets(&trail(&folder.path().join(same))), "{same:?}");
        }
        for other in ["y", "new", "new/folder", "y/x", "xx"] {
            assert!(!source.meets(&trail(&folder.path().join(other))), "{other:?}");
        }
        let lines = |path: &Path| Whereabouts::Files(Trail::of("jsonl", path));
        assert!(source.meets(&lines(&x)) && !source.meets(&lines(&x.join("lines"))));
    }

    #[test]
    fn servers_meet_at_any_address_they_share() {
        let servers = |names: &[&str]| Whereabouts::Servers(names.iter().map(|name| name.to_string()).collect());
        let source = servers(&["10.0.0.1:27017", "10.0.0.2:27017"]);

        assert!(source.meets(&servers(&["10.0.0.2:27017", "10.0.0.3:27017"])));
        assert!(!source.meets(&servers(&["10.0.0.2:27018"])));
        assert!(!source.meets(&Whereabouts::Unknown) && !Whereabouts::Unknown.meets(&Whereabouts::Unknown));
    }
}
