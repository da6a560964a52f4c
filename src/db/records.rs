//! What is stored about a user, as JSON: for taking one's data out.

use std::hash::{Hash, Hasher};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use serde_json::{Map, Value};

use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

/// How many bytes of JSON what is stored about one user may have, so that it can be one answer.
pub const MOST_BYTES: usize = 2_000_000;

/// What a column becomes.
#[derive(Debug, Clone, Copy)]
pub enum As {
    /// Text as it is stored.
    Text,
    /// Any integer.
    Number,
    /// A boolean.
    Truth,
    /// An instant, stored in milliseconds; becomes text as RFC 3339 has it, in UTC.
    Instant,
    /// Text that is JSON.
    Json,
}

/// The rows about one user in one place.
#[derive(Debug)]
pub struct Records {
    /// What they are called in the whole.
    pub name: &'static str,
    from: &'static str,
    /// The name in JSON, the expression, and what it becomes.
    columns: &'static [(&'static str, &'static str, As)],
    /// Whether the rows depend on the instant.
    dated: bool,
}

impl Records {
    /// The rows of the user `$1`: what stands behind FROM, and the columns.
    pub const fn new(
        name: &'static str,
        from: &'static str,
        columns: &'static [(&'static str, &'static str, As)],
    ) -> Self {
        Self { name, from, columns, dated: false }
    }

    /// The same for rows that depend on the instant, which is `$2`.
    #[must_use]
    pub const fn dated(self) -> Self {
        Self { dated: true, ..self }
    }

    /// The statement, in the spelling of both engines. Its last parameter is how many rows are passed over.
    pub fn sql(&self) -> String {
        let columns = self.columns.iter().map(|(name, expression, kind)| match kind {
            As::Number => format!("CAST({expression} AS bigint) AS \"{name}\""),
            _ => format!("{expression} AS \"{name}\""),
        });
        let (columns, skip) = (columns.collect::<Vec<_>>().join(", "), if self.dated { 3 } else { 2 });
        format!("SELECT {columns} FROM {} LIMIT {AT_A_TIME} OFFSET ${skip}", self.from)
    }

    /// A part of the rows of a user at an instant: those behind the first `skip`.
    pub async fn of(&self, connection: &impl ConnectionTrait, user: i64, now: Timestamp, skip: u32) -> Result<Part> {
        let now = self.dated.then(|| now.millis());
        let values = [user].into_iter().chain(now).chain([skip.into()]).map(sea_orm::Value::from);
        let backend: DbBackend = connection.get_database_backend();
        let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, self.sql(), values)).await?;
        let rows = rows.iter().map(|row| {
            let members = self.columns.iter().map(|(name, _, kind)| Ok(((*name).to_owned(), kind.read(row, name)?)));
            Ok(Value::Object(members.collect::<Result<Map<_, _>, DbErr>>()?).to_string())
        });
        let rows = rows.collect::<Result<Vec<_>, DbErr>>()?;
        let next = u32::try_from(rows.len()).ok().filter(|count| *count == AT_A_TIME).map(|count| skip + count);
        Ok(Part { json: rows.join(","), next })
    }
}

/// How many rows are read at a time. A row may have notes of 40 KB.
const AT_A_TIME: u32 = 256;

/// A part of the rows about one user in one place.
#[derive(Debug)]
pub struct Part {
    /// Each as a JSON object, separated by commas.
    pub json: String,
    /// How many to skip for the next part, if there may be one.
    pub next: Option<u32>,
}

/// Checks that what was read of a user is no more than one answer holds.
///
/// # Errors
/// When it has more than [`MOST_BYTES`].
pub fn check_length(bytes: usize) -> Result<()> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::limit(format!(
        "more than {MOST_BYTES} bytes are stored about this user, which is more than one answer holds; read them page by \
         page, or ask the operator for `waymark export --only user --user HANDLE`"
    )))
}

impl As {
    fn read(self, row: &QueryResult, name: &str) -> Result<Value, DbErr> {
        Ok(match self {
            Self::Text => row.try_get::<Option<String>>("", name)?.into(),
            Self::Number => row.try_get::<Option<i64>>("", name)?.into(),
            Self::Truth => row.try_get::<Option<bool>>("", name)?.into(),
            Self::Instant => row.try_get::<Option<Timestamp>>("", name)?.map(|instant| instant.to_string()).into(),
            Self::Json => row
                .try_get::<Option<String>>("", name)?
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        })
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Records {}

impl Hash for Records {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
