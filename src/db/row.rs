//! Rows as values. [`row!`](crate::row!) names the columns of a struct once: the list of a SELECT and the reader both
//! follow from that.
//!
//! Columns are found by their names, once for all rows of an answer, so that the order in which a statement gives them
//! says nothing, and a value costs no more than one that is read by its place.

use std::sync::Arc;

use sea_orm::sqlx::{self, Decode, Postgres, Row as _, Sqlite};
use sea_orm::{DbErr, QueryResult, RuntimeErr};

use super::Extent;

/// A value that is read from a row.
pub trait FromRow: Sized {
    /// The columns, in the order in which [`FromRow::read`] takes them.
    const COLUMNS: Columns;

    /// Reads the value.
    ///
    /// # Errors
    /// When a column holds something else.
    fn read(row: &mut Row<'_>) -> Result<Self, DbErr>;
}

/// Implements [`FromRow`] for a struct: `row!(Struct { field, field, … ; field, … })`.
///
/// Behind the semicolon stand the fields that only [`Extent::All`] reads; they have their default otherwise. A field is
/// read from the column of its name, from another one (`percent: "progress"`), from an expression (`place: "0 AS
/// place"`), or from the columns of a struct of its own (`score: (Score)`); `_` is a field that is no column.
///
/// `row! { struct Struct { field: Type, percent: i16 = "progress" } }` declares the struct as well.
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])* $vis:vis struct $of:ident {
            $($(#[$about:meta])* $seen:vis $field:ident: $type:ty $(= $how:tt)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $of { $($(#[$about])* $seen $field: $type),* }

        $crate::row!($of { $($field $(: $how)?),* });
    };
    ($of:ty { $($field:ident $(: $how:tt)?),* $(; $($more:ident $(: $other:tt)?),*)? }) => {
        impl $crate::FromRow for $of {
            const COLUMNS: $crate::Columns = $crate::Columns::Of {
                parts: &[
                    $($crate::row!(@list Main $field $($how)?),)*
                    $($($crate::row!(@list All $more $($other)?),)*)?
                ],
            };

            fn read(row: &mut $crate::Row<'_>) -> Result<Self, $crate::DbErr> {
                Ok(Self {
                    $($field: $crate::row!(@read row value $($how)?),)*
                    $($($more: $crate::row!(@read row value_or_default $($other)?),)*)?
                })
            }
        }
    };
    (@list $extent:ident $field:ident) => { $crate::Columns::one(stringify!($field), $crate::Extent::$extent) };
    (@list $extent:ident $field:ident _) => { $crate::Columns::Of { parts: &[] } };
    (@list $extent:ident $field:ident ($of:ty)) => { <$of as $crate::FromRow>::COLUMNS };
    (@list $extent:ident $field:ident $name:literal) => { $crate::Columns::one($name, $crate::Extent::$extent) };
    (@read $row:ident $value:ident) => { $row.$value()? };
    (@read $row:ident $value:ident _) => { Default::default() };
    (@read $row:ident $value:ident ($of:ty)) => { $crate::FromRow::read($row)? };
    (@read $row:ident $value:ident $name:literal) => { $row.$value()? };
}

/// The columns that a value is read from, known when the program is built.
#[derive(Debug, Clone, Copy)]
pub enum Columns {
    /// One, by its name.
    One {
        /// What it is computed by; `None`: it is a column of the table.
        expression: Option<&'static str>,
        /// What it is called in the rows.
        name: &'static str,
        /// The extent by which it is read, and by greater ones.
        least: Extent,
    },
    /// Those of the values within it.
    Of {
        /// The columns of each, in their order.
        parts: &'static [Columns],
    },
}

impl Columns {
    /// One column: a name, or an expression with a name (`count(*) AS count`).
    #[must_use]
    pub const fn one(column: &'static str, least: Extent) -> Self {
        let mut at = column.len();
        while at > 4 {
            at -= 1;
            let (before, name) = column.split_at(at);
            if let Some((expression, b" AS ")) = before.as_bytes().split_last_chunk() {
                return Self::One { expression: Some(before.split_at(expression.len()).0), name, least };
            }
        }
        Self::One { expression: None, name: column, least }
    }

    /// Goes through the columns: each as its expression, if it is one, its name, and the extent by which it is read.
    pub(super) fn each(&self, then: &mut impl FnMut(Option<&'static str>, &'static str, Extent)) {
        match self {
            Self::One { expression, name, least } => then(*expression, name, *least),
            Self::Of { parts } => parts.iter().for_each(|part| part.each(then)),
        }
    }

    /// The list of a SELECT of this extent from a table that is called `t`.
    pub(super) fn list(&self, extent: Extent) -> String {
        let mut list = String::with_capacity(256);
        self.each(&mut |expression, name, least| {
            if least <= extent {
                list.push_str(if list.is_empty() { "" } else { ", " });
                match expression {
                    Some(expression) => list.extend([expression, " AS "]),
                    None => list.push_str("t."),
                }
                list.push_str(name);
            }
        });
        list
    }

    /// Where the columns of this extent stand in rows like this one.
    fn places(&self, row: &QueryResult, extent: Extent) -> Result<Vec<Option<usize>>, DbErr> {
        if let Some(row) = row.try_as_pg_row() {
            self.places_among(row.columns(), extent)
        } else if let Some(row) = row.try_as_sqlite_row() {
            self.places_among(row.columns(), extent)
        } else {
            Err(other_engine())
        }
    }

    fn places_among<C: sqlx::Column>(&self, found: &[C], extent: Extent) -> Result<Vec<Option<usize>>, DbErr> {
        let (mut places, mut next, mut missing) = (Vec::with_capacity(found.len()), 0, None);
        self.each(&mut |_, name, least| {
            let is = |place: usize| {
                found.get(place).is_some_and(|column| column.name() == name || (name == ONLY && found.len() == 1))
            };
            // Nearly always they come in the order in which they were asked for.
            let place = match least <= extent {
                true if is(next) => Some(next),
                true => (0..found.len()).find(|place| is(*place)),
                false => return places.push(None),
            };
            match place {
                Some(place) => next = place + 1,
                None => missing = Some(name),
            }
            places.push(place);
        });
        let names = || found.iter().map(sqlx::Column::name).collect::<Vec<_>>();
        missing.map_or(Ok(places), |name| Err(DbErr::Type(format!("there is no column {name} among {:?}", names()))))
    }
}

/// One row of an answer.
pub struct Row<'r> {
    result: &'r QueryResult,
    places: std::slice::Iter<'r, Option<usize>>,
}

impl Row<'_> {
    /// Reads the next of the [`Columns`]; [`row!`](crate::row!) calls this. Which types the columns have is up to our
    /// own statements, and is not compared for each value.
    ///
    /// # Errors
    /// When the column holds something else, or was not asked for.
    pub fn value<T: Column>(&mut self) -> Result<T, DbErr> {
        let place = self.places.next().copied().flatten();
        self.at(place.ok_or_else(|| DbErr::Type("a column was not asked for".to_owned()))?)
    }

    /// Reads the next of the [`Columns`] if it was asked for.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn value_or_default<T: Column + Default>(&mut self) -> Result<T, DbErr> {
        self.places.next().copied().flatten().map_or_else(|| Ok(T::default()), |place| self.at(place))
    }

    fn at<T: Column>(&self, place: usize) -> Result<T, DbErr> {
        if let Some(row) = self.result.try_as_pg_row() {
            row.try_get_unchecked(place).map_err(unreadable)
        } else if let Some(row) = self.result.try_as_sqlite_row() {
            row.try_get_unchecked(place).map_err(unreadable)
        } else {
            Err(other_engine())
        }
    }
}

/// What a column may hold.
pub trait Column: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite> {}

impl<T: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite>> Column for T {}

fn unreadable(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn other_engine() -> DbErr {
    DbErr::Type("a row of an engine that is not used".to_owned())
}

/// A row of a per-user table with its user, the column `user_id`.
impl<T: FromRow> FromRow for (i64, T) {
    const COLUMNS: Columns = Columns::Of { parts: &[Columns::one("user_id", Extent::Main), T::COLUMNS] };

    fn read(row: &mut Row<'_>) -> Result<Self, DbErr> {
        Ok((row.value()?, T::read(row)?))
    }
}

/// Stands for the name of a column that is the only one.
const ONLY: &str = "*";

/// The only column of a row, whatever its name is.
#[derive(Debug, Clone, Copy)]
pub struct Only<T>(pub T);

impl<T: Column> FromRow for Only<T> {
    const COLUMNS: Columns = Columns::one(ONLY, Extent::Main);

    fn read(row: &mut Row<'_>) -> Result<Self, DbErr> {
        Ok(Self(row.value()?))
    }
}

row! {
    /// How many rows there are for something.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Count { pub(super) id: i64, pub(super) count: i64 = "count(*) AS count" }
}

/// Reads rows, which all have the same columns.
pub(super) fn read<T: FromRow>(rows: &[QueryResult], extent: Extent) -> Result<Vec<T>, DbErr> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let places = T::COLUMNS.places(first, extent)?;
    rows.iter().map(|result| T::read(&mut Row { result, places: places.iter() })).collect()
}

/// Declares an enumeration whose values are stored under names: `names! { pub enum Scope { Claim = "CLAIM", … } }`. It
/// can be a column of an entity, and is read and written as JSON by the same names.
#[macro_export]
macro_rules! names {
    ($(#[$meta:meta])* pub enum $of:ident { $($(#[$of_value:meta])* $value:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sea_orm::EnumIter, sea_orm::DeriveActiveEnum,
            serde::Serialize, serde::Deserialize,
        )]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $of {
            $($(#[$of_value])* #[sea_orm(string_value = $name)] #[serde(rename = $name)] $value),+
        }

        impl $of {
            /// All values, in their order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// The name as it is stored and told.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name),+
                }
            }
        }

        impl<'r, D: sea_orm::sqlx::Database> sea_orm::sqlx::Decode<'r, D> for $of
        where
            &'r str: sea_orm::sqlx::Decode<'r, D>,
        {
            fn decode(value: D::ValueRef<'r>) -> Result<Self, sea_orm::sqlx::error::BoxDynError> {
                let name = <&str as sea_orm::sqlx::Decode<'r, D>>::decode(value)?;
                let value = Self::ALL.into_iter().find(|value| value.as_str() == name);
                value.ok_or_else(|| format!("{name} is no {}", stringify!($of)).into())
            }
        }
    };
}
