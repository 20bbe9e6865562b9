//! `secret:NAME` in an address, looked up where it is used and nowhere else.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Where secrets are: in the environment as `CAPSTAN_SECRET_NAME`, or in a folder as files of mode 0600.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The folder, if there is one.
    pub folder: Option<PathBuf>,
}

/// Why a secret cannot be had. Never shows one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error(
        "secret {name} is not known here; set {variable}, or put it into a file of that name in the secrets folder"
    )]
    Unknown {
        /// Its name.
        name: String,
        /// Where the environment would have it.
        variable: String,
    },
    /// Others could read the file.
    #[error("secret {name} may be read by others: its file has mode {mode:03o}; make it 600")]
    Exposed {
        /// Its name.
        name: String,
        /// What it has.
        mode: u32,
    },
    /// The file could not be read.
    #[error("secret {name} could not be read")]
    Unreadable {
        /// Its name.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
}

const REFERENCE: &str = "secret:";

impl Secrets {
    /// The address with every `secret:NAME` in it replaced, percent-encoded.
    pub fn fill(&self, url: &str) -> Result<String, SecretError> {
        let mut filled = String::with_capacity(url.len());
        let mut rest = url;
        while let Some(at) = rest.find(REFERENCE) {
            let name_starts = at + REFERENCE.len();
            let name = rest[name_starts..]
                .split(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c))
                .next()
                .unwrap_or("");
            filled.push_str(&rest[..at]);
            if name.is_empty() {
                filled.push_str(REFERENCE);
            } else {
                filled.extend(utf8_percent_encode(&self.get(name)?, NON_ALPHANUMERIC));
            }
            rest = &rest[name_starts + name.len()..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The secret of that name, as it is.
    pub fn get(&self, name: &str) -> Result<String, SecretError> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable = format!("CAPSTAN_SECRET_{}", name.chars().map(plain).collect::<String>());
        if let Ok(secret) = std::env::var(&variable) {
            return Ok(secret);
        }
        let unknown = || SecretError::Unknown { name: name.into(), variable: variable.clone() };
        // `..` would be a way out of the folder.
        let path = self.folder.as_ref().filter(|_| !name.starts_with('.')).ok_or_else(unknown)?.join(name);
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => unknown(),
            _ => SecretError::Unreadable { name: name.into(), source },
        };
        let mode = fs::metadata(&path).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { name: name.into(), mode });
        }
        let secret = fs::read_to_string(&path).map_err(unreadable)?;
        Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(secret: &str, mode: u32) -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("db-1"), secret).unwrap();
        fs::set_permissions(folder.path().join("db-1"), fs::Permissions::from_mode(mode)).unwrap();
        let secrets = Secrets { folder: Some(folder.path().into()) };
        (folder, secrets)
    }

    #[test]
    fn a_reference_becomes_the_secret_encoded_for_an_address() {
        let (_folder, secrets) = folder("p@ss:w/rd\n", 0o600);
        assert_eq!(secrets.fill("mongodb://ann:secret:db-1@h/x").unwrap(), "mongodb://ann:p%40ss%3Aw%2Frd@h/x");
        assert_eq!(secrets.fill("dump:./a").unwrap(), "dump:./a");
    }

    #[test]
    fn what_is_not_there_or_open_to_others_is_refused_without_being_shown() {
        let (_folder, secrets) = folder("hunter2", 0o644);
        let exposed = secrets.fill("x://a:secret:db-1@h").unwrap_err();
        assert!(matches!(exposed, SecretError::Exposed { mode: 0o644, .. }));
        assert!(!exposed.to_string().contains("hunter2"));
        for unknown in ["x://a:secret:db-2@h", "x://a:secret:..@h"] {
            assert!(matches!(secrets.fill(unknown), Err(SecretError::Unknown { .. })), "{unknown}");
        }
    }
}
