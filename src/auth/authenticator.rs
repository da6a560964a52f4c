//! From a credential to a [`Caller`].
//!
//! A credential that is refused costs the address it comes from what it cost the server. An address from which too many
//! were refused has to wait before another one is looked at, except for those that were good not long ago.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::api_key;
use super::caller::{Caller, Player};
use super::jwt::{AuthError, JwtVerifier};
use super::mark::Mark;
use super::rate::Refusals;
use super::repo;
use super::signed_fetch::{Sent, Signed, Verifier};
use waymark_db::{Asker, Db};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};

/// What an identity that comes from a JSON Web Token is filed under.
pub const JWT_PROVIDER: &str = "jwt";

/// What the identity of a wallet is filed under: an address in lower case.
pub const WALLET_PROVIDER: &str = "ethereum";

/// How long an outcome is good for: a key revoked by another process is refused after this at the latest.
const KEPT: Duration = Duration::from_secs(1);
const MOST_KEPT: u64 = 10_000;
/// How long it is known that a credential was an API key's.
const APP_KNOWN: Duration = Duration::from_secs(600);
/// How long a credential that was good is still checked, even when its address has sent too many refused ones.
const TRUSTED: Duration = Duration::from_secs(3600);

/// What a refused credential costs its address, however little had to be looked at.
const REFUSED: u64 = 10;
/// What it costs in addition to look an API key up.
const LOOK_UP: u64 = 10;
/// What it costs in addition to verify the signature of a token.
const TOKEN: u64 = 15;
/// What it costs in addition to verify one signature of a wallet.
pub const SIGNATURE: u64 = 8;

/// Finds out who shows a credential: an API key (`wmk_…`), a JSON Web Token, or the signature of a wallet.
///
/// Outcomes of keys and tokens, refusals too, are kept for one second, so that a burst of requests with one credential
/// costs one look-up.
#[derive(Debug)]
pub struct Authenticator {
    jwt: JwtVerifier,
    /// `None` where signed requests are not taken.
    signed_fetch: Option<Verifier>,
    outcomes: moka::sync::Cache<[u8; 32], Outcome>,
    /// API keys that were good a short while ago.
    apps: moka::sync::Cache<[u8; 32], Instant>,
    /// Credentials that were good when they were looked at last.
    trusted: moka::sync::Cache<[u8; 32], Instant>,
    refusals: Refusals,
    generation: AtomicU64,
}

#[derive(Debug, Clone)]
struct Outcome {
    caller: Result<Arc<Caller>>,
    expires_at: Option<Timestamp>,
    generation: u64,
}

impl Authenticator {
    /// An authenticator with the keys that `config` names.
    ///
    /// # Errors
    /// [`Code::BadUserInput`] when the file of public keys cannot be used.
    pub fn from_config(config: &Config) -> Result<Self> {
        let outcomes = moka::sync::Cache::builder().max_capacity(MOST_KEPT).time_to_live(KEPT).build();
        Ok(Self {
            jwt: JwtVerifier::from_config(config)?,
            signed_fetch: config.signed_fetch.then(|| Verifier::from_config(config)),
            outcomes,
            apps: moka::sync::Cache::builder().max_capacity(MOST_KEPT).time_to_live(APP_KNOWN).build(),
            trusted: moka::sync::Cache::builder().max_capacity(MOST_KEPT).time_to_live(TRUSTED).build(),
            refusals: Refusals::from_config(config),
            generation: AtomicU64::new(0),
        })
    }

    /// Fetches the keys of tokens in the background, where they are fetched. Must be called inside a Tokio runtime.
    pub fn prepare(&self) {
        self.jwt.prepare();
    }

    /// Who shows `credential`, at the address `peer` where that is known. A valid token of a person who has no user yet
    /// gives a [`Player`] without a user: no user is created here.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when the credential is unknown, has expired or was revoked, [`Code::Unavailable`]
    /// while the keys of tokens could not be fetched, [`Code::RateLimited`] when too many from this address were
    /// refused, and every error of the database.
    pub async fn authenticate(
        &self,
        credential: &str,
        peer: Option<IpAddr>,
        db: &Db,
        now: Timestamp,
    ) -> Result<Arc<Caller>> {
        self.admit(credential, peer, db, now).await.map(|(caller, _)| caller)
    }

    /// Who shows `credential`, and when it expires, if it does.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn admit(
        &self,
        credential: &str,
        peer: Option<IpAddr>,
        db: &Db,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Option<Timestamp>)> {
        let key: [u8; 32] = Sha256::digest(credential).into();
        // Read before anything is looked up: a change during the look-up must not be hidden by its outcome.
        let generation = self.generation.load(Ordering::SeqCst);
        if let Some(outcome) = self.outcomes.get(&key)
            && outcome.generation == generation
            && outcome.expires_at.is_none_or(|instant| now < instant)
        {
            if outcome.caller.is_err() {
                self.refuse(peer, 0)?;
            }
            return outcome.caller.map(|caller| (caller, outcome.expires_at));
        }
        if !self.trusted.contains_key(&key) {
            self.refusals.check(peer)?;
        }
        let mut work = 0;
        // Boxed: it is large, and hardly ever needed.
        let (caller, expires_at) = match Box::pin(self.look_up(credential, db, now, &mut work)).await {
            Ok((caller, expires_at)) => {
                remember(&self.trusted, key, TRUSTED);
                (Ok(Arc::new(caller)), expires_at)
            }
            Err(refusal) if refusal.code() == Code::InvalidCredential => {
                self.trusted.invalidate(&key);
                self.refusals.refused(peer, REFUSED + work);
                (Err(refusal), None)
            }
            Err(failure) => return Err(failure),
        };
        if matches!(caller.as_deref(), Ok(Caller::App(_))) {
            remember(&self.apps, key, APP_KNOWN);
        }
        self.outcomes.insert(key, Outcome { caller: caller.clone(), expires_at, generation });
        caller.map(|caller| (caller, expires_at))
    }

    /// Whether `credential` was an API key that was good some minutes ago. Says who is let in first when there is too
    /// much to do, and nothing about what they may do.
    pub fn has_seen_app(&self, credential: &str) -> bool {
        let key: [u8; 32] = Sha256::digest(credential).into();
        self.apps.contains_key(&key)
    }

    /// Lets the address pay for a credential that is refused, which took so much work beyond looking at it.
    ///
    /// # Errors
    /// [`Code::RateLimited`] when too many were refused before.
    pub fn refuse(&self, peer: Option<IpAddr>, work: u64) -> Result<()> {
        self.refusals.check(peer)?;
        self.refusals.refused(peer, REFUSED + work);
        Ok(())
    }

    /// Who signed the request of `method` for `path`, which is as the client sent it, without the query. A good
    /// signature of a person who has no user yet gives a [`Player`] without a user: no user is created here.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when the signature is not good, or none is taken here, [`Code::Forbidden`] when its
    /// metadata are no JSON object or not the player's own, [`Code::RateLimited`] when too many credentials from this
    /// address were refused, and every error of the database.
    pub async fn authenticate_signed(
        &self,
        sent: &Sent<'_>,
        (method, path): (&str, &str),
        peer: Option<IpAddr>,
        db: &Db,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Signed)> {
        self.refusals.check(peer)?;
        let mut verified = 0;
        let signed = self.signed_fetch()?.verify(sent, method, path, now, &mut verified).inspect_err(|_| {
            self.refusals.refused(peer, REFUSED + SIGNATURE * verified);
        })?;
        let player = player(db, WALLET_PROVIDER, signed.address.clone(), Some(signed.expires_at), None).await?;
        Ok((Arc::new(Caller::User(player)), signed))
    }

    /// Whether signed requests are taken at all.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when they are not, with the setting that would change it.
    pub fn takes_signatures(&self) -> Result<()> {
        self.signed_fetch().map(drop)
    }

    fn signed_fetch(&self) -> Result<&Verifier> {
        self.signed_fetch.as_ref().ok_or_else(|| {
            let message = "requests signed by wallets are not taken here, unless WAYMARK_SIGNED_FETCH=true is set";
            Error::new(Code::InvalidCredential, message)
        })
    }

    /// Lets a signed request change something, with this body. Each signature is good for that once, for all servers of
    /// this database and after their restarts: what the request writes keeps the mark that this gives.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when the signature does not name the body, [`Code::InvalidCredential`] when it was used, and
    /// every error of the database.
    pub async fn mark(&self, signed: &Signed, body: &[u8], db: &Db) -> Result<Mark> {
        signed.check_body(body)?;
        Mark::unused(signed.mark(), db).await
    }

    /// Forgets all outcomes, because this process changed keys, users or accounts.
    pub fn clear(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Adds to `work` what it costs beyond looking at it.
    async fn look_up(
        &self,
        credential: &str,
        db: &Db,
        now: Timestamp,
        work: &mut u64,
    ) -> Result<(Caller, Option<Timestamp>)> {
        if credential.starts_with(api_key::MARK) {
            *work += LOOK_UP;
            let found = Asker::Credentials.run(api_key::find(db.reads(), credential, now)).await?;
            let (key, expires_at) = found
                .ok_or_else(|| Error::new(Code::InvalidCredential, "the API key is unknown, revoked or expired"))?;
            return Ok((Caller::App(key), expires_at));
        }
        let claims = self.jwt.verify(credential, now).await.map_err(|refusal| {
            *work += if refusal.is_before_signature() { 0 } else { TOKEN };
            Error::new(code(refusal), refusal.to_string())
        })?;
        let external_id = format!("{}|{}", claims.issuer, claims.subject);
        let expires_at = Some(claims.expires_at);
        let player = player(db, JWT_PROVIDER, external_id, expires_at, claims.preferred_username).await?;
        Ok((Caller::User(player), expires_at))
    }
}

/// What kind of failure it is that a token is not taken.
const fn code(refusal: AuthError) -> Code {
    match refusal {
        AuthError::KeysUnavailable => Code::Unavailable,
        _ => Code::InvalidCredential,
    }
}

/// Returns the player with this identity.
async fn player(
    db: &Db,
    provider: &str,
    external_id: String,
    expires_at: Option<Timestamp>,
    handle_hint: Option<String>,
) -> Result<Player> {
    let owner = Asker::Credentials.run(repo::user_of(db.reads(), provider, &external_id)).await?;
    let provider = provider.to_owned();
    let nobody = Player { user: None, actor: None, member: false, provider, external_id, expires_at, handle_hint };
    Ok(nobody.of(owner))
}

/// Notes down that a credential was good just now, which is known for as long as `kept`. That is done anew when half of
/// the time is over: to store something costs many times what it costs to look.
fn remember(cache: &moka::sync::Cache<[u8; 32], Instant>, key: [u8; 32], kept: Duration) {
    if cache.get(&key).is_none_or(|since| since.elapsed() >= kept / 2) {
        cache.insert(key, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Scope, UserId};
    use crate::jwt;
    use crate::repo::testing::{TestDatabase, link, now};
    use waymark_kernel::clock::Ids;
    use waymark_kernel::config::Secret;

    const SECRET: &str = "a secret of these tests, long enough";

    fn authenticator() -> Authenticator {
        let settings = [("WAYMARK_JWT_SECRET".to_owned(), SECRET.to_owned())];
        Authenticator::from_config(&Config::from_sources(None, settings).unwrap()).unwrap()
    }

    fn token(subject: &str, ttl_seconds: i64) -> String {
        jwt::mint(&Secret::new(SECRET), subject, None, None, now(), ttl_seconds).unwrap()
    }

    async fn new_key(db: &TestDatabase, expires_at: Option<Timestamp>) -> (String, String) {
        let ids = Ids::system();
        let (secret, key) =
            api_key::create(db.writes(), &ids, now(), "key", &[Scope::ProgressWrite], None, expires_at).await.unwrap();
        (secret.expose().to_owned(), key.prefix)
    }

    fn user(caller: &Caller) -> Option<UserId> {
        match caller {
            Caller::User(player) => player.user,
            other => panic!("{other:?} is no person"),
        }
    }

    #[tokio::test]
    async fn a_token_of_a_stranger_makes_nobody_and_finds_the_user_once_there_is_one() {
        let db = TestDatabase::new().await;
        let authenticator = authenticator();
        let token = token("ada", 60);
        let caller = authenticator.authenticate(&token, None, &db, now()).await.unwrap();
        assert_eq!(user(&caller), None);
        let Caller::User(player) = &*caller else { panic!("a token is a person's") };
        assert_eq!((player.provider.as_str(), player.external_id.as_str()), ("jwt", "|ada"));

        let ada = link(&db, "jwt", "|ada").await;
        link(&db, "discord", "|bob").await;
        assert_eq!(
            user(&authenticator.authenticate(&token, None, &db, now()).await.unwrap()),
            None,
            "kept for a second"
        );
        authenticator.clear();
        assert_eq!(user(&authenticator.authenticate(&token, None, &db, now()).await.unwrap()), Some(ada));
        let bob = authenticator.authenticate(&self::token("bob", 60), None, &db, now()).await.unwrap();
        assert_eq!(user(&bob), None, "another provider's identity is another identity");
    }

    #[tokio::test]
    async fn a_kept_credential_is_refused_the_moment_it_expires() {
        let db = TestDatabase::new().await;
        let authenticator = authenticator();
        let end = now().plus_seconds(120);
        let (key, _) = new_key(&db, Some(end)).await;
        for credential in [token("ada", 60), key] {
            assert!(authenticator.authenticate(&credential, None, &db, end.plus_millis(-1)).await.is_ok());
            let refusal = authenticator.authenticate(&credential, None, &db, end).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidCredential);
        }
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_at_once_after_clearing_and_otherwise_within_a_second() {
        let db = TestDatabase::new().await;
        let authenticator = authenticator();
        let ((one, one_prefix), (two, two_prefix)) = (new_key(&db, None).await, new_key(&db, None).await);
        for key in [&one, &two] {
            let caller = authenticator.authenticate(key, None, &db, now()).await.unwrap();
            assert!(caller.has(Scope::ProgressRead) && !caller.has(Scope::Admin));
        }
        api_key::revoke(db.writes(), &one_prefix, now()).await.unwrap();
        authenticator.clear();
        assert!(authenticator.authenticate(&one, None, &db, now()).await.is_err());

        assert!(authenticator.authenticate(&two, None, &db, now()).await.is_ok());
        api_key::revoke(db.writes(), &two_prefix, now()).await.unwrap();
        tokio::time::sleep(KEPT + Duration::from_millis(100)).await;
        assert!(authenticator.authenticate(&two, None, &db, now()).await.is_err());
    }

    #[tokio::test]
    async fn a_token_whose_keys_cannot_be_fetched_is_not_refused_for_good() {
        let db = TestDatabase::new().await;
        let settings = [("WAYMARK_JWT_JWKS_URL".to_owned(), "http://127.0.0.1:1/jwks.json".to_owned())];
        let authenticator = Authenticator::from_config(&Config::from_sources(None, settings).unwrap()).unwrap();
        authenticator.prepare();
        // {"alg":"ES256"}, {} and no signature.
        for _ in 0..2 {
            let failure = authenticator.authenticate("eyJhbGciOiJFUzI1NiJ9.e30.", None, &db, now()).await.unwrap_err();
            assert_eq!(failure.code(), Code::Unavailable);
        }
    }

    #[tokio::test]
    async fn many_requests_with_one_credential_cost_one_look_up() {
        let db = TestDatabase::new().await;
        let authenticator = authenticator();
        let (key, _) = new_key(&db, None).await;
        let before = db.statements(Asker::Credentials);
        let first = authenticator.authenticate(&key, None, &db, now()).await.unwrap();
        let again = authenticator.authenticate(&key, None, &db, now()).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(db.statements(Asker::Credentials) - before, 1);
    }

    #[tokio::test]
    async fn what_is_no_credential_is_refused_with_a_reason_and_without_an_echo() {
        let db = TestDatabase::new().await;
        let authenticator = authenticator();
        let key = format!("wmk_{}", "0".repeat(64));
        for credential in ["", "secret-looking", "wmk_", &key, "a.b.c", &format!("{}x", token("ada", 60))] {
            let refusal = authenticator.authenticate(credential, None, &db, now()).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidCredential, "{credential}");
            assert!(credential.len() < 5 || !refusal.chain().contains(credential));
        }
    }
}
