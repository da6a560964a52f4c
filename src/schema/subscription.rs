//! The subscription root.

use async_graphql::{Context, Subscription};
use futures_util::{Stream, StreamExt as _};

use waymark_auth::Session;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::history;
use waymark_kinds::history::graphql::ProgressEvent;
use waymark_kinds::history::live::Marks;
use waymark_kinds::users::graphql::UserBy;
use waymark_request::Ask as _;

/// Everything that can be followed.
#[derive(Debug, Default)]
pub struct Subscription;

/// What happens from now on. Over WebSockets (`graphql-transport-ws`) and server-sent events.
#[Subscription]
impl Subscription {
    /// Everything that changes for a user, in the order of the user's history. A client that lost its connection gives
    /// the cursor of the last event it saw as `after`, and gets every later one, each once. Ends with an error when the
    /// caller may not see the user's progress any longer, and with USER_MERGED, which names the survivor, when the user
    /// is merged into another one.
    async fn user_progress(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names the user by exactly one of id, handle, address and account.")] user: UserBy,
        #[graphql(desc = "Begin behind the event with this cursor. Without it, begin with what happens from now on.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<ProgressEvent>>> {
        let session = context.data::<Session>().map_err(|error| Error::internal(error.message))?;
        let marks = context.data_opt::<Marks>().cloned();
        let after = marks.as_ref().and_then(Marks::take).or(after);
        let (key, events) = history::live::follow(context.ask()?, session.clone(), user.into(), after).await?;
        Ok(events.map(move |event| {
            let event = event?;
            if let Some(marks) = &marks {
                marks.set(key, &event);
            }
            Ok(ProgressEvent::of(key, event))
        }))
    }
}
