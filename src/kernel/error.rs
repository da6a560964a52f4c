//! The one error type that crosses module boundaries, and the closed set of its codes.
//!
//! An [`Error`] is a failure of a request: bad input, a missing permission, a fault of the server. An expected refusal
//! of a mutation (a goal that is not complete) is data in its payload and not an error. GraphQL and each REST dialect
//! map the same error to their own shape.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// What kind of failure an [`Error`] is. Clients may rely on these names; new ones may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The GraphQL document is no GraphQL.
    GraphqlParseFailed,
    /// The GraphQL document does not fit the schema.
    GraphqlValidationFailed,
    /// An argument is malformed or out of its range.
    BadUserInput,
    /// The credential is not one of ours, has expired or was revoked.
    InvalidCredential,
    /// The caller may not do or see this.
    Forbidden,
    /// More was asked for than one request may ask.
    LimitExceeded,
    /// More was asked for in a time than the caller may ask; trying again later helps.
    RateLimited,
    /// There is no trusted document with this id.
    PersistedDocumentNotFound,
    /// The request names a query by its hash alone; this server keeps none under hashes, so the client has to send the
    /// text.
    PersistedQueryNotSupported,
    /// The request names a query by a hash that is not known here yet; the client has to send the text with it once.
    PersistedQueryNotFound,
    /// The idempotency key came before with another input.
    IdempotencyKeyReused,
    /// The user, or the one whose cursor this is, has been merged into another one; begin anew with the other.
    UserMerged,
    /// The database or another part cannot be reached at the moment; trying again may help.
    Unavailable,
    /// A fault of ours. An id beside the code stands in the log with the cause.
    Internal,
}

impl Code {
    /// The name as clients see it, such as `BAD_USER_INPUT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::InvalidCredential => "INVALID_CREDENTIAL",
            Self::Forbidden => "FORBIDDEN",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::RateLimited => "RATE_LIMITED",
            Self::PersistedDocumentNotFound => "PERSISTED_DOCUMENT_NOT_FOUND",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::UserMerged => "USER_MERGED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A failed request: a code for programs, a message that may be shown to the client, and the cause for the log.
///
/// Cheap to clone, because one failed batch answers many waiters.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: Arc<str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    passing: bool,
    noted: bool,
    retry_after: Option<u32>,
}

/// The result of a function that may fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with a message fit for the client.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Arc<str>>) -> Self {
        Self { code, message: message.into(), source: None, passing: false, noted: false, retry_after: None }
    }

    /// [`Code::BadUserInput`]: says what is wrong with the input and what would be right.
    #[must_use]
    pub fn bad_input(message: impl Into<Arc<str>>) -> Self {
        Self::new(Code::BadUserInput, message)
    }

    /// [`Code::LimitExceeded`]: says the limit and what was asked for.
    #[must_use]
    pub fn limit(message: impl Into<Arc<str>>) -> Self {
        Self::new(Code::LimitExceeded, message)
    }

    /// [`Code::RateLimited`]: says in how many seconds it can be done.
    #[must_use]
    pub fn rate_limited(seconds: u32) -> Self {
        let message = format!("too much was asked for in a short time; try again in {seconds} seconds");
        Self { retry_after: Some(seconds), ..Self::new(Code::RateLimited, message) }
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(self, message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// In how many seconds trying again may help, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// [`Code::Forbidden`]: says what would be needed.
    #[must_use]
    pub fn forbidden(message: impl Into<Arc<str>>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// [`Code::Internal`]: the cause goes to the log only.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::caused(Code::Internal, "internal error", source)
    }

    /// A failure whose cause goes to the log only.
    #[must_use]
    pub fn caused(
        code: Code,
        message: impl Into<Arc<str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            source: Some(Arc::from(source.into())),
            passing: false,
            noted: false,
            retry_after: None,
        }
    }

    /// The same failure, of work that lost against other work and may be done again at once.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    /// Whether the work that failed lost against other work and may be done again at once.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        self.passing
    }

    /// The same failure, of a state that the log tells of by itself, when it begins and when it ends.
    #[must_use]
    pub fn noted(self) -> Self {
        Self { noted: true, ..self }
    }

    /// Whether the log tells of it already, so that it need not tell of every request that fails for it.
    #[must_use]
    pub const fn is_noted(&self) -> bool {
        self.noted
    }

    /// What kind of failure this is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The message for the client; holds nothing internal.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The chain of causes in one line, for the log; what a cause repeats of the next one stands there once.
    #[must_use]
    pub fn chain(&self) -> String {
        use std::error::Error as _;
        let mut text = self.message.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let cause_says = cause.to_string();
            if !text.ends_with(&cause_says) {
                text.push_str(": ");
                text.push_str(&cause_says);
            }
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
