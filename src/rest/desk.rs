//! What handlers work with.

use std::future::Future;
use std::sync::Arc;

use axum::http::{HeaderMap, Method, Uri};

use crate::auth::rate::Rates;
use crate::auth::signed_fetch::Signed;
use crate::auth::{Authenticator, Caller, extract};
use crate::clock::{Clock, Ids, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::db::catalogue::Catalogue;
use crate::error::{Code, Error, Result};
use crate::graphql::batcher::Batcher;
use crate::request::Request;
use crate::verify::Verifier;
use crate::write::Writer;

/// What a request costs; what it does with many things costs more.
const COST: u64 = 10;

/// What handlers work with: the clock, credentials, and what requests are made of.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) batcher: Arc<Batcher>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) verifier: Arc<Verifier>,
}

impl Desk {
    /// The instant, to be read once per request.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who shows this key or token; a request of theirs begins.
    pub(crate) async fn authenticate(&self, credential: &str, now: Timestamp) -> Result<Arc<Caller>> {
        let caller = self.authenticator.authenticate(credential, &self.db, now).await?;
        self.charge(&caller, COST)?;
        Ok(caller)
    }

    /// Takes what a request costs out of what the caller may ask for.
    pub(crate) fn charge(&self, caller: &Caller, cost: u64) -> Result<()> {
        // Nothing is answered to somebody without a credential, so no address is needed.
        self.rates.charge(caller, None, cost).map(|_| ())
    }

    /// Who signed the request, which begins.
    pub(crate) async fn signed(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Signed)> {
        let sent = extract::signature(headers).ok_or_else(|| {
            Error::new(
                Code::InvalidCredential,
                "the request is not signed: x-identity-auth-chain-0 and so on are missing",
            )
        })?;
        let (caller, signed) =
            self.authenticator.authenticate_signed(&sent, method.as_str(), uri.path(), &self.db, now).await?;
        self.charge(&caller, COST)?;
        Ok((caller, signed))
    }

    /// Does the work of a request of `caller` at `now`.
    pub(crate) async fn work<F: Future>(
        &self,
        caller: Arc<Caller>,
        now: Timestamp,
        work: impl FnOnce(Request) -> F,
    ) -> F::Output {
        let (config, catalogue) = (Arc::clone(&self.config), self.catalogue.current());
        let verifier = Arc::clone(&self.verifier);
        let request = Request::new(caller, now, config, catalogue, &self.batcher, &self.writer, verifier);
        let load = Arc::clone(&request.load);
        load.run(work(request)).await
    }
}
