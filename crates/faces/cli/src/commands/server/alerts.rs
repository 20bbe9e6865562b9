//! Whom a server tells of health: what is typed or written, and what is meant.

use crate::failure::Failure;
use crate::input;
use crate::station::Alerts;
use capstan_ids::Millis;
use capstan_registry::AlertPolicy;
use capstan_webhook::{Address, AllowList, OpenError, Patience, Webhook};
use capstan_worker::Secrets;
use clap::Args;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Receivers of one server.
const WEBHOOKS_MAX: usize = 16;
/// Before the name of a secret.
const REFERENCE: &str = "secret:";
const AGENT: &str = concat!("capstan/", env!("CARGO_PKG_VERSION"));

/// What can be typed.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct AlertOptions {
    /// Tell this address when health becomes critical, degraded, or well again; may be given several times. What is typed
    /// is seen by others on this machine: secret:NAME takes the whole address from CAPSTAN_SECRET_NAME or from the file
    /// secrets/NAME of the data directory
    #[arg(long = "alert-webhook", value_name = "URL", help_heading = "Alerts")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<Sealed>,
    /// A host that webhooks may be at, all of its ports or one; may be given several times. A webhook anywhere else is
    /// refused
    #[arg(long = "alert-allow", value_name = "HOST[:PORT]", help_heading = "Alerts")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    /// How long health must be other than what was told last, without a break, before it is told [default: 5s]
    #[arg(long = "alert-for", value_name = "TIME", help_heading = "Alerts")]
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    /// How often an alert is told again while health stays critical; 0s is never [default: 4h]
    #[arg(long = "alert-repeat", value_name = "TIME", help_heading = "Alerts")]
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<String>,
}

/// The `[alerts]` table with its defaults.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertTable {
    #[serde(deserialize_with = "one_or_several")]
    webhooks: Vec<Sealed>,
    #[serde(deserialize_with = "one_or_several")]
    allow: Vec<String>,
    #[serde(rename = "for")]
    hold: String,
    repeat: String,
}

impl Default for AlertTable {
    fn default() -> Self {
        Self { webhooks: Vec::new(), allow: Vec::new(), hold: "5s".into(), repeat: "4h".into() }
    }
}

/// What is meant.
#[derive(Debug)]
pub struct AlertSettings {
    webhooks: Vec<Sealed>,
    allowed: AllowList,
    policy: AlertPolicy,
}

impl AlertOptions {
    /// What is meant where nothing but this is said.
    pub fn alone(self) -> Result<AlertSettings, Failure> {
        let default = AlertTable::default();
        let table = AlertTable {
            webhooks: self.webhooks,
            allow: self.allow,
            hold: self.hold.unwrap_or(default.hold),
            repeat: self.repeat.unwrap_or(default.repeat),
        };
        let mut faults = Vec::new();
        let settings = table.lower(&mut faults);
        if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults.join("\n       "))) }
    }
}

impl AlertTable {
    /// Lowers what was typed to what is meant, with all its faults. Where an address is a secret, it is judged when it is
    /// opened.
    pub fn lower(self, faults: &mut Vec<String>) -> AlertSettings {
        let allowed = AllowList::parse(&self.allow).unwrap_or_else(|fault| {
            faults.push(format!("--alert-allow: {fault}"));
            AllowList::default()
        });
        if self.webhooks.len() > WEBHOOKS_MAX {
            faults.push(format!("--alert-webhook: at most {WEBHOOKS_MAX}, found {}", self.webhooks.len()));
        }
        for (at, webhook) in self.webhooks.iter().enumerate().filter(|(_, webhook)| !webhook.0.contains(REFERENCE)) {
            match Address::parse(&webhook.0) {
                Ok(address) if allowed.has(&address) => {}
                Ok(address) => faults.push(not_allowed(&address)),
                Err(fault) => faults.push(format!("--alert-webhook, number {}: {fault}", at + 1)),
            }
        }
        let mut millis = |flag: &str, text: &str| match input::duration(text) {
            Ok(time) => Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Err(fault) => {
                faults.push(format!("{flag}: {fault}"));
                Millis::ZERO
            }
        };
        let (hold, repeat) = (millis("--alert-for", &self.hold), millis("--alert-repeat", &self.repeat));
        let policy = AlertPolicy::new(hold, repeat).unwrap_or_else(|fault| {
            faults.push(format!("--alert-for, --alert-repeat: {fault}"));
            AlertPolicy::default()
        });
        AlertSettings { webhooks: self.webhooks, allowed, policy }
    }
}

impl AlertSettings {
    /// Looks the secrets up, and judges what comes of them. Nothing is connected to yet.
    pub fn open(&self, secrets: &Secrets) -> Result<Alerts, Failure> {
        let addresses = self.webhooks.iter().enumerate().map(|(at, webhook)| {
            let said =
                |fault: &dyn fmt::Display| Failure::Usage(format!("--alert-webhook, number {}: {fault}", at + 1));
            let whole = webhook.0.strip_prefix(REFERENCE).filter(|name| !name.is_empty());
            let filled = whole.map_or_else(|| secrets.fill(&webhook.0), |name| secrets.get(name));
            Address::parse(&filled.map_err(|fault| said(&fault))?).map_err(|fault| said(&fault))
        });
        let addresses: Vec<_> = addresses.collect::<Result<_, _>>()?;
        let opened = Webhook::open(addresses, &self.allowed, AGENT, Patience::default());
        let webhooks = opened.map_err(|error| match error {
            OpenError::NotAllowed(address) => Failure::Usage(not_allowed(&address)),
            error @ OpenError::Client(_) => Failure::Failed(error.into()),
        })?;
        Ok(Alerts::to(webhooks, self.policy))
    }
}

/// Says which flag would allow it.
fn not_allowed(address: &Address) -> String {
    let shown = address.to_string();
    let entry = shown.split_once("://").map_or(shown.as_str(), |(_, entry)| entry);
    format!(
        "the webhook at {shown} is not among the hosts that alerts may go to: say --alert-allow {entry}, or allow = [{entry:?}] in the table [alerts]"
    )
}

/// An address as it was typed. Never shown: all of it may be secret.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
struct Sealed(String);

impl FromStr for Sealed {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A list, or one entry by itself: the environment knows no lists. An entry that is none is not repeated.
fn one_or_several<'de, D: Deserializer<'de>, T: FromStr<Err = Infallible> + Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct OneOrSeveral<T>(std::marker::PhantomData<T>);

    impl<'de, T: FromStr<Err = Infallible> + Deserialize<'de>> Visitor<'de> for OneOrSeveral<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or a list of texts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<T>, E> {
            let Ok(one) = text.parse();
            Ok(vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(entries))
        }
    }

    deserializer.deserialize_any(OneOrSeveral(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(webhooks: &[&str], allow: &[&str]) -> AlertOptions {
        AlertOptions {
            webhooks: webhooks.iter().map(|text| Sealed((*text).to_owned())).collect(),
            allow: allow.iter().map(|text| (*text).to_owned()).collect(),
            ..AlertOptions::default()
        }
    }

    fn fault(options: AlertOptions) -> String {
        match options.alone() {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_webhook_anywhere_else_is_refused_with_the_flag_that_would_allow_it_and_nothing_secret() {
        let message = fault(options(&["https://ann:hunter2@hooks.example.com:8443/hunter2"], &["example.com"]));
        assert!(message.contains("--alert-allow hooks.example.com:8443,"), "{message}");
        assert!(message.contains("https://hooks.example.com:8443 ") && !message.contains("hunter2"), "{message}");
        assert!(options(&["https://hooks.example.com/hunter2"], &["hooks.example.com"]).alone().is_ok());
    }

    #[test]
    fn all_faults_are_told_together_and_no_address_is_repeated() {
        let hold = Some("2h".into());
        let options = AlertOptions { hold, ..options(&["hunter2", "ftp://hunter2/"], &["https://x"]) };
        assert!(!format!("{options:?}").contains("hunter2"));
        let message = fault(options);
        assert_eq!(message.lines().count(), 4, "{message}");
        assert!(message.contains("number 2") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_secret_is_judged_once_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets { folder: Some(folder.path().into()) };
        let keep = |name: &str, secret: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(folder.path().join(name), secret).unwrap();
            std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        let open = |webhook: &str| match options(&[webhook], &["127.0.0.1:9"]).alone().unwrap().open(&secrets) {
            Err(Failure::Usage(message)) => Some(message),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        };
        keep("all", "http://127.0.0.1:9/hunter2\n");
        keep("part", "hunter2");
        keep("elsewhere", "http://127.0.0.1:10/hunter2");
        assert_eq!(open("secret:all"), None);
        assert_eq!(open("http://127.0.0.1:9/?token=secret:part"), None);
        for refused in ["secret:elsewhere", "secret:part", "secret:none", "http://127.0.0.2/secret:part"] {
            let message = open(refused).unwrap_or_else(|| panic!("{refused} was taken"));
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_list_may_be_one_entry_and_what_is_neither_is_refused() {
        let read = |text: &str| toml::from_str::<AlertTable>(text);
        let rest = "for = \"0s\"\nrepeat = \"0s\"\n";
        let one = read(&format!("webhooks = \"a\"\nallow = [\"b\", \"c\"]\n{rest}")).unwrap();
        assert_eq!((one.webhooks, one.allow.len()), (vec![Sealed("a".into())], 2));
        assert!(read(&format!("webhooks = 5\nallow = []\n{rest}")).is_err());
    }
}
