//! What a role may do with the database.

use super::{Db, Kind, Sql, fetch_values};
use waymark_kernel::error::{Code, Error, Result};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 2] = [&HIDDEN_SCHEMA, &MISSING_RIGHTS];

// PostgreSQL's own tables have no entities.
static HIDDEN_SCHEMA: Sql = Sql::new(
    "SELECT CAST(n.nspname AS text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = 'seaql_migrations' AND NOT has_schema_privilege(n.oid, 'USAGE') LIMIT 1",
)
.on_postgres_alone();
static MISSING_RIGHTS: Sql = Sql::new(
    "SELECT r.needed || ' on ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN (VALUES ('r', 'SELECT'), ('r', 'INSERT'), ('r', 'UPDATE'), ('r', 'DELETE'), ('S', 'USAGE')) AS r(kind, needed)
         ON CAST(c.relkind AS text) = r.kind AND (c.relname <> 'seaql_migrations' OR r.needed = 'SELECT')
     WHERE n.nspname = current_schema() AND NOT CASE r.kind
         WHEN 'r' THEN has_table_privilege(c.oid, r.needed) ELSE has_sequence_privilege(c.oid, r.needed) END
     ORDER BY 1",
)
.on_postgres_alone();

impl Db {
    /// Refuses a schema that is there, and that this role may not look into: its tables seem to be missing then.
    pub(super) async fn check_schema_is_seen(&self) -> Result<()> {
        if self.kind == Kind::Sqlite {
            return Ok(());
        }
        let hidden = fetch_values::<String>(&self.reads, &HIDDEN_SCHEMA, []).await?;
        let Some(schema) = hidden.first() else { return Ok(()) };
        let message = format!("this role may not use the schema {schema}: GRANT USAGE ON SCHEMA {schema} to it");
        Err(Error::new(Code::Unavailable, message))
    }

    /// What a server needs to be allowed to do with the database and is not, such as `INSERT on users`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missing_rights(&self) -> Result<Vec<String>> {
        match self.kind {
            Kind::Sqlite if self.is_read_only => Ok(vec!["writing its file and its folder".to_owned()]),
            Kind::Sqlite => Ok(Vec::new()),
            Kind::Postgres => fetch_values(&self.reads, &MISSING_RIGHTS, []).await,
        }
    }
}
