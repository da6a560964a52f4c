//! What the processes on one PostgreSQL tell each other (`LISTEN` and `NOTIFY`). Only hints: one that gets lost must do
//! no harm.

use std::sync::Arc;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{DbErr, RuntimeErr};

use super::Db;
use super::line::{ACQUIRE, CONNECT, Generation, Line};
use waymark_kernel::error::{Code, Error, Result};

/// The longest text of a notice, in bytes. PostgreSQL takes a little less than 8,000.
pub const LONGEST: usize = 7_900;

/// What others tell on one channel, over a connection of its own beside the pools.
#[derive(Debug)]
pub struct Notices {
    listener: PgListener,
    line: Arc<Line>,
    generation: Arc<Generation>,
}

impl Db {
    /// Begins to listen on `channel`; `None` on an engine whose processes cannot tell each other anything.
    pub async fn listen(&self, channel: &str) -> Result<Option<Notices>> {
        let Some(options) = self.line.options() else { return Ok(None) };
        let generation = self.line.current()?;
        let alone =
            PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(CONNECT);
        let listen = async {
            let pool = alone.connect_with(options.clone()).await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.listen(channel).await?;
            Ok(listener)
        };
        let listen = async { listen.await.map_err(lost) };
        let listener = self.line.within(&generation, CONNECT + self.line.answer(), listen).await?;
        Ok(Some(Notices { listener, line: Arc::clone(&self.line), generation }))
    }

    /// Tells all who listen on `channel`, this process included. Does nothing on an engine without channels.
    pub async fn notify(&self, channel: &str, text: &str) -> Result<()> {
        if self.line.options().is_none() {
            return Ok(());
        }
        let generation = self.line.current()?;
        let query = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text);
        let notify = async { query.execute(generation.writes.get_postgres_connection_pool()).await.map_err(lost) };
        self.line.within(&generation, ACQUIRE + self.line.answer(), notify).await?;
        Ok(())
    }
}

impl Notices {
    /// The next notice; `None` when the connection was lost and made anew, and notices may have been missed.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when nothing will come any more.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let silent = || Error::new(Code::Unavailable, "the database cannot be reached at the moment");
        tokio::select! {
            notice = self.listener.try_recv() => {
                Ok(notice.map_err(lost)?.map(|notice| notice.payload().to_owned()))
            }
            () = self.line.ended(&self.generation) => Err(silent()),
        }
    }
}

fn lost(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}
