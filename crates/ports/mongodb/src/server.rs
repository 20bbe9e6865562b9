//! A connection to a deployment: what it is asked with, and what it says of itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use capstan_endpoint::{EndpointError, EndpointUrl, Result};
use mongodb::options::{Acknowledgment, ClientOptions, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database};

use crate::bypass::Bypass;
use crate::fault;

/// How long a deployment may take to have a server for us, unless the address says otherwise.
const SELECTION: Duration = Duration::from_secs(15);
/// Connections at most, unless the address says otherwise: several readers and writers for each slot of a worker.
const CONNECTIONS: u32 = 64;

/// An open connection. Cheap to clone: all clones share their connections.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    place: String,
    /// The servers that the address names, as `HOST:PORT`.
    pub members: Vec<String>,
    /// The database that the address names: only its collections are listed.
    pub only: Option<String>,
    pub limits: Limits,
    /// Lists validators, index options and the like as they were given: only a real server does.
    pub keeps_definitions: bool,
    /// Gives back every value it takes as it was given.
    pub keeps_values: bool,
    /// What its writes are spared. Shared by all clones.
    pub bypass: Arc<Bypass>,
    read_concern: Option<Document>,
    acknowledgment: WriteConcern,
    write_concern: RawDocumentBuf,
    selection: Option<SelectionCriteria>,
}

/// What a server takes at once, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a document.
    pub document: usize,
    /// Documents in one write.
    pub documents: usize,
    /// Documents that one command replaces.
    pub replacements: usize,
}

/// FerretDB 1.24 keeps a connection to its PostgreSQL, of 50 in all, for each replacement of a command until the command is
/// done, and needs one more to write it. A command with 50 of them waits for itself, and every other client waits too, until
/// it is started again. So few at a time leave room for a dozen commands.
const FERRET_REPLACEMENTS: usize = 4;

/// The driver's own view of a connection holds its password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.place).finish()
    }
}

impl Server {
    pub async fn connect(url: &EndpointUrl) -> Result<Self> {
        let options = options(url).await?;
        let (read_concern, write_concern) = (options.read_concern.clone(), options.write_concern.clone());
        let (selection, only) = (options.selection_criteria.clone(), options.default_database.clone());
        let members = options.hosts.iter().map(ToString::to_string).collect();
        let place = url.to_string();
        let client = Client::with_options(options).map_err(|error| fault::failed(&place, "connecting", &error))?;
        let admin = client.database("admin");
        let ask = |command: Document| admin.run_command(command).into_future();
        // Some servers know only the older word.
        let hello = match ask(doc! { "hello": 1 }).await {
            Err(error) if fault::code(&error).is_some() => ask(doc! { "isMaster": 1 }).await,
            answer => answer,
        };
        let hello = hello.map_err(|error| fault::failed(&place, "connecting", &error))?;
        let build = ask(doc! { "buildInfo": 1 }).await.unwrap_or_default();
        let replicated =
            hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
        let ferret = build.keys().any(|key| key.starts_with("ferretdb"));
        let acknowledgment = acknowledgment(write_concern, replicated);
        let concern = bson::serialize_to_document(&acknowledgment).map_err(|error| url.refused(error.to_string()))?;
        Ok(Self {
            // A database for credentials is not one to be read.
            only: only.filter(|name| name != "admin"),
            limits: Limits::of(&hello, ferret),
            bypass: Arc::new(Bypass::of(&hello)),
            keeps_definitions: !ferret && (build.contains_key("storageEngines") || replicated),
            keeps_values: !ferret,
            read_concern: read_concern
                .and_then(|concern| bson::serialize_to_document(&concern).ok())
                .or_else(|| replicated.then(|| doc! { "level": "majority" })),
            write_concern: RawDocumentBuf::try_from(&concern).map_err(|error| url.refused(error.to_string()))?,
            acknowledgment,
            selection,
            client,
            place,
            members,
        })
    }

    /// Which deployment this is, without its password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The same connection, whatever database its address names.
    pub fn of_all_databases(self) -> Self {
        Self { only: None, ..self }
    }

    pub fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    /// What writes wait for.
    pub fn acknowledgment(&self) -> &WriteConcern {
        &self.acknowledgment
    }

    /// The same, as commands say it.
    pub fn write_concern(&self) -> &RawDocumentBuf {
        &self.write_concern
    }

    /// What reads are told of how settled their answers must be.
    pub fn read_concern(&self) -> Option<&Document> {
        self.read_concern.as_ref()
    }

    /// From which members reads may be answered.
    pub fn selection(&self) -> Option<SelectionCriteria> {
        self.selection.clone()
    }

    /// Runs a command, with the driver's own error.
    pub async fn run(&self, database: &str, command: Document) -> mongodb::error::Result<Document> {
        self.database(database).run_command(command).await
    }

    /// Runs a command for which a failure is a failure of what is being done.
    pub async fn command(&self, database: &str, command: Document, action: &str) -> Result<Document> {
        self.run(database, command).await.map_err(|error| self.failed(action, &error))
    }

    pub fn failed(&self, action: &str, error: &mongodb::error::Error) -> EndpointError {
        fault::failed(&self.place, action, error)
    }

    /// Whether it still answers, after a connection was cut.
    pub async fn answers(&self) -> bool {
        self.run("admin", doc! { "ping": 1 }).await.is_ok()
    }
}

impl Limits {
    fn of(hello: &Document, ferret: bool) -> Self {
        let number = |name: &str, least: usize, default: usize| {
            let found = hello.get(name).and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)));
            found.and_then(|found| usize::try_from(found).ok()).filter(|found| *found >= least).unwrap_or(default)
        };
        let documents = number("maxWriteBatchSize", 1, 1_000);
        Self {
            document: number("maxBsonObjectSize", 1 << 20, 16 << 20),
            documents,
            replacements: if ferret { FERRET_REPLACEMENTS } else { documents },
        }
    }
}

async fn options(url: &EndpointUrl) -> Result<ClientOptions> {
    if url.scheme() == "mongodb+srv" && !cfg!(feature = "srv") {
        return Err(url.refused("this build cannot look up mongodb+srv addresses; write mongodb:// with the hosts"));
    }
    let mut options = ClientOptions::parse(url.text()).await.map_err(|error| {
        // What the driver says may repeat a part of a password that was not encoded.
        let secret = url.text().contains('@');
        url.refused(if secret {
            "it is mongodb://USER:PASSWORD@HOST:PORT/?options, with %40 for @, %3A for :, %2F for /, %3F for ? and %25 for % in user and password".to_owned()
        } else {
            fault::said(&error).to_string()
        })
    })?;
    if options.write_concern.as_ref().is_some_and(|concern| concern.w == Some(Acknowledgment::Nodes(0))) {
        return Err(url.refused("option `w` is 0, and what is not acknowledged cannot be counted; leave it out"));
    }
    options.app_name.get_or_insert_with(|| "capstan".into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.max_pool_size.get_or_insert(CONNECTIONS);
    Ok(options)
}

/// What a write waits for: what the address says, else a majority's journal, or the journal of the only server.
fn acknowledgment(given: Option<WriteConcern>, replicated: bool) -> WriteConcern {
    let mut concern = given.unwrap_or_default();
    concern.w.get_or_insert(if replicated { Acknowledgment::Majority } else { Acknowledgment::Nodes(1) });
    concern.journal.get_or_insert(true);
    concern
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_endpoint::ErrorClass;

    fn url(text: &str) -> EndpointUrl {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_user_and_password_of_special_characters_arrive_as_they_are_meant() {
        let options =
            options(&url("mongodb://ann%40x:p%40s%3As%2F%25%3F%23@h1:1,h2/shop?authSource=admin")).await.unwrap();

        let credential = options.credential.unwrap();
        assert_eq!(credential.username.as_deref(), Some("ann@x"));
        assert_eq!(credential.password.as_deref(), Some("p@s:s/%?#"));
        assert_eq!((options.hosts.len(), options.default_database.as_deref()), (2, Some("shop")));
    }

    #[tokio::test]
    async fn no_error_and_no_debug_output_shows_a_password() {
        for text in [
            "mongodb://ann:hu/nter@2@host",
            "mongodb://ann:hunter%zz@host",
            "mongodb://ann:hunter%40@host:port",
            "mongodb://ann:hunter@127.0.0.1:1/?serverSelectionTimeoutMS=50",
            "mongodb://ann:hunter@127.0.0.1:1/?w=0",
        ] {
            let error = Server::connect(&url(text)).await.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("nter"), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_may_come_and_an_address_that_is_none_does_not() {
        let gone = Server::connect(&url("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")).await.unwrap_err();
        let wrong = Server::connect(&url("mongodb://host/?w=0")).await.unwrap_err();

        assert_eq!((gone.class(), wrong.class()), (ErrorClass::Transient, ErrorClass::Permanent));
    }

    #[test]
    fn writes_wait_for_a_majority_and_its_journal_unless_the_address_says_otherwise() {
        let said = |given, replicated| bson::serialize_to_document(&acknowledgment(given, replicated)).unwrap();
        assert_eq!(said(None, true), doc! { "w": "majority", "j": true });
        assert_eq!(said(None, false), doc! { "w": 1, "j": true });
        let given = WriteConcern::builder().w(Acknowledgment::Nodes(2)).journal(false).build();
        assert_eq!(said(Some(given), true), doc! { "w": 2, "j": false });
    }

    #[test]
    fn limits_that_a_server_does_not_state_are_the_smallest_there_are() {
        let stated = doc! { "maxBsonObjectSize": 20_000_000, "maxWriteBatchSize": 500_i64 };
        assert_eq!(Limits::of(&stated, false), Limits { document: 20_000_000, documents: 500, replacements: 500 });
        let least = Limits { document: 16 << 20, documents: 1_000, replacements: FERRET_REPLACEMENTS };
        assert_eq!(Limits::of(&doc! { "maxWriteBatchSize": 0 }, true), least);
    }
}
