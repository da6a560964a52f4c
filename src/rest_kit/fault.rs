//! A request that is not answered as it was meant.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use waymark_graphql_kit::meter::TooLong;
use waymark_kernel::error::{Code, Error};

/// What a handler answers: JSON, or a fault.
pub type Answer<T> = Result<Json<T>, Fault>;

/// Why a request is not answered as it was meant. The dialect finds the form for it.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// What is wrong, for people.
    pub message: Cow<'static, str>,
    /// The number of this fault, in the dialect that has numbers; the status where it is not given.
    pub number: Option<u16>,
    /// The parameter that is wrong, in the dialect that names it.
    pub parameter: Option<&'static str>,
    /// In how many seconds trying again may help, where that is known.
    pub(super) retry_after: Option<u32>,
}

impl Fault {
    /// Makes a fault of this status, without number and parameter.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), number: None, parameter: None, retry_after: None }
    }

    /// Makes a fault of a malformed request: 400.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Makes a fault of a missing or invalid credential: 401.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Makes a fault of a request that the caller may not make: 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// Makes a fault of a request for what is not there: 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Returns the fault of an answer that would be longer than `most` bytes.
    pub(super) fn too_long(most: usize) -> Self {
        Self::from(TooLong { most: most as u64, root: None }.into_error())
    }

    /// Returns the same fault with its number, for the dialect that has numbers.
    pub fn numbered(self, number: u16) -> Self {
        Self { number: Some(number), ..self }
    }

    /// Returns the same fault with the name of the parameter that is wrong.
    pub fn of_parameter(self, name: &'static str) -> Self {
        Self { parameter: Some(name), ..self }
    }

    /// The kind of fault in one word, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::CONFLICT => "conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "payload_too_large",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            status if status.is_server_error() => "internal_error",
            _ => "bad_request",
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            Code::InvalidCredential => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::IdempotencyKeyReused => StatusCode::CONFLICT,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable | Code::ReadOnly => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::BadUserInput
            | Code::LimitExceeded
            | Code::UserMerged
            | Code::PersistedDocumentNotFound
            | Code::PersistedQueryNotSupported
            | Code::PersistedQueryNotFound
            | Code::GraphqlParseFailed
            | Code::GraphqlValidationFailed => StatusCode::BAD_REQUEST,
        };
        if status.is_server_error() && !error.is_noted() {
            tracing::error!(error = error.chain(), "a request failed");
        }
        Self { retry_after: error.retry_after(), ..Self::new(status, error.message().to_owned()) }
    }
}

impl From<BytesRejection> for Fault {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "the body is too long"),
            _ => Self::bad_request("the body could not be read"),
        }
    }
}

/// Only the status, and the fault beside it; the dialect makes the rest of it.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
