//! The address of a deployment as the two programs want it, and what of it is secret.

use std::fmt::Write;

use capstan_endpoint::{EndpointUrl, Result};
use percent_encoding::percent_decode_str;

/// Options whose values are secrets themselves.
const SECRET_OPTIONS: [&str; 3] =
    ["authmechanismproperties", "tlscertificatekeyfilepassword", "sslclientcertificatekeypassword"];
/// Options that say what a write waits for; they are given to mongorestore as one flag.
const WRITE_OPTIONS: [&str; 4] = ["w", "journal", "wtimeoutms", "wtimeout"];

/// Where a program connects to.
#[derive(Clone)]
pub(crate) struct Address {
    /// Without the database: the programs refuse one that is not the one they work on. Holds the password.
    uri: String,
    secrets: Vec<String>,
    write_concern: String,
}

impl Address {
    pub fn of(url: &EndpointUrl) -> Result<Self> {
        let text = url.text();
        let start = text.find("://").map(|at| at + 3).ok_or_else(|| url.refused("`//` and a host are expected"))?;
        let (body, query) = text[start..].split_once('?').unwrap_or((&text[start..], ""));
        // A password may hold a slash that was not encoded; drivers refuse that, but it is not for us to leak it.
        let at = body.rfind('@');
        let hosts = at.map_or(0, |at| at + 1);
        let slash = body[hosts..].find('/').map_or(body.len(), |slash| hosts + slash);
        let database = body[slash..].trim_start_matches('/');
        let pairs: Vec<(&str, &str)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let option = |name: &str| pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);

        let mut uri = format!("{}{}/", &text[..start], &body[..slash]);
        let mut kept: Vec<String> = pairs
            .iter()
            .filter(|(key, _)| !WRITE_OPTIONS.contains(&key.to_ascii_lowercase().as_str()))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        // Without it the programs would look for the user in the database they work on.
        if at.is_some() && option("authSource").is_none() && option("authMechanism").is_none_or(is_of_a_database) {
            kept.push(format!("authSource={}", if database.is_empty() { "admin" } else { database }));
        }
        if !kept.is_empty() {
            write!(uri, "?{}", kept.join("&")).expect("a string takes what is written");
        }

        let mut secrets = vec![text.to_owned(), uri.clone()];
        if let Some(user_info) = at.map(|at| &body[..at]) {
            secrets.push(user_info.to_owned());
            secrets.extend(user_info.split_once(':').map(|(_, password)| password.to_owned()));
        }
        for (key, value) in &pairs {
            if SECRET_OPTIONS.contains(&key.to_ascii_lowercase().as_str()) {
                secrets.push((*value).to_owned());
            }
        }
        let decoded: Vec<String> =
            secrets.iter().map(|secret| percent_decode_str(secret).decode_utf8_lossy().into_owned()).collect();
        secrets.extend(decoded);
        secrets.retain(|secret| !secret.is_empty());
        // The longest first: a part of a secret that is left would be one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Ok(Self { uri, secrets, write_concern: write_concern(option)? })
    }

    /// What a program reads its secrets from: one line of YAML.
    pub fn config(&self) -> String {
        // A JSON string is a YAML string.
        format!("uri: {}\n", serde_json::Value::from(self.uri.as_str()))
    }

    /// What a write waits for, as `--writeConcern` takes it.
    pub fn write_concern(&self) -> &str {
        &self.write_concern
    }

    /// The text without anything that is secret here.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// Whether users of the mechanism live in a database of the deployment.
fn is_of_a_database(mechanism: &str) -> bool {
    mechanism.to_ascii_uppercase().starts_with("SCRAM-")
}

/// A majority's journal unless the address says otherwise, as the native writer has it.
fn write_concern<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Result<String> {
    let mut concern = serde_json::Map::new();
    let w = option("w").unwrap_or("majority");
    let w = w.parse::<u32>().map_or_else(|_| percent_decode_str(w).decode_utf8_lossy().into(), serde_json::Value::from);
    concern.insert("w".into(), w);
    concern.insert("j".into(), (option("journal") != Some("false")).into());
    if let Some(limit) = option("wtimeoutMS").or_else(|| option("wtimeout")).and_then(|ms| ms.parse::<u32>().ok()) {
        concern.insert("wtimeout".into(), limit.into());
    }
    Ok(serde_json::Value::Object(concern).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_database_of_an_address_says_only_where_its_user_is() {
        for (given, uri) in [
            ("mongodb://h", "mongodb://h/"),
            ("mongodb://h:1,i:2/shop?replicaSet=r", "mongodb://h:1,i:2/?replicaSet=r"),
            ("mongodb://u:p@h/shop", "mongodb://u:p@h/?authSource=shop"),
            ("mongodb://u:p@h", "mongodb://u:p@h/?authSource=admin"),
            ("mongodb://u:p@h/shop?authSource=x&tls=true", "mongodb://u:p@h/?authSource=x&tls=true"),
            ("mongodb+srv://u@h/?authMechanism=MONGODB-X509", "mongodb+srv://u@h/?authMechanism=MONGODB-X509"),
            ("mongodb://h/?readPreference=secondary&w=2&journal=false", "mongodb://h/?readPreference=secondary"),
        ] {
            assert_eq!(address(given).uri, uri, "{given}");
        }
    }

    #[test]
    fn writes_wait_for_a_majority_and_its_journal_unless_the_address_says_otherwise() {
        for (given, concern) in [
            ("mongodb://h", r#"{"j":true,"w":"majority"}"#),
            ("mongodb://h/?w=2&wtimeoutMS=500", r#"{"j":true,"w":2,"wtimeout":500}"#),
            ("mongodb://h/?w=dc&journal=false", r#"{"j":false,"w":"dc"}"#),
        ] {
            assert_eq!(address(given).write_concern(), concern, "{given}");
        }
    }

    #[test]
    fn nothing_secret_is_left_in_what_a_program_says_plain_or_encoded() {
        let address = address(
            "mongodb://ann:p%40ss%2Fw@h/shop?authMechanismProperties=TOKEN:t0k3n&tlsCertificateKeyFilePassword=kEy9",
        );
        let said = "could not connect to mongodb://ann:p%40ss%2Fw@h/: password p@ss/w, TOKEN:t0k3n, kEy9";

        let shown = address.redact(said);

        for secret in ["p%40ss", "p@ss", "t0k3n", "kEy9"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("could not connect to mongodb://***@h/"), "{shown}");
    }

    #[test]
    fn a_config_file_is_yaml_whatever_is_in_the_address() {
        assert_eq!(address("mongodb://u:a\"b\\c@h").config(), "uri: \"mongodb://u:a\\\"b\\\\c@h/?authSource=admin\"\n");
    }
}
