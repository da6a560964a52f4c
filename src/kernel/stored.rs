//! How a [`Timestamp`] is stored: a `BIGINT` of milliseconds since 1970-01-01T00:00:00Z.
//!
//! A number beyond what can be written as a date is read as the nearest one that can.

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, Value, ValueType, ValueTypeErr};
use sea_orm::sqlx::error::BoxDynError;
use sea_orm::sqlx::{Database, Decode};
use sea_orm::{ActiveValue, ColIdx, DbErr, IntoActiveValue, QueryResult, TryFromU64, TryGetError, TryGetable};

use crate::clock::Timestamp;

impl From<Timestamp> for Value {
    fn from(instant: Timestamp) -> Self {
        instant.millis().into()
    }
}

impl TryGetable for Timestamp {
    fn try_get_by<I: ColIdx>(row: &QueryResult, column: I) -> Result<Self, TryGetError> {
        i64::try_get_by(row, column).map(Self::from_millis)
    }
}

impl<'r, D: Database> Decode<'r, D> for Timestamp
where
    i64: Decode<'r, D>,
{
    fn decode(value: D::ValueRef<'r>) -> Result<Self, BoxDynError> {
        i64::decode(value).map(Self::from_millis)
    }
}

impl ValueType for Timestamp {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <i64 as ValueType>::try_from(value).map(Self::from_millis)
    }

    fn type_name() -> String {
        "Timestamp".to_owned()
    }

    fn array_type() -> ArrayType {
        <i64 as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <i64 as ValueType>::column_type()
    }
}

impl Nullable for Timestamp {
    fn null() -> Value {
        <i64 as Nullable>::null()
    }
}

impl IntoActiveValue<Self> for Timestamp {
    fn into_active_value(self) -> ActiveValue<Self> {
        ActiveValue::Set(self)
    }
}

/// Asked of every column of a primary key; an instant is never a number that the database counts up.
impl TryFromU64 for Timestamp {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Timestamp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: impl Into<Value>) -> Option<Timestamp> {
        <Option<Timestamp> as ValueType>::unwrap(value.into())
    }

    #[test]
    fn an_instant_is_stored_in_milliseconds_and_read_back() {
        let instant = Timestamp::from_millis(1_773_585_000_123);
        assert_eq!(Value::from(instant), Value::BigInt(Some(1_773_585_000_123)));
        assert_eq!(read(instant), Some(instant));
        assert_eq!(read(None::<Timestamp>), None);
    }

    #[test]
    fn a_number_beyond_all_dates_is_read_as_the_nearest_one() {
        assert_eq!(read(i64::MAX), Some(Timestamp::MAX));
        assert_eq!(read(i64::MIN), Some(Timestamp::MIN));
    }
}
