//! What the processes on one PostgreSQL tell each other (`LISTEN` and `NOTIFY`). Only hints: one that gets lost must do
//! no harm.

use std::sync::Arc;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, RuntimeErr, Statement};

use super::Db;
use super::line::{CONNECT, Generation, Line};
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
    /// Begins to listen on `channel`; `None` where nothing can be heard: on an engine whose processes cannot tell each
    /// other anything, on a standby, and where there is no way past a pooler.
    pub async fn listen(&self, channel: &str) -> Result<Option<Notices>> {
        let generation = self.line.current()?;
        let Some((options, false)) = self.line.direct(&generation).await? else { return Ok(None) };
        let alone =
            PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(CONNECT);
        let listen = async {
            let pool = alone.connect_with(options).await?;
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
        if !self.line.is_remote() {
            return Ok(());
        }
        let notify = "SELECT pg_notify($1, $2)";
        let notify = Statement::from_sql_and_values(DbBackend::Postgres, notify, [channel.into(), text.into()]);
        self.writes.query_all_raw(notify).await?;
        Ok(())
    }
}

impl Notices {
    /// The next notice.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when nothing will come any more: listen anew, maybe to another server.
    pub async fn next(&mut self) -> Result<String> {
        let silent = || Error::new(Code::Unavailable, "the database cannot be reached at the moment");
        tokio::select! {
            notice = self.listener.try_recv() => {
                Ok(notice.map_err(lost)?.ok_or_else(silent)?.payload().to_owned())
            }
            () = self.line.ended(&self.generation) => Err(silent()),
        }
    }
}

fn lost(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}
