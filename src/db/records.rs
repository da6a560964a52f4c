//! What is stored about a user, as JSON: for taking one's data out.

use std::hash::{Hash, Hasher};

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Map, Value};

use super::sql::{Param, Row, Sql, fetch_text};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

/// How many bytes of JSON what is stored about one user may have, so that it can be one answer.
pub const MOST_BYTES: usize = 2_000_000;

/// What a column becomes.
#[derive(Debug, Clone, Copy)]
pub enum As {
    /// Text as it is stored.
    Text,
    /// Any integer; selected as `bigint`.
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
    sql: Sql,
    columns: &'static [(&'static str, As)],
    /// Whether the rows depend on the instant.
    dated: bool,
}

impl Records {
    /// The rows that `sql` selects for the user `$1`, with the names and kinds of its columns.
    pub const fn new(name: &'static str, sql: &'static str, columns: &'static [(&'static str, As)]) -> Self {
        Self { name, sql: Sql::new(sql), columns, dated: false }
    }

    /// The same for rows that depend on the instant, which is `$2`.
    pub const fn dated(name: &'static str, sql: &'static str, columns: &'static [(&'static str, As)]) -> Self {
        Self { name, sql: Sql::new(sql), columns, dated: true }
    }

    /// A part of the rows of a user at an instant: those behind the first `skip`.
    pub async fn of(&self, connection: &impl ConnectionTrait, user: i64, now: Timestamp, skip: u32) -> Result<Part> {
        let sql = self.sql.text(connection.get_database_backend());
        let (first, params) = match self.dated {
            true => (3, vec![Param::Int(user), Param::Int(now.millis())]),
            false => (2, vec![Param::Int(user)]),
        };
        let sql = format!("{sql} LIMIT {AT_A_TIME} OFFSET ${first}");
        let params = params.into_iter().chain([Param::Int(skip.into())]);
        let rows = fetch_text(connection, sql, params, |row| {
            let members = self.columns.iter().map(|(name, kind)| Ok(((*name).to_owned(), kind.read(row)?)));
            Ok(Value::Object(members.collect::<Result<Map<_, _>, DbErr>>()?).to_string())
        });
        let rows = rows.await?;
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
    fn read(self, row: &mut Row) -> Result<Value, DbErr> {
        Ok(match self {
            Self::Text => row.take::<Option<String>>()?.into(),
            Self::Number => row.take::<Option<i64>>()?.into(),
            Self::Truth => row.take::<Option<bool>>()?.into(),
            Self::Instant => row.take::<Option<Timestamp>>()?.map(|instant| instant.to_string()).into(),
            Self::Json => {
                row.take::<Option<String>>()?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
            }
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
