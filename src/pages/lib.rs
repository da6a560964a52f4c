//! The pages: what `playground` builds, in the program.
//!
//! A room of its own, so that the files are read and compressed only when they change.

use axum::Router;
use memory_serve::CacheControl;

/// Serves the editor at `/`, the page of a user at `/u/{handle}` and the operator's at `/admin`, with the files they
/// load.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    memory_serve::load!()
        .index_file(Some("/index.html"))
        .add_alias("/u/{handle}", "/u/index.html")
        .add_alias("/admin", "/admin.html")
        .html_cache_control(CacheControl::NoCache)
        .cache_control(CacheControl::Long)
        .into_router()
}
