//! Requests to the engine: bounded in number and time, repeated where they may pass, counted.
//!
//! Every request may be sent twice: a write carries its own timestamp, and a read changes nothing.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::RngExt as _;
use ringside_ports::EngineError;
use scylla::client::session::Session;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::bound::BoundStatement;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row as CqlRow};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::config::Config;
use crate::counters::Counters;
use crate::error::{damaged, is_passing, of_request, unavailable};
use crate::rows::{Columns, Stored, Values};
use crate::statements::Statement;

/// The share of the requests in flight that one call takes at the most.
const CALL_SHARE: usize = 4;
/// How long to wait before the first retry, on the average; before each further one twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(20);
/// Requests that pay for one retry, so that retries don't add to an overload by more than a tenth.
const REQUESTS_PER_RETRY: i64 = 10;
/// Retries that may be saved up.
const RETRIES_SAVED_MAX: i64 = 100;

/// A call of the port: all its requests end by one moment, and only so many of them are in flight.
#[derive(Debug)]
pub(crate) struct Call {
    until: Instant,
    share: Semaphore,
}

/// A statement with its values that reads rows.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) statement: Statement,
    pub(crate) values: Values,
}

/// A statement with its values, the timestamp among them, that writes or deletes a row.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) statement: Statement,
    pub(crate) values: Vec<CqlValue>,
}

/// The engine, as the store asks it.
pub(crate) struct Requests {
    session: Session,
    /// By [`Statement`]'s number.
    prepared: Vec<PreparedStatement>,
    turns: Semaphore,
    budget: AtomicI64,
    pub(crate) counters: Counters,
    config: Config,
}

/// What is sent.
enum Request {
    Read(BoundStatement, PagingState),
    Write(BoundStatement),
    Batch(Batch, Vec<Vec<CqlValue>>),
}

impl Requests {
    pub(crate) fn new(session: Session, prepared: Vec<PreparedStatement>, config: Config) -> Self {
        let turns = Semaphore::new(config.in_flight_max.min(Semaphore::MAX_PERMITS));
        let budget = AtomicI64::new(RETRIES_SAVED_MAX * REQUESTS_PER_RETRY);
        Self { session, prepared, turns, budget, counters: Counters::default(), config }
    }

    /// Begins a call of the port.
    pub(crate) fn call(&self) -> Call {
        Call { until: Instant::now() + self.config.deadline, share: Semaphore::new(self.at_once()) }
    }

    /// Bytes of values in one batch at the most.
    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.config.batch_bytes_max
    }

    /// Asks all, several at once; the answers are in the order of the questions.
    pub(crate) async fn rows<R: Stored>(
        &self,
        call: &Call,
        questions: Vec<Question>,
    ) -> Result<Vec<Vec<R>>, EngineError> {
        let asked: Vec<_> = questions.into_iter().map(|question| self.answer::<R>(call, question)).collect();
        stream::iter(asked).buffered(self.at_once()).try_collect().await
    }

    /// Sends all, several at once. Each group is of one partition.
    pub(crate) async fn write(&self, call: &Call, groups: Vec<Vec<Write>>) -> Result<(), EngineError> {
        let sent: Vec<_> = groups.into_iter().map(|group| self.group(call, group)).collect();
        stream::iter(sent).buffer_unordered(self.at_once()).try_collect().await
    }

    fn at_once(&self) -> usize {
        (self.config.in_flight_max / CALL_SHARE).clamp(1, Semaphore::MAX_PERMITS)
    }

    fn bind(&self, statement: Statement, values: &Vec<CqlValue>) -> Result<BoundStatement, EngineError> {
        let bound = self.prepared[statement as usize].clone().bind(values);
        bound.map_err(|error| damaged(format!("table `{}`: {error}", statement.table().name)))
    }

    /// All rows of an answer, page by page.
    async fn answer<R: Stored>(&self, call: &Call, question: Question) -> Result<Vec<R>, EngineError> {
        let Question { statement, values } = question;
        if values.overflowed {
            let cause = format!("table `{}` was asked for a number above 63 bits", statement.table().name);
            return Err(damaged(cause));
        }
        let bound = self.bind(statement, &values.columns)?;
        let (mut rows, mut page) = (Vec::new(), PagingState::start());
        loop {
            let (result, next) = self.confirmed(call, Request::Read(bound.clone(), page)).await?;
            self.take_in(statement, result, &mut rows)?;
            // A page may be empty and not be the last: what is deleted takes its place.
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(rows),
                ControlFlow::Continue(state) => page = state,
            }
        }
    }

    fn take_in<R: Stored>(
        &self,
        statement: Statement,
        result: QueryResult,
        rows: &mut Vec<R>,
    ) -> Result<(), EngineError> {
        let table = statement.table();
        let unknown = |error: &dyn std::fmt::Display| damaged(format!("table `{}`: {error}", table.name));
        let result = result.into_rows_result().map_err(|error| unknown(&error))?;
        Counters::add(&self.counters.rows_read, result.rows_num());
        Counters::add(&self.counters.bytes_read, result.rows_bytes_size());
        for row in result.rows::<CqlRow>().map_err(|error| unknown(&error))? {
            let columns = row.map_err(|error| unknown(&error))?.columns;
            let key: Vec<_> = columns.iter().take(table.key_columns()).cloned().collect();
            match R::read(&mut Columns::new(columns)) {
                Some(row) => rows.push(row),
                None => {
                    let key = key.iter().zip(table.columns);
                    let key: Vec<_> =
                        key.map(|(value, column)| in_words(column.name, value.as_ref())).collect();
                    let cause = format!("table `{}`, the row with {}", table.name, key.join(", "));
                    return Err(damaged(cause));
                }
            }
        }
        Ok(())
    }

    async fn group(&self, call: &Call, mut group: Vec<Write>) -> Result<(), EngineError> {
        let rows = group.len();
        let bytes = group.iter().map(|write| bytes_of(&write.values)).sum();
        let request = match (group.len(), group.pop()) {
            (_, None) => return Ok(()),
            (1, Some(Write { statement, values })) => Request::Write(self.bind(statement, &values)?),
            (_, Some(last)) => {
                group.push(last);
                Counters::add(&self.counters.batches, 1);
                self.batch(group)
            }
        };
        self.confirmed(call, request).await?;
        Counters::add(&self.counters.rows_written, rows);
        Counters::add(&self.counters.bytes_written, bytes);
        Ok(())
    }

    fn batch(&self, group: Vec<Write>) -> Request {
        // Of one partition it is one write of the replica: a log would add nothing.
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        let mut values = Vec::with_capacity(group.len());
        for write in group {
            batch.append_statement(self.prepared[write.statement as usize].clone());
            values.push(write.values);
        }
        Request::Batch(batch, values)
    }

    /// Sends a request until it is confirmed, or can't be any more.
    async fn confirmed(
        &self,
        call: &Call,
        request: Request,
    ) -> Result<(QueryResult, PagingStateResponse), EngineError> {
        let mut delay = RETRY_DELAY;
        for retries_left in (0..=self.config.retries_max).rev() {
            let failure = match self.attempt(call, &request).await? {
                Ok(answer) => {
                    self.save_up();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let wait = about(delay);
            let has_time = Instant::now() + wait < call.until;
            if retries_left == 0 || !has_time || !is_passing(&failure) || !self.spend() {
                Counters::add(&self.counters.failures, 1);
                return Err(of_request(&failure));
            }
            tracing::debug!(%failure, "a request to cassandra is repeated");
            Counters::add(&self.counters.retries, 1);
            tokio::time::sleep(wait).await;
            delay *= 2;
        }
        // The last round returns.
        Err(unavailable("no attempt was made".into()))
    }

    /// One attempt. The outer error ends the call.
    async fn attempt(
        &self,
        call: &Call,
        request: &Request,
    ) -> Result<Result<(QueryResult, PagingStateResponse), ExecutionError>, EngineError> {
        let _share = call.share.acquire().await.map_err(|_| unavailable("the call is over".into()))?;
        let _turn = self.turn(call).await?;
        Counters::add(&self.counters.requests, 1);
        match tokio::time::timeout_at(call.until, self.send(request)).await {
            Ok(answer) => Ok(answer),
            Err(_) => {
                Counters::add(&self.counters.failures, 1);
                Err(unavailable(format!("no answer within {:?}", self.config.deadline)))
            }
        }
    }

    async fn turn(&self, call: &Call) -> Result<SemaphorePermit<'_>, EngineError> {
        let until = call.until.min(Instant::now() + self.config.turn_wait);
        match tokio::time::timeout_at(until, self.turns.acquire()).await {
            Ok(turn) => turn.map_err(|_| unavailable("the store is closed".into())),
            Err(_) => {
                Counters::add(&self.counters.refusals, 1);
                Err(unavailable(format!("{} requests are in flight already", self.config.in_flight_max)))
            }
        }
    }

    async fn send(&self, request: &Request) -> Result<(QueryResult, PagingStateResponse), ExecutionError> {
        let whole = |result| (result, PagingStateResponse::NoMorePages);
        match request {
            Request::Read(bound, page) => self.session.execute_bound_single_page(bound, page.clone()).await,
            Request::Write(bound) => self.session.execute_bound_unpaged(bound).await.map(whole),
            Request::Batch(batch, values) => self.session.batch(batch, values).await.map(whole),
        }
    }

    fn save_up(&self) {
        if self.budget.load(Ordering::Relaxed) < RETRIES_SAVED_MAX * REQUESTS_PER_RETRY {
            self.budget.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there is a retry left.
    fn spend(&self) -> bool {
        let spent = |budget: i64| budget.checked_sub(REQUESTS_PER_RETRY).filter(|left| *left >= 0);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

/// A time around this one, so that many who wait don't come back at once.
pub(crate) fn about(delay: Duration) -> Duration {
    delay.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn in_words(name: &str, value: Option<&CqlValue>) -> String {
    let value = value.map_or("null".into(), |value| match value {
        CqlValue::Uuid(id) => id.to_string(),
        CqlValue::Text(text) => format!("{text:?}"),
        CqlValue::BigInt(number) => number.to_string(),
        CqlValue::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    });
    format!("{name} {value}")
}

/// Bytes of values as they are sent, without what frames them.
pub(crate) fn bytes_of(values: &[CqlValue]) -> usize {
    let bytes = |value: &CqlValue| match value {
        CqlValue::Uuid(_) => 16,
        CqlValue::BigInt(_) => 8,
        CqlValue::Int(_) => 4,
        CqlValue::Boolean(_) => 1,
        CqlValue::Text(text) => text.len(),
        CqlValue::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    values.iter().map(bytes).sum()
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("keyspace", &self.config.keyspace).finish_non_exhaustive()
    }
}
