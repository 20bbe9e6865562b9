//! A connection that comes back: made when it is needed, given up when it breaks or is late, bounded in time.
//!
//! The driver is asynchronous and the port is not. Each line has a runtime of its own on the thread that calls, so an
//! answer wakes nobody else, and a database that has stopped answering (a stopped process still acknowledges TCP) is
//! given up by our clock and not by the kernel's.

use crate::address::Address;
use crate::fault::Fault;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// What may take longer than a call with few bytes: as much again for each so many.
const BYTES_PER_TIMEOUT: usize = 8 << 20;

/// The event queue is looked at, then the connection is.
const LISTENED: usize = 2;

/// Where lines lead, and what is seen to when one is opened.
pub(crate) struct Server {
    pub address: Address,
    pub place: String,
    pub timeout: Duration,
    /// Nobody loses an acknowledged change of this line, whatever the database's default.
    pub always_durable: bool,
    #[cfg(feature = "tls")]
    tls: crate::tls::Tls,
}

impl Server {
    pub fn new(address: Address, timeout: Duration, always_durable: bool) -> Result<Self, String> {
        #[cfg(feature = "tls")]
        let tls = crate::tls::Tls::new(&address.trust)?;
        #[cfg(not(feature = "tls"))]
        let crate::address::Trust::Anybody = &address.trust else {
            return Err("this program was built without TLS".to_owned());
        };
        Ok(Self {
            place: address.place(),
            address,
            timeout,
            always_durable,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Connects, and makes the session's settings independent of the role's and the database's defaults.
    async fn connect(&self) -> Result<Client, Fault> {
        let mut config = self.address.config.clone();
        config.connect_timeout(self.timeout).tcp_user_timeout(self.timeout);
        #[cfg(feature = "tls")]
        let (client, connection) = config.connect(self.tls.clone()).await.map_err(Fault::of)?;
        #[cfg(not(feature = "tls"))]
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(Fault::of)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the journal's database has ended");
            }
        });
        client.batch_execute(&self.settings()).await.map_err(Fault::of)?;
        Ok(client)
    }

    fn settings(&self) -> String {
        let millis = self.timeout.as_millis();
        let durable = "SELECT set_config('synchronous_commit', 'local', false) \
            WHERE current_setting('synchronous_commit') = 'off';";
        format!(
            "SET search_path = {schema}; SET statement_timeout = {millis}; \
             SET idle_in_transaction_session_timeout = {millis}; SET default_transaction_isolation = 'read committed'; \
             SET client_min_messages = warning; SET jit = off; {durable}",
            schema = self.address.schema,
            durable = if self.always_durable { durable } else { "" },
        )
    }
}

/// One connection of ours.
pub(crate) struct Line {
    pub server: Arc<Server>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    open: Option<Open>,
    timeout: Duration,
}

struct Open {
    client: Client,
    prepared: HashMap<&'static str, Statement>,
}

/// The values of a statement's `$1`, `$2` …
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Line {
    /// A line that is not connected yet. Fails where the system gives it no event queue.
    pub fn new(server: Arc<Server>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { timeout: server.timeout, server, runtime: Some(runtime), open: None })
    }

    /// From now on calls take at most so long; answers how long it was before.
    pub fn bound(&mut self, timeout: Duration) -> Duration {
        std::mem::replace(&mut self.timeout, timeout)
    }

    /// The rows of a statement, which is prepared when it is first asked.
    pub fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        self.query_of(0, sql, values)
    }

    /// Like [`Line::query`], where the rows have about so many bytes.
    pub fn query_of(&mut self, bytes: usize, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        self.run(bytes, sql, async |client, statement| client.query(&statement, values).await)
    }

    /// How many rows a statement with so many bytes of values changed.
    pub fn execute(&mut self, bytes: usize, sql: &'static str, values: Values<'_>) -> Result<u64, Fault> {
        self.run(bytes, sql, async |client, statement| client.execute(&statement, values).await)
    }

    /// Runs a prepared statement that moves so many bytes, in the time that takes.
    fn run<T: Send>(
        &mut self,
        bytes: usize,
        sql: &'static str,
        act: impl AsyncFnOnce(&Client, Statement) -> Result<T, tokio_postgres::Error> + Send,
    ) -> Result<T, Fault> {
        let (usual, within) = (self.server.timeout, self.within(bytes));
        self.call(within, async |open| {
            let statement = open.prepared(sql).await?;
            if bytes < BYTES_PER_TIMEOUT {
                return act(&open.client, statement).await;
            }
            // The database, too, must give it the longer time.
            open.client.batch_execute(&allow(within)).await?;
            let result = act(&open.client, statement).await;
            open.client.batch_execute(&allow(usual)).await?;
            result
        })
    }

    /// Some statements without values; of those in a transaction all or none.
    pub fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.call(self.timeout, async |open| open.client.batch_execute(sql).await)
    }

    fn within(&self, bytes: usize) -> Duration {
        self.timeout * u32::try_from(1 + bytes / BYTES_PER_TIMEOUT).expect("what is sent is far below 2^32 times that")
    }

    fn call<T: Send>(
        &mut self,
        within: Duration,
        act: impl AsyncFnOnce(&mut Open) -> Result<T, tokio_postgres::Error> + Send,
    ) -> Result<T, Fault> {
        let (server, open) = (&self.server, &mut self.open);
        let runtime = self.runtime.as_ref().expect("it is there until the line is dropped");
        let called = async || {
            // Nobody listened between two calls: what the database said meanwhile, or that it hung up, is heard now.
            for _ in 0..LISTENED {
                tokio::task::yield_now().await;
            }
            if open.as_ref().is_none_or(|open| open.client.is_closed()) {
                *open = None;
                *open = Some(Open { client: server.connect().await?, prepared: HashMap::new() });
            }
            act(open.as_mut().expect("it was connected just now")).await.map_err(Fault::of)
        };
        let call = || {
            runtime.block_on(async { tokio::time::timeout(within, called()).await.unwrap_or(Err(Fault::Late(within))) })
        };
        let result = if Handle::try_current().is_ok() {
            // A thread that drives a runtime cannot drive a second one, even where it may block.
            thread::scope(|scope| scope.spawn(call).join()).expect("the driver does not panic")
        } else {
            call()
        };
        // A statement may still be running there: its answer must not be taken for a later one's.
        if result.as_ref().is_err_and(Fault::ends_connection) {
            self.open = None;
        }
        result
    }
}

fn allow(time: Duration) -> String {
    format!("SET statement_timeout = {}", time.as_millis())
}

impl Open {
    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Waits for nothing, so that it may also be dropped where nobody may wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
