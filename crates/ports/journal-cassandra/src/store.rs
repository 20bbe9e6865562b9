//! The connection: a driver of its own, and statements that say how many replicas they need.

use crate::address::{Address, Quorum};
use crate::fault;
use capstan_journal::JournalError;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A statement, what it is for, and how it is run.
pub(crate) struct Query {
    /// Completes "failed to …".
    pub operation: &'static str,
    pub text: &'static str,
    pub mode: Mode,
}

/// How many replicas a statement needs, and what it says of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads what a quorum has.
    Read,
    /// Reads after finishing what was begun in the partition: what it does not see can no longer come to stand.
    Serial,
    /// Writes to a quorum. Writing it twice is the same as once.
    Write,
    /// Compares and writes in one step.
    Conditional,
}

/// How often a connection that says nothing is asked whether it lives.
///
/// Also the only way in which the driver finds out that a new connection to a frozen node gets no answer: the kernel
/// still accepts it.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// How long connecting may take. A frozen node may be asked first, and is waited for once more when all that were
/// found are connected to: the others are there only after that.
fn connecting_max(timeout: Duration) -> Duration {
    (KEEPALIVE + timeout) * 2 + timeout
}

/// One server's connections to the database, and the runtime that drives them.
///
/// Calls block. They must not be made from a task of another runtime.
pub(crate) struct Store {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    session: Session,
    quorum: Quorum,
    /// The address as it may be shown.
    pub place: String,
    /// Which journal of the keyspace.
    pub log: String,
    prepared: Mutex<HashMap<&'static str, PreparedStatement>>,
}

impl Store {
    /// Connects, without looking at what is there.
    pub fn connect(address: &Address, timeout: Duration) -> Result<Self, JournalError> {
        let place = address.place();
        let failed = |source| JournalError::Store { operation: "start a runtime", place: place.clone(), source };
        let mut runtime = Builder::new_multi_thread();
        let runtime =
            runtime.worker_threads(1).thread_name("journal-cassandra").enable_all().build().map_err(failed)?;
        let mut policy = DefaultPolicy::builder().token_aware(true);
        if let Some(dc) = &address.local_dc {
            policy = policy.prefer_datacenter(dc.clone()).permit_dc_failover(address.quorum == Quorum::All);
        }
        let profile = ExecutionProfile::builder()
            .request_timeout(Some(timeout))
            .consistency(address.quorum.consistency())
            .serial_consistency(Some(address.quorum.serial()))
            .load_balancing_policy(policy.build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&address.hosts)
            .connection_timeout(timeout)
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(timeout)
            .schema_agreement_timeout(Duration::from_secs(30))
            .keyspaces_to_fetch([&address.keyspace])
            .tcp_nodelay(true)
            .default_execution_profile_handle(profile.into_handle());
        if let Some((user, secret)) = &address.user {
            builder = builder.user(user, secret);
        }
        if let Some(authorities) = &address.authorities {
            builder = crate::tls::encrypted(builder, authorities).map_err(|what| fault::unfit(&place, what))?;
        }
        let session = runtime.block_on(async { tokio::time::timeout(connecting_max(timeout), builder.build()).await });
        let session = match session {
            Ok(built) => built.map_err(|error| fault::not_connected(&error, &place))?,
            Err(_) => {
                let text = format!("no connection within {} ms", connecting_max(timeout).as_millis());
                return Err(fault::away(&place, std::io::ErrorKind::TimedOut, text));
            }
        };
        let (quorum, log) = (address.quorum, address.log.clone());
        Ok(Self { runtime: Some(runtime), session, quorum, place, log, prepared: Mutex::default() })
    }

    /// Blocks until `work` is done.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.as_ref().expect("it is there until it is dropped").block_on(work)
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs a statement whose result, if it has one, fits into one answer.
    pub async fn run(&self, query: &Query, values: impl SerializeRow) -> Result<QueryResult, JournalError> {
        let prepared = self.prepare(query).await?;
        let result = self.session.execute_unpaged(&prepared, values).await;
        result.map_err(|error| fault::not_executed(error, query.operation, &self.place))
    }

    /// Runs a statement once for each of `rows`, which are in one partition, as one request.
    pub async fn run_all<R: SerializeRow>(&self, query: &Query, rows: Vec<R>) -> Result<(), JournalError> {
        let prepared = self.prepare(query).await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        rows.iter().for_each(|_| batch.append_statement(prepared.clone()));
        batch.set_consistency(self.quorum.consistency());
        batch.set_is_idempotent(query.mode != Mode::Conditional);
        let result = self.session.batch(&batch, rows).await;
        result.map(drop).map_err(|error| fault::not_executed(error, query.operation, &self.place))
    }

    /// Reads every row.
    pub async fn rows<R>(&self, query: &Query, values: impl SerializeRow) -> Result<Vec<R>, JournalError>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let result = self.run(query, values).await?;
        self.taken(query, result)
    }

    /// Reads a row, if there is one.
    pub async fn row<R>(&self, query: &Query, values: impl SerializeRow) -> Result<Option<R>, JournalError>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        Ok(self.rows(query, values).await?.into_iter().next())
    }

    /// Reads one page of rows, and where the next begins.
    pub async fn page<R>(
        &self,
        query: &Query,
        values: impl SerializeRow,
        rows_max: i32,
        from: PagingState,
    ) -> Result<(Vec<R>, PagingStateResponse), JournalError>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let mut prepared = self.prepare(query).await?;
        prepared.set_page_size(rows_max);
        let page = self.session.execute_single_page(&prepared, values, from).await;
        let (result, next) = page.map_err(|error| fault::not_executed(error, query.operation, &self.place))?;
        Ok((self.taken(query, result)?, next))
    }

    /// Reads every row, page by page.
    pub async fn all<R>(
        &self,
        query: &Query,
        values: impl SerializeRow + Clone,
        rows_max: i32,
    ) -> Result<Vec<R>, JournalError>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let (mut all, mut from) = (Vec::new(), PagingState::start());
        loop {
            let (mut rows, next) = self.page(query, values.clone(), rows_max, from).await?;
            all.append(&mut rows);
            match next {
                PagingStateResponse::HasMorePages { state } => from = state,
                PagingStateResponse::NoMorePages => return Ok(all),
            }
        }
    }

    /// Runs a conditional statement; answers whether its conditions held.
    pub async fn applied(&self, query: &Query, values: impl SerializeRow) -> Result<bool, JournalError> {
        let result = self.run(query, values).await?;
        // Only the first column is the same in all answers; what follows depends on what stood.
        let rows: Vec<Row> = self.taken(query, result)?;
        match rows.first().and_then(|row| row.columns.first()) {
            Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
            _ => Err(self.unexpected(query, "the answer does not say whether it was applied")),
        }
    }

    fn taken<R>(&self, query: &Query, result: QueryResult) -> Result<Vec<R>, JournalError>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let rows: QueryRowsResult = result.into_rows_result().map_err(|error| self.unexpected(query, error))?;
        let typed = rows.rows::<R>().map_err(|error| self.unexpected(query, error))?;
        typed.collect::<Result<_, _>>().map_err(|error| self.unexpected(query, error))
    }

    fn unexpected(&self, query: &Query, what: impl ToString) -> JournalError {
        fault::store(&self.place, query.operation, what.to_string())
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedStatement, JournalError> {
        let known = |prepared: &Mutex<HashMap<_, PreparedStatement>>| {
            prepared.lock().unwrap_or_else(PoisonError::into_inner).get(query.text).cloned()
        };
        if let Some(prepared) = known(&self.prepared) {
            return Ok(prepared);
        }
        let prepared = self.session.prepare(query.text).await;
        let mut prepared = prepared.map_err(|error| fault::not_prepared(error, query.operation, &self.place))?;
        let (quorum, serial) = (self.quorum.consistency(), self.quorum.serial());
        match query.mode {
            Mode::Serial => prepared.set_consistency(self.quorum.serially()),
            Mode::Read | Mode::Write | Mode::Conditional => prepared.set_consistency(quorum),
        }
        prepared.set_serial_consistency(Some(serial));
        // A conditional statement that is sent twice can find its own work and say no: the caller looks what stands.
        prepared.set_is_idempotent(query.mode != Mode::Conditional);
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(query.text, prepared.clone());
        Ok(prepared)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where blocking is not allowed.
            runtime.shutdown_background();
        }
    }
}
