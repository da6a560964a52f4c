//! What a failure of the database says about the database.

use sea_orm::{DbErr, RuntimeErr, sqlx};

use super::storage::Trouble;

/// A failed statement, as far as it concerns more than itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
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
    pub(super) fn of(error: &DbErr) -> Self {
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
    pub(super) const fn is_grave(self) -> bool {
        !matches!(self, Self::Statement | Self::Held)
    }
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
