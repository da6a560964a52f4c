//! What there is where there is nothing: a page for people, and the usual refusal for programs.

use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::refusal;
use waymark_users::rules::is_handle;

/// The page loads nothing, and has its few styles in itself.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Answers at an address where nothing is.
pub(super) async fn answer(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let is_read = method == Method::GET || method == Method::HEAD;
    if !is_read || !is_for_people(&headers) {
        return refusal(StatusCode::NOT_FOUND, "there is nothing at this path");
    }
    match without_slash(&uri) {
        Some(place) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, place)]).into_response(),
        None => page(&uri),
    }
}

/// Whether no user can have the handle in an address of a profile.
pub(super) fn is_of_nobody(uri: &Uri) -> bool {
    let handle = uri.path().strip_prefix("/u/").filter(|rest| !rest.contains('/'));
    handle.is_some_and(|handle| !is_handle(handle))
}

/// Whether a browser asks for a page to show.
fn is_for_people(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|list| list.split(',').any(|one| one.split(';').next().is_some_and(|one| one.trim() == "text/html")))
}

/// The same address without a slash behind it, relative to it, where a page stands.
fn without_slash(uri: &Uri) -> Option<String> {
    let path = uri.path().strip_suffix('/')?;
    let handle = path.strip_prefix("/u/").filter(|handle| is_handle(handle));
    let name = handle.or_else(|| (path == "/admin").then_some("admin"))?;
    Some(uri.query().map_or_else(|| format!("../{name}"), |query| format!("../{name}?{query}")))
}

/// The page that says so, with the way to the first one.
pub(super) fn page(uri: &Uri) -> Response {
    // The server may stand behind a prefix that it does not see.
    let depth = uri.path().matches('/').count().saturating_sub(1);
    let home = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let html = format!(
        r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Nothing here · Waymark</title>
    <style>
      :root {{ color-scheme: light dark }}
      body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1.5rem }}
    </style>
  </head>
  <body>
    <h1>There is nothing here</h1>
    <p>No page stands at this address. A profile has <code>u/</code> and a handle, 2 to 20 letters and digits.</p>
    <p><a href="{home}">To the first page</a></p>
  </body>
</html>
"#
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::NOT_FOUND, headers, html).into_response()
}
