//! What is stored about a user, as JSON: for taking one's data out.

use std::hash::{Hash, Hasher};

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Map, Value};

use super::sql::{Param, Row, Sql, fetch};
use crate::clock::Timestamp;
use crate::error::Result;

/// What a column becomes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum As {
    Text,
    /// Any integer; selected as `bigint`.
    Number,
    Truth,
    Instant,
    /// Text that is JSON.
    Json,
}

/// The rows about one user in one place.
#[derive(Debug)]
pub(crate) struct Records {
    /// What they are called in the whole.
    pub(crate) name: &'static str,
    sql: Sql,
    columns: &'static [(&'static str, As)],
    /// Whether the rows depend on the instant.
    dated: bool,
}

impl Records {
    /// The rows that `sql` selects for the user `$1`, with the names and kinds of its columns.
    pub(crate) const fn new(name: &'static str, sql: &'static str, columns: &'static [(&'static str, As)]) -> Self {
        Self { name, sql: Sql::new(sql), columns, dated: false }
    }

    /// The same for rows that depend on the instant, which is `$2`.
    pub(crate) const fn dated(name: &'static str, sql: &'static str, columns: &'static [(&'static str, As)]) -> Self {
        Self { name, sql: Sql::new(sql), columns, dated: true }
    }

    /// The rows of a user at an instant, each as an object.
    pub(crate) async fn of(&self, connection: &impl ConnectionTrait, user: i64, now: Timestamp) -> Result<Vec<Value>> {
        let params = [Param::Int(user)].into_iter().chain(self.dated.then_some(Param::Int(now.millis())));
        fetch(connection, &self.sql, params, |row| {
            let members = self.columns.iter().map(|(name, kind)| Ok(((*name).to_owned(), kind.read(row)?)));
            Ok(Value::Object(members.collect::<Result<Map<_, _>, DbErr>>()?))
        })
        .await
    }
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
