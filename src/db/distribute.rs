//! Laying the rows of users on several servers with Citus, an extension of PostgreSQL.
//!
//! What belongs to a user lies where the rest of the user lies: each table whose key starts with `user_id`, unless something
//! in it is unique among all users. Every server has a copy of the other tables.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::{Db, Kind, Sql, fetch, fetch_values};
use waymark_kernel::error::{Error, Result};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 2] = [&EXTENSION, &TABLES];

/// The table beside whose rows those of the other tables lie.
const FIRST: &str = "user_counters";

// PostgreSQL's own tables have no entities.
static EXTENSION: Sql =
    Sql::new("SELECT CAST(extversion AS text) FROM pg_extension WHERE extname = 'citus'").on_postgres_alone();
// In the order in which they were made, so that none refers to a later one.
static TABLES: Sql = Sql::new(
    "SELECT CAST(c.relname AS text) AS name, EXISTS (
             SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisprimary AND a.attname = 'user_id')
         AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT EXISTS (
             SELECT 1 FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'user_id' AND a.attnum = ANY(i.indkey))) AS by_user
     FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
         AND c.relname <> 'seaql_migrations' ORDER BY c.oid",
)
.on_postgres_alone();

crate::row! {
    /// A table, and where its rows belong.
    #[derive(Debug)]
    pub struct Laid {
        /// Its name.
        pub name: String,
        /// Whether each row lies on the server of its user. A copy of the other tables lies on every server.
        pub by_user: bool,
    }
}

/// What takes the place of the functions that lock users: Citus locks rows of one server at a time, and so of one user.
pub const LOCKS: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION lock_users(ids bigint[])
     RETURNS TABLE (id bigint, ulid text, history_seq bigint, ledger_seq bigint, self_made boolean, version bigint)
     LANGUAGE plpgsql VOLATILE AS $$
     DECLARE one bigint;
     BEGIN
         PERFORM pg_advisory_xact_lock_shared(8319);
         FOR one IN SELECT DISTINCT k FROM unnest(ids) AS k ORDER BY k LOOP
             RETURN QUERY
                 SELECT c.user_id, u.ulid, c.history_seq, c.ledger_seq, u.self_made,
                     (SELECT v.version FROM catalogue_version v WHERE v.id = 1)
                 FROM user_counters c JOIN users u ON u.id = c.user_id WHERE c.user_id = one AND NOT c.gone
                 FOR NO KEY UPDATE OF c;
         END LOOP;
     END $$",
    "CREATE OR REPLACE FUNCTION lock_free_users(ids bigint[])
     RETURNS TABLE (id bigint, ulid text, history_seq bigint, ledger_seq bigint, self_made boolean, version bigint)
     LANGUAGE plpgsql VOLATILE AS $$
     DECLARE one bigint;
     BEGIN
         PERFORM pg_advisory_xact_lock_shared(8319);
         FOR one IN SELECT DISTINCT k FROM unnest(ids) AS k ORDER BY k LOOP
             RETURN QUERY
                 SELECT c.user_id, u.ulid, c.history_seq, c.ledger_seq, u.self_made,
                     (SELECT v.version FROM catalogue_version v WHERE v.id = 1)
                 FROM user_counters c JOIN users u ON u.id = c.user_id WHERE c.user_id = one AND NOT c.gone
                 FOR NO KEY UPDATE OF c SKIP LOCKED;
         END LOOP;
     END $$",
];

impl Db {
    /// The tables in the order in which they were made; none on SQLite.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn laid_out(&self) -> Result<Vec<Laid>> {
        if self.kind == Kind::Sqlite { Ok(Vec::new()) } else { fetch(&self.reads, &TABLES, []).await }
    }

    /// Lays the rows of users on the servers of Citus, and tells of each table when it is done. Goes on where it was
    /// interrupted. Nothing else may use the database meanwhile.
    ///
    /// # Errors
    /// When the database has no such extension, and when the extension cannot do it.
    pub async fn distribute(&self, told: impl Fn(&str)) -> Result<()> {
        let missing = match self.kind {
            Kind::Sqlite => Some("SQLite is one file on one machine: only PostgreSQL with Citus distributes users"),
            Kind::Postgres if fetch_values::<String>(&self.reads, &EXTENSION, []).await?.is_empty() => Some(
                "this database has no extension citus, so users cannot be distributed: CREATE EXTENSION citus here and on \
                 the workers first; docs/citus.md says how",
            ),
            Kind::Postgres => None,
        };
        if let Some(missing) = missing {
            return Err(Error::bad_input(missing));
        }
        // The extension's own table, which only a database with it has.
        let done = "SELECT CAST(c.relname AS text) FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid";
        let done = self.reads.query_all_raw(Statement::from_string(DbBackend::Postgres, done)).await?;
        let done = done.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
        let (mut by_user, copied): (Vec<_>, Vec<_>) =
            self.laid_out().await?.into_iter().partition(|table| table.by_user);
        by_user.sort_by_key(|table| table.name != FIRST);
        for Laid { name, by_user } in copied.into_iter().chain(by_user) {
            if done.contains(&name) {
                continue;
            }
            let (sql, what) = match name.as_str() {
                // Nobody's in particular: who repeats a write is known by the credential.
                "idempotency_keys" => (
                    format!("SELECT create_distributed_table('{name}', 'principal', colocate_with => 'none')"),
                    "lies by principal",
                ),
                _ if !by_user => (format!("SELECT create_reference_table('{name}')"), "lies on every server"),
                FIRST => (
                    format!("SELECT create_distributed_table('{name}', 'user_id', colocate_with => 'none')"),
                    "lies by user",
                ),
                _ => (
                    format!("SELECT create_distributed_table('{name}', 'user_id', colocate_with => '{FIRST}')"),
                    "lies by user",
                ),
            };
            self.run_long(&sql).await?;
            if by_user {
                self.run_long(&format!("SELECT truncate_local_data_after_distributing_table('{name}')")).await?;
            }
            told(&format!("{name} {what}"));
        }
        for lock in LOCKS {
            self.run_long(lock).await?;
        }
        Ok(())
    }
}
