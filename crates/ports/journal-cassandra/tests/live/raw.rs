//! The database itself, beside the journal: what a delayed request, a torn server or a broken disk would do to it.

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::value::{CqlValue, Row};
use tokio::runtime::Runtime;

pub struct Raw {
    runtime: Runtime,
    session: Session,
}

impl Raw {
    /// Connects to the host of a `cassandra://` address.
    pub fn connect(url: &str, keyspace: Option<&str>) -> Self {
        let runtime = Runtime::new().unwrap();
        let host = url.strip_prefix("cassandra://").unwrap();
        let session = runtime.block_on(async {
            let session = SessionBuilder::new().known_node(host).build().await.unwrap();
            if let Some(keyspace) = keyspace {
                session.use_keyspace(keyspace, false).await.unwrap();
            }
            session
        });
        Self { runtime, session }
    }

    pub fn run(&self, text: &str, values: impl SerializeRow) {
        self.runtime.block_on(self.session.query_unpaged(text, values)).unwrap();
    }

    pub fn rows<R: for<'f> DeserializeRow<'f, 'f>>(&self, text: &str, values: impl SerializeRow) -> Vec<R> {
        let result = self.runtime.block_on(self.session.query_unpaged(text, values)).unwrap();
        result.into_rows_result().unwrap().rows::<R>().unwrap().map(Result::unwrap).collect()
    }

    /// Whether a conditional statement was applied.
    pub fn applied(&self, text: &str, values: impl SerializeRow) -> bool {
        self.rows::<Row>(text, values)[0].columns[0] == Some(CqlValue::Boolean(true))
    }
}
