//! Connections for a purpose, within the deadlines of their line. Where a pooler is between, each statement is a
//! transaction, because what a session was told is gone with the next one.

use std::sync::Arc;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::line::{Generation, Line};
use super::transaction::Brief;

/// What connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Statements that change nothing.
    Reads,
    /// The others.
    Writes,
}

/// Connections for statements outside transactions.
#[derive(Debug, Clone)]
pub struct Lane {
    line: Arc<Line>,
    purpose: Purpose,
    backend: DbBackend,
}

impl Lane {
    pub(super) const fn new(line: Arc<Line>, purpose: Purpose, backend: DbBackend) -> Self {
        Self { line, purpose, backend }
    }

    /// The line, and the connections to be used now.
    pub(super) fn now(&self) -> Result<(&Arc<Line>, Arc<Generation>), DbErr> {
        Ok((&self.line, self.line.current()?))
    }

    /// What its connections are for.
    pub(super) const fn purpose(&self) -> Purpose {
        self.purpose
    }
}

#[async_trait]
impl ConnectionTrait for Lane {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        if self.line.in_transaction().is_some() {
            return Brief::begin(self).await?.execute(statement).await;
        }
        let generation = self.line.current()?;
        let work = generation.pool(self.purpose).execute_raw(statement);
        self.line.within(&generation, self.line.answer_after_waiting(), work).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        if self.line.in_transaction().is_some() {
            return Brief::begin(self).await?.execute_unprepared(sql).await;
        }
        let generation = self.line.current()?;
        let work = generation.pool(self.purpose).execute_unprepared(sql);
        self.line.within(&generation, self.line.answer_after_waiting(), work).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.line.in_transaction().is_some() {
            return Ok(Brief::begin(self).await?.query(statement).await?.into_iter().next());
        }
        let generation = self.line.current()?;
        let work = generation.pool(self.purpose).query_one_raw(statement);
        self.line.within(&generation, self.line.answer_after_waiting(), work).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.line.in_transaction().is_some() {
            return Brief::begin(self).await?.query(statement).await;
        }
        let generation = self.line.current()?;
        let work = generation.pool(self.purpose).query_all_raw(statement);
        self.line.within(&generation, self.line.answer_after_waiting(), work).await
    }
}
