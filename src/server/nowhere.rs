//! What there is where there is nothing: a page for people, and the usual refusal for programs.

use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::refusal;
use waymark_kinds::users::rules::{HANDLE, is_handle};

/// The page loads nothing, and has its few styles in itself.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Answers at an address where nothing is.
pub(super) async fn answer(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let is_read = method == Method::GET || method == Method::HEAD;
    match without_slash(&uri).filter(|_| is_read && is_for_people(&headers)) {
        Some(place) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, place)]).into_response(),
        None => refuse(is_read, &uri, &headers),
    }
}

/// Says that nothing is at `uri`, or that it is no address: in words, or by a page where a browser wants to show one.
pub(super) fn refuse(is_read: bool, uri: &Uri, headers: &HeaderMap) -> Response {
    let fault = if is_malformed(uri.path()) { &MALFORMED } else { &NOTHING };
    if is_read && is_for_people(headers) { page(uri, fault) } else { refusal(fault.status, fault.message) }
}

/// The handle in the address of a profile; it need not be one.
pub(super) fn handle(uri: &Uri) -> Option<&str> {
    uri.path().strip_prefix("/u/").filter(|rest| !rest.contains('/'))
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

/// Whether a path has a percent sign without two hexadecimal digits behind it, or stands for no UTF-8 text.
fn is_malformed(path: &str) -> bool {
    let mut pieces = path.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(Ok(byte)) = digits.map(|digits| u8::from_str_radix(digits, 16)) else { return true };
        bytes.push(byte);
        bytes.extend(piece.bytes().skip(2));
    }
    std::str::from_utf8(&bytes).is_err()
}

/// What is wrong with an address: in words for programs, and as the title and the sentence of a page.
struct Fault {
    status: StatusCode,
    message: &'static str,
    title: &'static str,
    sentence: &'static str,
}

const NOTHING: Fault = Fault {
    status: StatusCode::NOT_FOUND,
    message: "there is nothing at this path",
    title: "There is nothing here",
    sentence: "No page stands at this address.",
};

const MALFORMED: Fault = Fault {
    status: StatusCode::BAD_REQUEST,
    message: "the path is not percent-encoded UTF-8",
    title: "This is no address",
    sentence: "A percent sign in it is not followed by the code of a character.",
};

/// The page that says so, with the way to the first one.
fn page(uri: &Uri, Fault { status, title, sentence, .. }: &Fault) -> Response {
    // The server may stand behind a prefix that it does not see.
    let depth = uri.path().matches('/').count().saturating_sub(1);
    let home = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let html = format!(
        r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>{title} · Waymark</title>
    <style>
      :root {{ color-scheme: light dark }}
      body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1.5rem }}
    </style>
  </head>
  <body>
    <h1>{title}</h1>
    <p>{sentence} A profile has <code>u/</code> and a handle in it: {HANDLE}.</p>
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
    (*status, headers, html).into_response()
}
