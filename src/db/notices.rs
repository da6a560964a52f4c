//! What the processes on one PostgreSQL tell each other (`LISTEN` and `NOTIFY`). Only hints: one that gets lost must do
//! no harm.

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};

use super::{Db, Kind};
use crate::error::{Code, Error, Result};

/// The longest text of a notice, in bytes. PostgreSQL takes a little less than 8,000.
pub(crate) const LONGEST: usize = 7_900;

/// What others tell on one channel, over a connection of its own beside the pool.
#[derive(Debug)]
pub(crate) struct Notices(PgListener);

impl Db {
    /// Begins to listen on `channel`; `None` on an engine whose processes cannot tell each other anything.
    pub(crate) async fn listen(&self, channel: &str) -> Result<Option<Notices>> {
        if self.kind == Kind::Sqlite {
            return Ok(None);
        }
        let options = self.writes.get_postgres_connection_pool().connect_options();
        let alone = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = alone.connect_with((*options).clone()).await.map_err(unreachable)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(unreachable)?;
        listener.ignore_pool_close_event(true);
        listener.listen(channel).await.map_err(unreachable)?;
        Ok(Some(Notices(listener)))
    }

    /// Tells all who listen on `channel`, this process included. Does nothing on an engine without channels.
    pub(crate) async fn notify(&self, channel: &str, text: &str) -> Result<()> {
        if self.kind == Kind::Sqlite {
            return Ok(());
        }
        let pool = self.writes.get_postgres_connection_pool();
        let query = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text);
        query.execute(pool).await.map_err(unreachable)?;
        Ok(())
    }
}

impl Notices {
    /// The next notice; `None` when the connection was lost and made anew, and notices may have been missed.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        let notice = self.0.try_recv().await.map_err(unreachable)?;
        Ok(notice.map(|notice| notice.payload().to_owned()))
    }
}

fn unreachable(error: sqlx::Error) -> Error {
    Error::caused(Code::Unavailable, "the database cannot be reached at the moment", error)
}
