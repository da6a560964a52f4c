//! What handlers work with.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};

use super::Fault;
use crate::admission::Admission;
use crate::auth::rate::Rates;
use crate::auth::signed_fetch::Signed;
use crate::auth::{Authenticator, Caller, SIGNATURE, extract};
use crate::clock::{Ids, Timestamp, Watch};
use crate::config::Config;
use crate::db::Db;
use crate::db::catalogue::Catalogue;
use crate::error::{Code, Error, Result};
use crate::graphql::batcher::Batcher;
use crate::request::Request;
use crate::verify::Verifier;
use crate::write::Writer;

/// What a request costs; what it does with many things, and what it answers, costs more.
const COST: u64 = 10;
/// For how many bytes of an answer one more is paid.
const BYTES: usize = 512;

/// Who sends a request, where the server knows the address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender(pub(crate) Option<IpAddr>);

/// Who asked, for whoever sends the bill when the answer is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tab(Arc<OnceLock<Arc<Caller>>>);

/// What handlers work with: the clock, credentials, and what requests are made of.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Watch,
    pub(crate) db: Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) batcher: Arc<Batcher>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) admission: Arc<Admission>,
    /// The address from which the request comes, where it is known.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) tab: Tab,
}

/// The desk at which one request is handled.
impl FromRequestParts<Self> for Desk {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Self) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Sender>().and_then(|Sender(peer)| *peer);
        let tab = parts.extensions.get::<Tab>().cloned().unwrap_or_default();
        Ok(Self { peer, tab, ..desk.clone() })
    }
}

impl Desk {
    /// The instant, to be read once per request.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who shows this key or token; a request of theirs begins.
    pub(crate) async fn authenticate(&self, credential: &str, now: Timestamp) -> Result<Arc<Caller>> {
        let caller = self.authenticator.authenticate(credential, self.peer, &self.db, now).await?;
        self.begin(&caller, COST)?;
        Ok(caller)
    }

    fn begin(&self, caller: &Arc<Caller>, cost: u64) -> Result<()> {
        // There is one caller in a request.
        let _ = self.tab.0.set(Arc::clone(caller));
        self.charge(caller, cost)
    }

    /// Takes what a request costs out of what the caller may ask for.
    pub(crate) fn charge(&self, caller: &Caller, cost: u64) -> Result<()> {
        self.rates.charge(caller, self.peer, cost).map(|_| ())
    }

    /// Who signed the request, which begins.
    pub(crate) async fn signed(
        &self,
        (method, uri): (&Method, &Uri),
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Signed)> {
        self.authenticator.takes_signatures()?;
        let Some(sent) = extract::signature(headers) else {
            let message = "the request is not signed: x-identity-auth-chain-0 and so on are missing";
            return Err(Error::new(Code::InvalidCredential, message));
        };
        let asked = (method.as_str(), uri.path());
        let (caller, signed) = self.authenticator.authenticate_signed(&sent, asked, self.peer, &self.db, now).await?;
        self.begin(&caller, COST + SIGNATURE * signed.verified.saturating_sub(1))?;
        Ok((caller, signed))
    }

    /// Lets whoever asked pay for an answer of so many bytes. It is known only now, so what is not in the bucket is owed.
    pub(super) fn bill(&self, tab: &Tab, bytes: usize) {
        if let Some(caller) = tab.0.get() {
            self.rates.owe(caller, self.peer, (bytes / BYTES) as u64);
        }
    }

    /// A credential is refused that is none at all.
    pub(crate) fn refuse(&self, refusal: Fault) -> Fault {
        self.authenticator.refuse(self.peer, 0).map_or_else(Fault::from, |()| refusal)
    }

    /// Does the work of a request of `caller` at `now`. Where its answer would be longer than an answer may be, it is given
    /// up.
    pub(crate) async fn work<F, T, E>(
        &self,
        caller: Arc<Caller>,
        now: Timestamp,
        work: impl FnOnce(Request) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let (config, catalogue) = (Arc::clone(&self.config), self.catalogue.current());
        let verifier = Arc::clone(&self.verifier);
        let request = Request::new(caller, now, config, catalogue, &self.batcher, &self.writer, verifier);
        let load = Arc::clone(&request.load);
        load.run_within(work(request)).await.unwrap_or_else(|too_long| Err(too_long.into_error().into()))
    }
}
