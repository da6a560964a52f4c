//! `waymark key` and `waymark token`.

use super::{KeyCommand, NewKey, check_clock, open, print, say};
use waymark_auth::{api_key, jwt};
use waymark_db::Db;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::users::{accounts, keys};

/// Makes, lists and revokes API keys.
pub(super) async fn key(config: &Config, command: KeyCommand) -> Result<()> {
    check_clock(config)?;
    let db = open(config).await?;
    let now = super::now(config, &db).await?;
    match command {
        KeyCommand::Create(NewKey { name, scopes, user, ttl }) => {
            let owner = match &user {
                Some(handle) => Some(accounts::find(db.reads(), handle).await?.ok_or_else(|| unknown(handle))?),
                None => None,
            };
            let expires = ttl.map(|seconds| now.plus_seconds(seconds));
            let (secret, row) = keys::create(&db, now, &name, &scopes, owner, expires).await?;
            say(&format!("Key {} ({}). It is shown only now:", row.id, row.name));
            print(secret.expose())
        }
        KeyCommand::List => {
            for row in api_key::list(db.reads()).await? {
                let state = match (row.revoked_at, row.expires_at) {
                    (Some(at), _) => format!("revoked {at}"),
                    (None, Some(at)) if at <= now => format!("expired {at}"),
                    (None, Some(at)) => format!("until {at}"),
                    (None, None) => "for ever".to_owned(),
                };
                print(&format!("{}\t{}\t{}\t{}\t{state}", row.id, row.prefix, row.name, row.scopes))?;
            }
            Ok(())
        }
        KeyCommand::Revoke { key } => {
            let row = keys::revoke(&db, &key, now).await?;
            say(&format!("Key {} ({}) is revoked; running servers refuse it within a second.", row.id, row.name));
            Ok(())
        }
    }
}

/// Prints a token for a user.
pub(super) async fn token(config: &Config, handle: &str, ttl: i64) -> Result<()> {
    check_clock(config)?;
    let days = config.jwt_max_days;
    if ttl > i64::from(days) * 86_400 {
        let message = format!("a token that is good for more than {days} days is refused; see WAYMARK_JWT_MAX_DAYS");
        return Err(Error::bad_input(message));
    }
    let db = open(config).await?;
    let token = token_for(config, &db, handle, ttl).await?.ok_or_else(|| unknown(handle))?;
    print(&token)
}

/// A token for the user with this handle; `None` when there is none.
pub(super) async fn token_for(config: &Config, db: &Db, handle: &str, ttl: i64) -> Result<Option<String>> {
    let secret = config.jwt_secret.as_ref().ok_or_else(|| {
        Error::bad_input("tokens are signed with WAYMARK_JWT_SECRET, which is not set; try $(openssl rand -hex 32)")
    })?;
    let issuer = config.jwt_issuer.as_deref();
    let now = super::now(config, db).await?;
    let Some(subject) = accounts::jwt_subject(db, handle, issuer.unwrap_or_default(), now).await? else {
        return Ok(None);
    };
    jwt::mint(secret, &subject, issuer, config.jwt_audience.as_deref(), now, ttl).map(Some)
}

fn unknown(handle: &str) -> Error {
    Error::bad_input(format!("there is no user with the handle {handle:?}"))
}
