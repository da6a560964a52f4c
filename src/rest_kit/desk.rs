//! What handlers work with.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};

use super::Fault;
use waymark_auth::rate::Rates;
use waymark_auth::signed_fetch::Signed;
use waymark_auth::{Authenticator, Caller, SIGNATURE, extract};
use waymark_db::Db;
use waymark_db::catalogue::Catalogue;
use waymark_graphql_kit::batcher::Batcher;
use waymark_kernel::clock::{Ids, Timestamp, Watch};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};
use waymark_request::Request;
use waymark_request::admission::Admission;
use waymark_verify::Verifier;
use waymark_write::Writer;

/// What a request costs; what it does with many things, and what it answers, costs more.
const COST: u64 = 10;
/// For how many bytes of an answer one more is paid.
const BYTES: usize = 512;

/// Who sends a request, where the server knows the address.
#[derive(Debug, Clone, Copy)]
pub struct Sender(pub Option<IpAddr>);

/// The caller, for the layer that charges for the answer once it is known.
#[derive(Debug, Clone, Default)]
pub struct Tab(Arc<OnceLock<Arc<Caller>>>);

/// What handlers work with: the clock, credentials, and what requests are made of.
#[derive(Clone)]
pub struct Desk {
    /// The effective configuration.
    pub config: Arc<Config>,
    /// Where `now` comes from.
    pub clock: Watch,
    /// The database, for looking up credentials.
    pub db: Db,
    /// Where new identifiers come from.
    pub ids: Arc<Ids>,
    /// Checks credentials.
    pub authenticator: Arc<Authenticator>,
    /// What each caller and address may still ask for.
    pub rates: Arc<Rates>,
    /// What operators define, kept up to date in memory.
    pub catalogue: Arc<Catalogue>,
    /// Collects the reads of requests into batches.
    pub batcher: Arc<Batcher>,
    /// Runs the writes of requests.
    pub writer: Arc<Writer>,
    /// Looks for stored values that do not follow from their source.
    pub verifier: Arc<Verifier>,
    /// Lets requests in, as many as there are places for.
    pub admission: Arc<Admission>,
    /// The address from which the request comes, where it is known.
    pub peer: Option<IpAddr>,
    /// Where the caller is noted, who pays for the answer.
    pub tab: Tab,
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
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who shows this key or token; a request of theirs begins.
    pub async fn authenticate(&self, credential: &str, now: Timestamp) -> Result<Arc<Caller>> {
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
    pub fn charge(&self, caller: &Caller, cost: u64) -> Result<()> {
        self.rates.charge(caller, self.peer, cost).map(|_| ())
    }

    /// Who signed the request, which begins.
    pub async fn signed(
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

    /// Charges the caller for an answer of `bytes` bytes. The length is known only now, so what is not in the bucket is
    /// owed.
    pub(super) fn bill(&self, tab: &Tab, bytes: usize) {
        if let Some(caller) = tab.0.get() {
            self.rates.owe(caller, self.peer, (bytes / BYTES) as u64);
        }
    }

    /// Refuses a malformed credential, which counts as a refused one for its address.
    pub fn refuse(&self, refusal: Fault) -> Fault {
        self.authenticator.refuse(self.peer, 0).map_or_else(Fault::from, |()| refusal)
    }

    /// Does the work of a request of `caller` at `now`, which writes nothing. Where its answer would be longer than an
    /// answer may be, it is given up.
    pub async fn work<F, T, E>(
        &self,
        caller: Arc<Caller>,
        now: Timestamp,
        work: impl FnOnce(Request) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let batcher = self.batcher.to_read(|| caller.principal());
        self.work_by(batcher, caller, now, work).await
    }

    /// Does the same for a request that may write.
    pub async fn work_to_write<F, T, E>(
        &self,
        caller: Arc<Caller>,
        now: Timestamp,
        work: impl FnOnce(Request) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        self.work_by(&self.batcher, caller, now, work).await
    }

    async fn work_by<F, T, E>(
        &self,
        batcher: &Arc<Batcher>,
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
        let request = Request::new(caller, now, config, catalogue, batcher, &self.writer, verifier);
        let load = Arc::clone(&request.load);
        load.run_within(work(request)).await.unwrap_or_else(|too_long| Err(too_long.into_error().into()))
    }
}
