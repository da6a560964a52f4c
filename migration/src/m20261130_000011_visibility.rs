//! Profiles for whoever is signed in, and users whom nobody but themselves knows of.
//!
//! What was `PRIVATE` until now, for everybody with a credential, is called `MEMBERS` and is the default; `PRIVATE` hides a
//! profile from all but its owner and apps. The column is made anew, because SQLite changes no check of a column.

use sea_orm_migration::prelude::*;

use crate::columns::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let visibility = one_of("shown_to", &["PRIVATE", "MEMBERS", "PUBLIC"]).default("MEMBERS").to_owned();
        let to_public = "UPDATE users SET shown_to = 'PUBLIC' WHERE visibility = 'PUBLIC'";
        replace(manager, visibility, to_public).await?;
        let self_made = boolean("self_made").default(false).to_owned();
        manager.alter_table(Table::alter().table("users").add_column(self_made).to_owned()).await?;
        manager.get_connection().execute_unprepared(SELF_MADE).await?;
        mend_profiles(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("users").drop_column("self_made").to_owned()).await?;
        let visibility = one_of("shown_to", &["PRIVATE", "PUBLIC"]).default("PRIVATE").to_owned();
        let to_public = "UPDATE users SET shown_to = 'PUBLIC' WHERE visibility = 'PUBLIC'";
        replace(manager, visibility, to_public).await
    }
}

/// Puts this column into the place of the one for the visibility, filled by a statement.
async fn replace(manager: &SchemaManager<'_>, column: ColumnDef, fill: &str) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table("users").add_column(column).to_owned()).await?;
    manager.get_connection().execute_unprepared(fill).await?;
    manager.alter_table(Table::alter().table("users").drop_column("visibility").to_owned()).await?;
    manager.alter_table(Table::alter().table("users").rename_column("shown_to", "visibility").to_owned()).await
}

/// How many users are looked at together.
const PAGE: u64 = 1000;

/// Takes out of names and addresses of pictures what may stand there no more.
async fn mend_profiles(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let mut behind = 0;
    loop {
        let page = Query::select()
            .columns(["id", "display_name", "avatar_url"])
            .from("users")
            .and_where(Expr::col("id").gt(behind))
            .and_where(Expr::col("display_name").is_not_null().or(Expr::col("avatar_url").is_not_null()))
            .order_by("id", Order::Asc)
            .limit(PAGE)
            .take();
        let rows = connection.query_all(&page).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            behind = row.try_get_by_index::<i64>(0)?;
            let (name, url): (Option<String>, Option<String>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            let mended = (name.as_deref().and_then(mended_name), url.as_deref().map(mended_url));
            if mended != (name, url) {
                let mend = Query::update()
                    .table("users")
                    .values([("display_name", mended.0.into()), ("avatar_url", mended.1.into())])
                    .and_where(Expr::col("id").eq(behind))
                    .take();
                connection.execute(&mend).await?;
            }
        }
    }
}

/// A name without control characters, ends of lines, overrides of direction and noncharacters; none when nothing is left.
fn mended_name(name: &str) -> Option<String> {
    let fits = |letter: &char| {
        let code = u32::from(*letter);
        !letter.is_control()
            && !matches!(letter, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FDD0}'..='\u{FDEF}')
            && code & 0xFFFE != 0xFFFE
    };
    let mended: String = name.chars().filter(fits).collect();
    (!mended.trim().is_empty()).then_some(mended)
}

/// An address without user and password.
fn mended_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
}

/// Who has a wallet, and a history that knows of nobody but themselves.
const SELF_MADE: &str = "
    UPDATE users SET self_made = TRUE
    WHERE EXISTS (SELECT 1 FROM accounts a WHERE a.user_id = users.id AND a.provider = 'ethereum')
    AND EXISTS (SELECT 1 FROM history_events e WHERE e.user_id = users.id AND e.seq = 1 AND e.actor = 'user:' || users.ulid)
    AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.user_id = users.id AND a.provider <> 'ethereum')
    AND NOT EXISTS (
        SELECT 1 FROM history_events e
        WHERE e.user_id = users.id AND e.actor <> 'user:' || users.ulid AND e.actor <> 'system')";
