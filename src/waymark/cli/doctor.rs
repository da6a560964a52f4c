//! `waymark doctor`.

use std::path::Path;

use super::{check_clock, check_schema, database_url, load, open_whatever_to_read, print, serve};
use waymark_db::file;
use waymark_db::{Db, Kind};
use waymark_kernel::clock::{Clock, Ids, Watch};
use waymark_kernel::config::{Config, without_secrets};
use waymark_kernel::error::{Code, Error, Result};
use waymark_write as write;

/// Looks at everything that a server needs, and prints a line for each.
pub(super) async fn doctor(file: Option<&Path>) -> Result<()> {
    let mut lines = Lines { wrong: 0 };
    let config = load(file);
    lines.tell("settings", config.clone().and_then(|config| settings(&config)))?;
    if let Ok(config) = &config {
        let opened = open(config).await;
        lines.tell("connection", opened.as_ref().map(|(_, place)| place.clone()).map_err(Clone::clone))?;
        if let Ok((db, _)) = opened {
            look_into(&db, config, &mut lines).await?;
            db.close().await?;
        }
    }
    match lines.wrong {
        0 => Ok(()),
        1 => Err(Error::new(Code::BadUserInput, "1 thing is wrong")),
        wrong => Err(Error::new(Code::BadUserInput, format!("{wrong} things are wrong"))),
    }
}

async fn look_into(db: &Db, config: &Config, lines: &mut Lines) -> Result<()> {
    let schema = check_schema(db).await;
    lines.tell("migrations", schema.clone().map(|()| "all are applied".to_owned()))?;
    let rights = rights(db).await;
    lines.tell("rights", rights.clone())?;
    lines.tell("clock", clock(db).await)?;
    if schema.is_ok() && rights.is_ok() {
        lines.tell("disk", disk(db, config).await)?;
    }
    Ok(())
}

/// What is printed.
struct Lines {
    wrong: u32,
}

impl Lines {
    fn tell(&mut self, what: &str, found: Result<String>) -> Result<()> {
        self.wrong += u32::from(found.is_err());
        match found {
            Ok(text) => print(&format!("ok     {what}: {text}")),
            Err(error) => print(&format!("wrong  {what}: {}", error.chain())),
        }
    }
}

fn settings(config: &Config) -> Result<String> {
    check_clock(config)?;
    serve::check_authentication(config)?;
    Ok(format!("waymark serve would listen on {}", config.listen))
}

async fn open(config: &Config) -> Result<(Db, String)> {
    let db = open_whatever_to_read(config).await?;
    let url = database_url(config)?;
    let place = match db.kind() {
        Kind::Sqlite => format!("SQLite, {}", file::path(url)?.display()),
        Kind::Postgres => format!("PostgreSQL, {}", without_secrets(url)),
    };
    Ok((db, place))
}

async fn rights(db: &Db) -> Result<String> {
    let missing = db.missing_rights().await?;
    if missing.is_empty() {
        return Ok("what a server needs".to_owned());
    }
    Err(Error::forbidden(format!("this is not allowed and needed: {}", missing.join(", "))))
}

async fn clock(db: &Db) -> Result<String> {
    let watch = Watch::new(Clock::default());
    db.set(&watch).await?;
    match watch.apart_millis() {
        Some(millis) => Err(Error::new(
            Code::Unavailable,
            format!(
                "that of this machine is {} s {} the database's",
                millis.unsigned_abs() / 1000,
                if millis < 0 { "behind" } else { "ahead of" }
            ),
        )),
        None if db.kind() == Kind::Postgres => Ok("that of this machine agrees with the database's".to_owned()),
        None => Ok(format!("that of this machine counts: {}", watch.now())),
    }
}

async fn disk(db: &Db, config: &Config) -> Result<String> {
    if let Some(why) = db.only_reads() {
        return Ok(format!("not tried: {why}"));
    }
    write::try_to_write(db, &Ids::system()).await?;
    let free = match db.kind() {
        Kind::Sqlite => file::free_bytes(&file::path(database_url(config)?)?),
        Kind::Postgres => None,
    };
    Ok(match free {
        Some(bytes) => format!("64 KB were written and taken away again; {} MB are free", bytes >> 20),
        None => "64 KB were written and taken away again".to_owned(),
    })
}
