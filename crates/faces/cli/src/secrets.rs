//! Passwords that are typed into addresses: kept in a folder of their own, with `secret:NAME` in their place.
//!
//! A job never holds a password: neither the journal, nor a log, nor an answer. What is typed on this machine for a
//! worker on this machine is split here; everybody else gives the secret to the workers by themselves.

use crate::failure::Failure;
use anyhow::Context as _;
use capstan_ids::{secrets_in_options, stands_for_a_secret};
use capstan_migration::Spec;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const REFERENCE: &str = "secret:";

/// Where the secrets of a data directory are.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("secrets")
}

/// Puts every password of the specification's addresses into the folder, and its name in its place.
///
/// The name is made from the rest of the address, so that the same command means the same job again, with a new password
/// too.
pub fn keep(spec: &mut Spec, folder: &Path) -> Result<(), Failure> {
    for url in [Some(&mut spec.from), Some(&mut spec.to), spec.spool.as_mut()].into_iter().flatten() {
        while let Some(found) = find(url) {
            let password = percent_decode_str(&url[found.clone()]).decode_utf8().map_err(|_| {
                Failure::Usage("a password in an address must be UTF-8 once its % signs are decoded".into())
            })?;
            let name = name(url, &found);
            write(folder, &name, &password)?;
            url.replace_range(found, &format!("{REFERENCE}{name}"));
        }
    }
    Ok(())
}

/// An error if any address of the specification holds a password: there is no safe way for it to another machine.
pub fn refuse(spec: &Spec, server: &str) -> Result<(), Failure> {
    for (field, url) in [("--from", Some(&spec.from)), ("--to", Some(&spec.to)), ("--spool", spec.spool.as_ref())] {
        let Some(url) = url else { continue };
        let Some(found) = find(url) else { continue };
        let name = name(url, &found);
        let variable: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        return Err(Failure::Usage(format!(
            "{field} holds a password, and {server} takes none: it has no authentication, and a job keeps no secret. Give the \
             password to the workers, as CAPSTAN_SECRET_{variable} in their environment or as the file {name} of mode 0600 \
             in the folder of `capstan worker --secrets`, and write {REFERENCE}{name} in its place"
        )));
    }
    Ok(())
}

/// Where the first password of an address is.
fn find(url: &str) -> Option<Range<usize>> {
    let place_len = url.find('?').unwrap_or(url.len());
    in_authority(&url[..place_len])
        .or_else(|| secrets_in_options(url).next())
        // A question mark in a password that was not encoded: then the host is behind it.
        .or_else(|| in_authority(url).filter(|found| !has_path(url, found)))
}

fn has_path(url: &str, found: &Range<usize>) -> bool {
    let start = url.find("://").map_or(0, |at| at + 3);
    url[start..found.start].contains('/')
}

/// Between the first colon of what stands before the last `@`, and that `@`.
fn in_authority(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + 3;
    let at = start + url[start..].rfind('@')?;
    let from = start + url[start..at].find(':')? + 1;
    (from < at && !stands_for_a_secret(&url[from..at])).then_some(from..at)
}

/// A name that says whose secret it is, and is the same for the same address whatever the password.
fn name(url: &str, found: &Range<usize>) -> String {
    let rest = format!("{}\0{}", &url[..found.start], &url[found.end..]);
    let digest = Sha256::digest(rest.as_bytes());
    let start = url.find("://").map_or(0, |at| at + 3);
    // Of an address `scheme://user:password@host`, the host says most.
    let host = url[found.end..].strip_prefix('@').unwrap_or_else(|| url.get(start..).unwrap_or_default());
    let host: String = host
        .chars()
        .take_while(|c| !matches!(c, '/' | '?' | ',' | '@'))
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' })
        .take(40)
        .collect();
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", host.trim_matches(['-', '.'])).trim_start_matches('-').to_owned()
}

/// Writes it for this user alone, whole or not at all.
fn write(folder: &Path, name: &str, secret: &str) -> Result<(), Failure> {
    let place = || format!("keep a password in {}", folder.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(place)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(place)?;
    let path = folder.join(name);
    if fs::read_to_string(&path).is_ok_and(|known| known == secret) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).with_context(place)?;
        return Ok(());
    }
    let aside = folder.join(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&aside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).with_context(place)?;
    file.write_all(secret.as_bytes()).with_context(place)?;
    file.sync_all().with_context(place)?;
    fs::rename(&aside, &path).with_context(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(url: &str) -> (Spec, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = Spec { from: url.into(), ..Spec::default() };
        keep(&mut spec, folder.path()).unwrap();
        (spec, folder)
    }

    fn kept(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn any_password_survives_and_leaves_the_address() {
        for (typed, password) in [
            ("mongodb://ann:hunter2@db1:27017/", "hunter2"),
            ("mongodb://ann:p%40ss%3Aw%2Frd%3F%23%5B%5D%25@db1/", "p@ss:w/rd?#[]%"),
            ("mongodb://ann:p/a@ss:w@db1", "p/a@ss:w"),
            ("mongodb://ann:p?a@db1/x", "p?a"),
            ("mongodb://ann:secret:x/y@db1/x", "secret:x/y"),
            ("s3://bucket/x?secret_access_key=k%2Fy&region=here", "k/y"),
        ] {
            let (spec, folder) = split(typed);

            assert_eq!(kept(folder.path()), [password], "{typed}");
            assert!(!capstan_migration::hides_a_password(&spec.from), "{}", spec.from);
            let secrets = capstan_worker::Secrets { folder: Some(folder.path().into()) };
            let filled = secrets.fill(&spec.from).unwrap();
            let decoded = percent_decode_str(&filled).decode_utf8().unwrap().into_owned();
            assert!(decoded.contains(password), "{filled}");
        }
    }

    #[test]
    fn an_address_without_a_password_stays_as_it_is() {
        for url in [
            "dump:./a@b:c",
            "mongodb://ann@db1/",
            "mongodb://ann:secret:db@db1/",
            "mongodb://db1:27017/?appName=a",
            "null:",
        ] {
            let (spec, folder) = split(url);
            assert_eq!(spec.from, url);
            assert!(kept(folder.path()).is_empty());
        }
    }

    #[test]
    fn a_new_password_is_the_same_job() {
        let (one, _folder) = split("mongodb://ann:one@db1/");
        let (two, folder) = split("mongodb://ann:two@db1/");
        assert_eq!(one.from, two.from);

        let entry = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn another_machine_is_told_how_and_never_the_password() {
        let spec = Spec { to: "mongodb://ann:hunter2@db1/".into(), ..Spec::default() };
        let Err(Failure::Usage(message)) = refuse(&spec, "http://there:8000") else { panic!("it was taken") };
        assert!(message.contains("--to") && message.contains("CAPSTAN_SECRET_DB1_"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
