//! What a failure of the database says about the database.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

use crate::error::{Code, Error};

/// Why nothing can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room.
    Full,
    /// The file, its directory or the server takes no writes.
    ReadOnly,
    /// The engine cannot use its files or lacks memory.
    Faulty,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Faulty];

    /// For clients and the log.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Full => "the database has no room to write; try again later",
            Self::ReadOnly => "the database is read-only at the moment; try again later",
            Self::Faulty => "the database cannot write its files at the moment; try again later",
        }
    }

    /// For operators, as `/readyz` says it.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Full => "the database has no room to write\n",
            Self::ReadOnly => "the database is read-only\n",
            Self::Faulty => "the database cannot write its files\n",
        }
    }
}

/// A failed statement, as far as it concerns more than itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The statement, or what it says.
    Statement,
    /// What it waited for was held by another transaction for too long.
    Held,
    /// The way to the database.
    Connection,
    /// Nothing can be written at the moment.
    Storage(Trouble),
    /// What is stored is damaged.
    Damage,
}

impl Failure {
    /// Returns how far the failure of a statement concerns more than that statement.
    pub fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) => Self::Statement,
            // There was no answer.
            DbErr::Conn(RuntimeErr::Internal(_)) => Self::Connection,
            DbErr::Query(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Conn(RuntimeErr::SqlxError(error)) => match &**error {
                sqlx::Error::Database(error) => error.code().map_or(Self::Statement, |code| Self::of_code(&code)),
                sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                    Self::Connection
                }
                _ => Self::Statement,
            },
            _ => Self::Statement,
        }
    }

    /// By the engine's code: five characters on PostgreSQL, a number on SQLite, whose lowest eight bits say the kind.
    fn of_code(code: &str) -> Self {
        if code.len() == 5 {
            return match code {
                "53100" => Self::Storage(Trouble::Full),
                "25006" => Self::Storage(Trouble::ReadOnly),
                "53200" | "58030" | "58P01" => Self::Storage(Trouble::Faulty),
                "55P03" => Self::Held,
                "XX001" | "XX002" => Self::Damage,
                code if code.starts_with("57P") || code.starts_with("08") => Self::Connection,
                _ => Self::Statement,
            };
        }
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(13) => Self::Storage(Trouble::Full),
            Ok(8) => Self::Storage(Trouble::ReadOnly),
            // Out of memory, an error of the file system, and a file that cannot be opened.
            Ok(7 | 10 | 14) => Self::Storage(Trouble::Faulty),
            Ok(11 | 26) => Self::Damage,
            _ => Self::Statement,
        }
    }

    /// Whether an engine may have ended the transaction by itself, or the connection is of no more use.
    pub const fn is_grave(self) -> bool {
        !matches!(self, Self::Statement | Self::Held)
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Failure::Storage(trouble) = Failure::of(&error) {
            Self::caused(Code::Unavailable, trouble.message(), error).noted()
        } else if Failure::of(&error) == Failure::Held {
            let message = "another transaction holds what this needs for too long; try again";
            Self::caused(Code::Unavailable, message, error).passing()
        } else if lost_against_another(&error) {
            Self::caused(Code::Unavailable, "the database is too busy at the moment; try again", error).passing()
        } else if taken_meanwhile(&error) {
            Self::internal(error).passing()
        } else if lost_connection(&error) {
            Self::caused(Code::Unavailable, "the database cannot be reached at the moment", error)
        } else if let Some(message) = out_of_time_or_room(&error) {
            Self::caused(Code::Unavailable, message, error)
        } else {
            Self::internal(error)
        }
    }
}

/// What the database itself said, if it was the database that refused.
pub fn said(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    match error {
        DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error.as_database_error(),
        _ => None,
    }
}

/// The code of what the database said.
fn code(error: &DbErr) -> Option<std::borrow::Cow<'_, str>> {
    said(error)?.code()
}

/// Whether what failed waited for too long for what another transaction holds.
pub fn is_held(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<DbErr>());
    cause.is_some_and(|cause| Failure::of(cause) == Failure::Held)
}

/// Whether a statement failed because another transaction was in its way: a serialization failure, a deadlock, or a
/// locked SQLite database.
fn lost_against_another(error: &DbErr) -> bool {
    code(error).is_some_and(|code| ["40001", "40P01", "5", "517", "262", "261"].contains(&&*code))
}

/// Whether a statement failed because of a key that is there already. A write looks before it inserts, so another one
/// came in between, and the next try will find what that one left.
fn taken_meanwhile(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether a statement failed because of the way to the database, and not because of what it says.
fn lost_connection(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // Class 08: the connection. 57P: the server is shutting down, or was told to end the session. 25P03 and
            // 25P04: it ended the session by itself, because its transaction stood still.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                code.len() == 5 && (code.starts_with("08") || code.starts_with("57P") || code.starts_with("25P"))
            }),
            _ => false,
        },
        _ => false,
    }
}

/// Returns the message for a client about a correct statement that the database had no time or no room for.
fn out_of_time_or_room(error: &DbErr) -> Option<&'static str> {
    Some(match &*code(error)? {
        "57014" => "the database took too long; try again",
        "42501" => "the database does not let this server do that; its operator has to grant it the right",
        code if code.len() == 5 && code.starts_with("53") => "the database has no room for this at the moment",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_are_told_apart() {
        for (code, failure) in [
            ("13", Failure::Storage(Trouble::Full)),
            ("53100", Failure::Storage(Trouble::Full)),
            ("8", Failure::Storage(Trouble::ReadOnly)),
            ("1032", Failure::Storage(Trouble::ReadOnly)),
            ("25006", Failure::Storage(Trouble::ReadOnly)),
            ("7", Failure::Storage(Trouble::Faulty)),
            ("778", Failure::Storage(Trouble::Faulty)),
            ("4874", Failure::Storage(Trouble::Faulty)),
            ("58030", Failure::Storage(Trouble::Faulty)),
            ("11", Failure::Damage),
            ("57P01", Failure::Connection),
            ("08006", Failure::Connection),
            ("55P03", Failure::Held),
            ("5", Failure::Statement),
            ("2067", Failure::Statement),
            ("23505", Failure::Statement),
            ("40001", Failure::Statement),
        ] {
            assert_eq!(Failure::of_code(code), failure, "{code}");
        }
    }

    #[test]
    fn what_an_engine_rolls_back_for_costs_the_connection() {
        for code in ["13", "10", "7", "11", "53100", "53200", "58030", "57P01"] {
            assert!(Failure::of_code(code).is_grave(), "{code}");
        }
        for code in ["5", "787", "23505", "55P03"] {
            assert!(!Failure::of_code(code).is_grave(), "{code}");
        }
    }
}
