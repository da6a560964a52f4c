//! One check.

use futures_util::future::BoxFuture;

use waymark_db::catalogue::{Part, Snapshot};
use waymark_db::{Param, Sql, Transaction, execute, fetch, row};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// One thing that has to follow from another, and how to look for where it does not.
///
/// Most are SQL in PostgreSQL's spelling, as [`Sql`] takes it. One of users gets their ids as `$1`, and its SELECT
/// gives a row per difference: `user_id`, `what` differs as text, what is `stored` and what is `expected`, both as
/// `bigint` that may be null. One of rows that belong to no user gets no parameter, and gives the same without the
/// user.
#[derive(Clone, Copy)]
pub struct Check {
    /// The feature and what is checked, such as `credits.remaining`.
    pub name: &'static str,
    subject: Subject,
    shown: Shown,
    find: Work<Vec<Found>>,
    mend: Option<Work<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Users,
    Nobody,
}

/// How the two numbers of a difference are shown.
#[derive(Clone, Copy)]
enum Shown {
    Numbers,
    Instants,
}

/// A statement, or code where the rules are more than SQL can say.
enum Work<T> {
    Sql(&'static str),
    Code(for<'a> fn(Look<'a>) -> BoxFuture<'a, Result<T>>),
}

impl<T> Clone for Work<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Work<T> {}

/// What a check looks at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// What is read in it is one state of the database; in a repair, what the locked users have.
    pub transaction: &'a Transaction,
    /// Whose rows are looked at.
    pub users: &'a [i64],
    pub(super) catalogue: &'a Snapshot,
}

impl<'a> Look<'a> {
    /// A feature's part of the catalogue, as it is in the same state of the database.
    pub fn catalogue<P: Part>(&self) -> Result<&'a P> {
        self.catalogue.part()
    }
}

row! {
    /// A row of the SELECT of a check.
    struct Differs { what: String, stored: Option<i64>, expected: Option<i64> }
}

/// A stored value that does not follow from its source.
#[derive(Debug)]
pub struct Found {
    /// The internal id of the user whose row it is; `None`: the row belongs to no user.
    pub user: Option<i64>,
    /// What differs, for people, such as `completion of goal:` and its key.
    pub what: String,
    /// What is stored, as text; `nothing` where nothing is.
    pub stored: String,
    /// What follows from the source, as text; `nothing` where nothing does.
    pub expected: String,
}

impl Check {
    /// A check of users' rows.
    pub const fn of_users(name: &'static str, find: &'static str) -> Self {
        Self { name, subject: Subject::Users, shown: Shown::Numbers, find: Work::Sql(find), mend: None }
    }

    /// A check of rows that belong to no user. In a repair no other write is under way.
    pub const fn of_nobody(name: &'static str, find: &'static str) -> Self {
        Self { name, subject: Subject::Nobody, shown: Shown::Numbers, find: Work::Sql(find), mend: None }
    }

    /// A check of users' rows whose rules are more than SQL can say.
    pub const fn by_rules(
        name: &'static str,
        find: for<'a> fn(Look<'a>) -> BoxFuture<'a, Result<Vec<Found>>>,
        mend: for<'a> fn(Look<'a>) -> BoxFuture<'a, Result<()>>,
    ) -> Self {
        let (find, mend) = (Work::Code(find), Some(Work::Code(mend)));
        Self { name, subject: Subject::Users, shown: Shown::Numbers, find, mend }
    }

    /// A check of rows that belong to no user, which is more than one statement and mends nothing.
    pub const fn of_nobody_by_code(
        name: &'static str,
        find: for<'a> fn(Look<'a>) -> BoxFuture<'a, Result<Vec<Found>>>,
    ) -> Self {
        Self { name, subject: Subject::Nobody, shown: Shown::Numbers, find: Work::Code(find), mend: None }
    }

    /// The same, of what are instants.
    pub const fn of_instants(self) -> Self {
        Self { shown: Shown::Instants, ..self }
    }

    /// The same, with a statement that mends what is found. It gets what the SELECT gets, changes nothing where nothing
    /// differs, and leaves alone what cannot be mended.
    pub const fn mended_by(self, mend: &'static str) -> Self {
        Self { mend: Some(Work::Sql(mend)), ..self }
    }

    pub(super) fn is_of_users(&self) -> bool {
        self.subject == Subject::Users
    }

    pub(super) fn can_mend(&self) -> bool {
        self.mend.is_some()
    }

    fn params(&self, look: Look<'_>) -> Option<Param> {
        self.is_of_users().then(|| Param::Ints(look.users.to_vec()))
    }

    pub(super) async fn find(&self, look: Look<'_>) -> Result<Vec<Found>> {
        if self.is_of_users() && look.users.is_empty() {
            return Ok(Vec::new());
        }
        match self.find {
            Work::Code(find) => find(look).await,
            Work::Sql(sql) => {
                let (sql, params) = (Sql::new(sql), self.params(look));
                if !self.is_of_users() {
                    let found: Vec<Differs> = fetch(look.transaction, &sql, params).await?;
                    return Ok(found.into_iter().map(|found| self.told(None, found)).collect());
                }
                let found: Vec<(i64, Differs)> = fetch(look.transaction, &sql, params).await?;
                Ok(found.into_iter().map(|(user, found)| self.told(Some(user), found)).collect())
            }
        }
    }

    fn told(&self, user: Option<i64>, Differs { what, stored, expected }: Differs) -> Found {
        Found { user, what, stored: self.shown.text(stored), expected: self.shown.text(expected) }
    }

    /// The statements of the check, for tests.
    pub fn statements(&self) -> impl Iterator<Item = Sql> {
        let find = if let Work::Sql(find) = self.find { Some(find) } else { None };
        let mend = if let Some(Work::Sql(mend)) = self.mend { Some(mend) } else { None };
        find.into_iter().chain(mend).map(Sql::new)
    }

    pub(super) async fn mend(&self, look: Look<'_>) -> Result<()> {
        match self.mend {
            Some(Work::Code(mend)) => mend(look).await,
            Some(Work::Sql(sql)) => execute(look.transaction, &Sql::new(sql), self.params(look)).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Shown {
    fn text(self, value: Option<i64>) -> String {
        match (self, value) {
            (_, None) => "nothing".to_owned(),
            (Self::Numbers, Some(value)) => value.to_string(),
            (Self::Instants, Some(value)) => Timestamp::from_millis(value).to_string(),
        }
    }
}
