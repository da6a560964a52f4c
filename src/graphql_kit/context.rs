//! What a field may be that fails or is absent.

use async_graphql::Context;
use futures_util::future::BoxFuture;

use waymark_kernel::error::Result;

/// Whether the elements of the connection that is being answered are asked for this field. Long texts are not loaded
/// where nobody asks for them, because nobody pays for them there.
pub fn elements_show(context: &Context<'_>, field: &str) -> bool {
    let asked = context.look_ahead();
    asked.field("nodes").field(field).exists() || asked.field("edges").field("node").field(field).exists()
}

/// The value of a field that may fail or be absent without taking its parent along: `null`, with an error beside it
/// when it failed.
pub type Nullable<T> = Option<Result<T>>;

/// Turns the outcome of `work` into a field's value.
///
/// The work is boxed here, and not kept in the resolver's own future: the engine keeps one future per field of an
/// object, each as large as the largest resolver of the type.
pub fn nullable<'a, T>(work: impl Future<Output = Result<Option<T>>> + Send + 'a) -> BoxFuture<'a, Nullable<T>> {
    Box::pin(async move { work.await.transpose() })
}

/// Turns the outcome of `work` into the value of a field that is always there unless it failed.
pub fn present<'a, T>(work: impl Future<Output = Result<T>> + Send + 'a) -> BoxFuture<'a, Nullable<T>> {
    Box::pin(async move { Some(work.await) })
}
