//! What a resolver finds in its context.

use async_graphql::Context;

use crate::error::{Error, Result};
use crate::request::Request;

/// Reaches the request from a resolver.
pub(crate) trait Ask {
    /// The request that is being answered.
    fn ask(&self) -> Result<&Request>;
}

impl Ask for Context<'_> {
    fn ask(&self) -> Result<&Request> {
        self.data::<Request>().map_err(|error| Error::internal(error.message))
    }
}

/// The value of a field that may fail or be absent without taking its parent along: `null`, with an error beside it
/// when it failed.
pub(crate) type Nullable<T> = Option<Result<T>>;

/// Turns the outcome of `work` into a field's value.
pub(crate) async fn nullable<T>(work: impl Future<Output = Result<Option<T>>>) -> Nullable<T> {
    work.await.transpose()
}

/// Turns the outcome of `work` into the value of a field that is always there unless it failed.
pub(crate) async fn present<T>(work: impl Future<Output = Result<T>>) -> Nullable<T> {
    Some(work.await)
}
