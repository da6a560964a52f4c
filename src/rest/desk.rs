//! What handlers work with.

use std::future::Future;
use std::sync::Arc;

use axum::http::{HeaderMap, Method, Uri};

use crate::auth::signed_fetch::Signed;
use crate::auth::{Authenticator, Caller, extract};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::request::Request;

type Begin = dyn Fn(Arc<Caller>, Timestamp) -> Request + Send + Sync;

/// What handlers work with: the clock, credentials, and a way to begin requests.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) config: Arc<Config>,
    clock: Clock,
    db: Db,
    authenticator: Arc<Authenticator>,
    begin: Arc<Begin>,
}

impl Desk {
    pub(crate) fn new(
        config: Arc<Config>,
        clock: Clock,
        db: Db,
        authenticator: Arc<Authenticator>,
        begin: impl Fn(Arc<Caller>, Timestamp) -> Request + Send + Sync + 'static,
    ) -> Self {
        Self { config, clock, db, authenticator, begin: Arc::new(begin) }
    }

    /// The instant, to be read once per request.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who shows this key or token.
    pub(crate) async fn authenticate(&self, credential: &str, now: Timestamp) -> Result<Arc<Caller>> {
        self.authenticator.authenticate(credential, &self.db, now).await
    }

    /// Who signed the request.
    pub(crate) async fn signed(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Signed)> {
        let sent = extract::signature(headers).ok_or_else(|| {
            Error::new(Code::InvalidCredential, "the request is not signed: x-identity-auth-chain-0 and so on are missing")
        })?;
        self.authenticator.authenticate_signed(&sent, method.as_str(), uri.path(), &self.db, now).await
    }

    /// Does the work of a request of `caller` at `now`.
    pub(crate) async fn work<F: Future>(
        &self,
        caller: Arc<Caller>,
        now: Timestamp,
        work: impl FnOnce(Request) -> F,
    ) -> F::Output {
        let request = (self.begin)(caller, now);
        let load = Arc::clone(&request.load);
        load.run(work(request)).await
    }
}
