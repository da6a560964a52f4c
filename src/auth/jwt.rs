//! JSON Web Tokens (RFC 7519): how users authenticate.
//!
//! Which algorithm verifies a token is decided by our keys and never by the token alone: HS256 is tried with the
//! configured secret only; RS256, ES256 and EdDSA only with a key of the JSON Web Key Set (RFC 7517) that is of that
//! kind. A set of keys is read again every ten minutes, and when a token names an unknown key: how often that may
//! happen is counted by itself, so that neither the regular reading nor clients that name unknown keys keep a new key
//! out. While the set cannot be read, no key is said to be unknown.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde::{Deserialize, Serialize};

use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::{Config, Secret, without_secrets};
use waymark_kernel::error::{Error, Result};

/// How far the clocks of the issuer and of this machine may be apart, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The longest id of a key that is remembered, in bytes.
const LONGEST_KID: usize = 200;
/// The longest subject and issuer, in characters.
const LONGEST_NAME: usize = 255;
/// How often a set of keys is read again.
const REFRESH: Duration = Duration::from_secs(600);
/// How often the set is read because of unknown keys in the long run, and how long a key that is not in it is
/// remembered.
const PAUSE: Duration = Duration::from_secs(30);
/// How many such readings there may be at once.
const AT_ONCE: u32 = 4;
/// How many keys that are not in the set are remembered.
const MOST_ABSENT: usize = 1000;
/// How many requests wait for one reading.
const MOST_WAITING: usize = 64;
/// The setting of the longest life of a token is in days.
const SECONDS_PER_DAY: i64 = 86_400;
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_KEY_SET: u64 = 1024 * 1024;

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`; empty when the token has none. Holds no `|`.
    pub issuer: String,
    /// `sub`: 1 to 255 characters without control characters.
    pub subject: String,
    /// The instant from which the token counts no longer: its `exp` and the 60 seconds that clocks may be apart.
    pub expires_at: Timestamp,
    /// `preferred_username`, unchecked.
    pub preferred_username: Option<String>,
}

/// Why a token is refused. Its text never holds any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// Not three parts of base64url with JSON in them, or claims of the wrong type.
    Malformed,
    /// The header asks for something else than the algorithms of this module, `none` included.
    UnsupportedAlgorithm,
    /// No key of ours fits the token's algorithm and key id.
    UnknownKey,
    /// The key that the token needs may be in a set that could not be read so far. Says nothing about the token.
    KeysUnavailable,
    /// The signature does not belong to this token.
    BadSignature,
    /// No `exp`.
    NoExpiry,
    /// `exp` lies further ahead than this many days.
    TooLong(u32),
    /// `exp` has passed.
    Expired(Timestamp),
    /// `nbf` has not come yet.
    NotYetValid(Timestamp),
    /// `iss` is not the configured one, or not usable.
    WrongIssuer,
    /// `aud` is missing or does not name the configured audience.
    WrongAudience,
    /// No `sub`, or not a usable one.
    BadSubject,
}

impl fmt::Display for AuthError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => out.write_str("not a well-formed token"),
            Self::UnsupportedAlgorithm => {
                out.write_str("the token's algorithm is none of HS256, RS256, ES256 and EdDSA")
            }
            Self::UnknownKey => out.write_str("the token is signed with an unknown signing key"),
            Self::KeysUnavailable => {
                out.write_str("the keys that tokens are checked with cannot be read at the moment; try again")
            }
            Self::BadSignature => out.write_str("the token's signature does not match"),
            Self::NoExpiry => out.write_str("the token has no expiry (exp)"),
            Self::TooLong(days) => write!(out, "the token is good for more than {days} days from now on (exp)"),
            Self::Expired(instant) => write!(out, "the token expired at {instant}"),
            Self::NotYetValid(instant) => write!(out, "the token is not valid before {instant}"),
            Self::WrongIssuer => out.write_str("the token's issuer (iss) is not accepted here"),
            Self::WrongAudience => out.write_str("the token is meant for another audience (aud)"),
            Self::BadSubject => {
                write!(
                    out,
                    "the token's subject (sub) must be 1 to {LONGEST_NAME} characters without control characters"
                )
            }
        }
    }
}

impl std::error::Error for AuthError {}

impl AuthError {
    /// Whether the token was refused before its signature was verified, which is what takes time.
    pub(super) const fn is_before_signature(&self) -> bool {
        matches!(self, Self::Malformed | Self::UnknownKey | Self::KeysUnavailable | Self::UnsupportedAlgorithm)
    }
}

/// Checks tokens against the configured keys, issuer and audience.
#[derive(Debug)]
pub struct JwtVerifier {
    secret: Option<DecodingKey>,
    key_set: Option<Arc<KeySet>>,
    issuer: Option<String>,
    audience: Option<String>,
    max_days: u32,
}

impl JwtVerifier {
    /// A verifier as `config` wants it. Without a secret and a set of keys it accepts no token. Keys at a URL are
    /// fetched by [`JwtVerifier::prepare`], or when the first token needs them.
    ///
    /// # Errors
    /// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when the file of keys cannot be read or has no
    /// usable key.
    pub fn from_config(config: &Config) -> Result<Self> {
        let key_set = match (&config.jwt_jwks_file, &config.jwt_jwks_url) {
            (Some(path), _) => {
                let key_set = KeySet::new(Source::File(path.clone()));
                let keys =
                    key_set.source.read().map_err(|error| Error::bad_input(format!("jwt_jwks_file: {error}")))?;
                key_set.replace(keys);
                Some(Arc::new(key_set))
            }
            (None, Some(url)) => Some(Arc::new(KeySet::new(Source::Url(url.clone())))),
            (None, None) => None,
        };
        Ok(Self {
            secret: config.jwt_secret.as_ref().map(|secret| DecodingKey::from_secret(secret.expose().as_bytes())),
            key_set,
            issuer: config.jwt_issuer.clone(),
            audience: config.jwt_audience.clone(),
            max_days: config.jwt_max_days,
        })
    }

    /// Fetches keys at a URL in the background, so that the first token need not wait for them. Must be called inside a
    /// Tokio runtime.
    pub fn prepare(&self) {
        let Some(key_set) = self.key_set.clone() else { return };
        tokio::spawn(async move {
            let mut reading = key_set.reading.lock().await;
            if reading.began.is_none() && key_set.is_empty() {
                key_set.read(&mut reading).await;
            }
        });
    }

    /// What `token` says, if it is signed with one of our keys and valid at `now`.
    ///
    /// # Errors
    /// Says why the token is refused.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, AuthError> {
        if token.len() > LONGEST_TOKEN {
            return Err(AuthError::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(AuthError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(AuthError::Malformed)?;
        if payload.contains('.') {
            return Err(AuthError::Malformed);
        }
        let header: Header = decode_part(header)?;
        // RFC 7515: extensions that must be understood, and we understand none.
        if header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        let algorithm = header.algorithm()?;
        let keys = self.keys_for(algorithm, header.kid.as_deref()).await?;
        let fits = |key| crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false);
        if !keys.iter().any(fits) {
            return Err(AuthError::BadSignature);
        }
        self.check(decode_part(payload)?, now)
    }

    /// The keys that can have signed a token with this header; at least one.
    async fn keys_for(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Vec<DecodingKey>, AuthError> {
        match (algorithm, &self.key_set, &self.secret) {
            (Algorithm::HS256, _, Some(secret)) => Ok(vec![secret.clone()]),
            (Algorithm::HS256, _, None) | (_, None, _) => Err(AuthError::UnknownKey),
            (_, Some(key_set), _) => key_set.find(algorithm, kid).await,
        }
    }

    fn check(&self, payload: Payload, now: Timestamp) -> Result<Claims, AuthError> {
        let expiry = instant(payload.exp.ok_or(AuthError::NoExpiry)?);
        let expires_at = expiry.plus_seconds(LEEWAY_SECONDS);
        if now >= expires_at {
            return Err(AuthError::Expired(expiry));
        }
        if expires_at > now.plus_seconds(i64::from(self.max_days) * SECONDS_PER_DAY + 2 * LEEWAY_SECONDS) {
            return Err(AuthError::TooLong(self.max_days));
        }
        if let Some(start) = payload.nbf.map(instant)
            && now.plus_seconds(LEEWAY_SECONDS) < start
        {
            return Err(AuthError::NotYetValid(start));
        }
        let issuer = payload.iss.unwrap_or_default();
        // An identity is stored as `issuer|subject`; a `|` in the issuer would let two of them meet.
        let usable = issuer.is_empty() || (is_name(&issuer) && !issuer.contains('|'));
        if !usable || self.issuer.as_ref().is_some_and(|wanted| *wanted != issuer) {
            return Err(AuthError::WrongIssuer);
        }
        if self.audience.as_ref().is_some_and(|wanted| !payload.aud.is_some_and(|audience| audience.names(wanted))) {
            return Err(AuthError::WrongAudience);
        }
        let subject = payload.sub.filter(|subject| is_name(subject)).ok_or(AuthError::BadSubject)?;
        let preferred_username = payload.preferred_username.as_ref().and_then(|name| name.as_str()).map(str::to_owned);
        Ok(Claims { issuer, subject, expires_at, preferred_username })
    }
}

/// An HS256 token for `subject` that is valid for `ttl_seconds` from `now`.
///
/// # Errors
/// [`Code::Internal`](waymark_kernel::error::Code::Internal) when signing fails.
pub fn mint(
    secret: &Secret,
    subject: &str,
    issuer: Option<&str>,
    audience: Option<&str>,
    now: Timestamp,
    ttl_seconds: i64,
) -> Result<String> {
    #[derive(Serialize)]
    struct Minted<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<&'a str>,
        sub: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a str>,
        iat: i64,
        exp: i64,
    }
    let seconds = now.millis().div_euclid(1000);
    let claims =
        Minted { iss: issuer, sub: subject, aud: audience, iat: seconds, exp: seconds.saturating_add(ttl_seconds) };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::new(Algorithm::HS256), &claims, &key).map_err(Error::internal)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl Header {
    fn algorithm(&self) -> Result<Algorithm, AuthError> {
        match self.alg.as_str() {
            "HS256" => Ok(Algorithm::HS256),
            "RS256" => Ok(Algorithm::RS256),
            "ES256" => Ok(Algorithm::ES256),
            "EdDSA" => Ok(Algorithm::EdDSA),
            _ => Err(AuthError::UnsupportedAlgorithm),
        }
    }
}

#[derive(Deserialize)]
struct Payload {
    // RFC 7519 allows fractions of a second.
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    preferred_username: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Many(names) => names.iter().any(|name| name == wanted),
        }
    }
}

fn decode_part<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, AuthError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| AuthError::Malformed)
}

fn instant(seconds: f64) -> Timestamp {
    // The conversion saturates, and an instant is clamped to its range.
    Timestamp::from_millis((seconds * 1000.0) as i64)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// What a token says of the key that signed it: the algorithm, and the name where there is one.
type KeyName = (Algorithm, Option<Box<str>>);

/// Public keys from a file or a web address.
#[derive(Debug)]
struct KeySet {
    source: Source,
    keys: RwLock<Arc<[PublicKey]>>,
    /// How it was read so far. Held while it is being read.
    reading: tokio::sync::Mutex<Reading>,
    /// How many wait for it to be read.
    waiting: AtomicUsize,
    /// Keys that were not in the set when it was read, and when that began.
    absent: Mutex<HashMap<KeyName, Instant>>,
}

/// How a source was read so far.
#[derive(Debug)]
struct Reading {
    /// When it was last begun, with or without success.
    began: Option<Instant>,
    /// The same with success.
    succeeded: Option<Instant>,
    /// How often it may be read because of unknown keys, and since when that has been so.
    allowed: u32,
    counted_at: Instant,
}

impl Reading {
    fn new() -> Self {
        Self { began: None, succeeded: None, allowed: AT_ONCE, counted_at: Instant::now() }
    }

    /// Whether it may be read because of an unknown key, which is counted then. A source that could not be read is left
    /// alone for a while.
    fn may_begin(&mut self, now: Instant) -> bool {
        if self.began != self.succeeded && self.began.is_some_and(|began| now.duration_since(began) < PAUSE) {
            return false;
        }
        let more = now.duration_since(self.counted_at).as_secs() / PAUSE.as_secs();
        let more = u32::try_from(more).unwrap_or(AT_ONCE);
        if self.allowed + more >= AT_ONCE {
            (self.allowed, self.counted_at) = (AT_ONCE, now);
        } else {
            self.allowed += more;
            self.counted_at += PAUSE * more;
        }
        let may = self.allowed > 0;
        self.allowed -= u32::from(may);
        may
    }
}

/// A task that waits for a reading; counted for as long as this value lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Option<Self> {
        let more = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeySet {
    fn new(source: Source) -> Self {
        Self {
            source,
            keys: RwLock::new(Arc::new([])),
            reading: tokio::sync::Mutex::new(Reading::new()),
            waiting: AtomicUsize::new(0),
            absent: Mutex::default(),
        }
    }

    /// The keys that can have signed a token with this header, after reading the source again where that is due.
    ///
    /// # Errors
    /// [`AuthError::UnknownKey`] when there is none; [`AuthError::KeysUnavailable`] when it could not be looked for.
    async fn find(self: &Arc<Self>, algorithm: Algorithm, kid: Option<&str>) -> Result<Vec<DecodingKey>, AuthError> {
        let asked_at = Instant::now();
        // Who finds the source being read goes on with the keys there are.
        if let Ok(mut reading) = self.reading.try_lock()
            && reading.began.is_none_or(|instant| instant.elapsed() >= REFRESH)
        {
            self.read(&mut reading).await;
        }
        let found = self.known(algorithm, kid);
        if !found.is_empty() {
            return Ok(found);
        }
        if self.is_absent(algorithm, kid) {
            return Err(AuthError::UnknownKey);
        }
        let _waiting = Waiting::new(&self.waiting).ok_or(AuthError::KeysUnavailable)?;
        let mut reading = self.reading.lock().await;
        // A reading that began since then counts as a reading of now.
        let is_news = |reading: &Reading| reading.succeeded.is_some_and(|instant| instant >= asked_at);
        if self.known(algorithm, kid).is_empty() && !is_news(&reading) && reading.may_begin(Instant::now()) {
            self.read(&mut reading).await;
        }
        let found = self.known(algorithm, kid);
        if !found.is_empty() {
            return Ok(found);
        }
        if !is_news(&reading) {
            return Err(AuthError::KeysUnavailable);
        }
        self.note_absent(algorithm, kid, reading.succeeded.unwrap_or(asked_at));
        Err(AuthError::UnknownKey)
    }

    /// Whether this key was looked for a short while ago, and is none.
    fn is_absent(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(&(algorithm, kid.map(Into::into))).is_some_and(|since| since.elapsed() < PAUSE)
    }

    fn note_absent(&self, algorithm: Algorithm, kid: Option<&str>, since: Instant) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() >= MOST_ABSENT {
            absent.retain(|_, since| since.elapsed() < PAUSE);
        }
        // Only few are looked for in so short a time, except by many at once.
        if absent.len() < MOST_ABSENT && kid.is_none_or(|kid| kid.len() <= LONGEST_KID) {
            absent.insert((algorithm, kid.map(Into::into)), since);
        }
    }

    /// Whether the source was never read: what was read is not empty, and stays when reading fails.
    fn is_empty(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn known(&self, algorithm: Algorithm, kid: Option<&str>) -> Vec<DecodingKey> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let same_id = |key: &&PublicKey| key.kid.is_none() || kid.is_none() || key.kid.as_deref() == kid;
        let fitting = keys.iter().filter(|key| key.algorithm == algorithm).filter(same_id);
        fitting.map(|key| key.key.clone()).collect()
    }

    /// Reads the source; a failure is logged and leaves the keys as they are. The keys are put in place by the
    /// thread that reads, so that they arrive even if the request that wanted them is gone by then.
    async fn read(self: &Arc<Self>, reading: &mut Reading) {
        let now = Instant::now();
        reading.began = Some(now);
        let key_set = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || match key_set.source.read() {
            Ok(keys) => {
                key_set.replace(keys);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the JSON Web Key Set stays as it was");
                false
            }
        });
        match read.await {
            Ok(true) => reading.succeeded = Some(now),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "reading the JSON Web Key Set broke off"),
        }
    }

    fn replace(&self, keys: Vec<PublicKey>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
    }
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url(String),
}

impl Source {
    /// Blocks until the source is read, five seconds at most for a web address.
    fn read(&self) -> Result<Vec<PublicKey>, String> {
        let text = match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?
            }
            Self::Url(url) => fetch(url).map_err(|error| {
                let shown = without_secrets(url);
                // Some errors name the address.
                format!("cannot fetch {shown}: {}", error.to_string().replace(url, &shown))
            })?,
        };
        let keys = PublicKey::parse_set(&text)?;
        if keys.is_empty() {
            return Err("the JSON Web Key Set has no key for RS256, ES256 or EdDSA".to_owned());
        }
        Ok(keys)
    }
}

/// Fetches nothing in the clear where the address is of https, wherever that redirects to.
fn agent(url: &str) -> ureq::Agent {
    let https_only = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    ureq::Agent::config_builder().timeout_global(Some(FETCH_TIMEOUT)).https_only(https_only).build().into()
}

fn fetch(url: &str) -> Result<String, ureq::Error> {
    agent(url).get(url).call()?.body_mut().with_config().limit(LARGEST_KEY_SET).read_to_string()
}

/// A key that verifies signatures of one algorithm.
#[derive(Debug)]
struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicKey {
    /// The usable keys of a JSON Web Key Set; others, of kinds and for purposes we do not know, are passed over.
    fn parse_set(text: &str) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        struct JwkSet {
            keys: Vec<serde_json::Value>,
        }
        let set: JwkSet = serde_json::from_str(text).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(jwks.filter_map(Self::from_jwk).collect())
    }

    fn from_jwk(jwk: Jwk) -> Option<Self> {
        let (algorithm, name, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => {
                let (modulus, exponent) = (jwk.n?, jwk.e?);
                if let Some(fault) = weakness(&number(&modulus)?, &number(&exponent)?) {
                    let kid = jwk.kid.as_deref().map(|kid| &kid[..kid.floor_char_boundary(LONGEST_KID)]);
                    tracing::warn!(kid, "a key of the JSON Web Key Set is not used: {fault}");
                    return None;
                }
                (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(&modulus, &exponent))
            }
            ("EC", Some("P-256")) => (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(&jwk.x?, &jwk.y?)),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(&jwk.x?)),
            _ => return None,
        };
        let for_signatures = jwk.r#use.is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
            && jwk.alg.is_none_or(|alg| alg == name || (name == "EdDSA" && alg == "Ed25519"));
        let key = key.ok().filter(|_| for_signatures)?;
        // Any signature tells whether the key itself can be used.
        crypto::verify("", b"", &key, algorithm).ok()?;
        Some(Self { kid: jwk.kid, algorithm, key })
    }
}

/// A number in base64url as its bytes, the highest first and not 0.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes.get(zeros..)?.to_vec())
}

/// Returns why this RSA key is too weak to be trusted; `None` when it is not.
fn weakness(modulus: &[u8], exponent: &[u8]) -> Option<&'static str> {
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !(2048..=4096).contains(&bits) {
        // Fewer are too weak, more are not supported.
        Some("its modulus has fewer than 2048 bits or more than 4096")
    } else if !is_odd(modulus) {
        Some("its modulus is even")
    } else if !is_odd(exponent) || *exponent == [1] {
        Some("its exponent is even, or 1")
    } else if exponent.len() > 4 {
        Some("its exponent is too large")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    // The keys under testdata/ were made with openssl for these tests alone.
    const KEY_SET: &str = include_str!("testdata/jwks.json");
    const REFUSED: &str = include_str!("testdata/refused.json");
    const SECRET: &str = "a secret of these tests, long enough";

    fn now() -> Timestamp {
        Timestamp::parse("2026-03-15T14:30:00Z").unwrap()
    }

    fn in_seconds(seconds: i64) -> i64 {
        now().millis() / 1000 + seconds
    }

    fn config(settings: &[(&str, &str)]) -> Config {
        let settings = settings.iter().map(|(name, value)| (format!("WAYMARK_{name}"), (*value).to_owned()));
        Config::from_sources(None, settings).unwrap()
    }

    fn verifier_with(secret: Option<&str>, key_set: Option<&str>) -> JwtVerifier {
        let mut verifier = JwtVerifier::from_config(&config(&[])).unwrap();
        verifier.secret = secret.map(|secret| DecodingKey::from_secret(secret.as_bytes()));
        verifier.key_set = key_set.map(|text| {
            let key_set = KeySet::new(Source::File(PathBuf::from("/nonexistent")));
            key_set.replace(PublicKey::parse_set(text).unwrap());
            // It was read just now, whenever that is asked.
            let read_at = Some(Instant::now() + REFRESH);
            *key_set.reading.try_lock().unwrap() = Reading { began: read_at, succeeded: read_at, ..Reading::new() };
            Arc::new(key_set)
        });
        verifier
    }

    fn hs256() -> JwtVerifier {
        verifier_with(Some(SECRET), None)
    }

    fn key_of(algorithm: Algorithm) -> EncodingKey {
        match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa.pem")).unwrap(),
            Algorithm::ES256 => EncodingKey::from_ec_pem(include_bytes!("testdata/ec.pem")).unwrap(),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(include_bytes!("testdata/ed.pem")).unwrap(),
            _ => EncodingKey::from_secret(SECRET.as_bytes()),
        }
    }

    fn sign(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &key_of(algorithm)).unwrap()
    }

    fn valid() -> Value {
        json!({ "sub": "ada", "exp": in_seconds(600) })
    }

    fn with(key: &str, value: impl Into<Value>) -> Value {
        let mut claims = valid();
        claims[key] = value.into();
        claims
    }

    fn verify(verifier: &JwtVerifier, token: &str) -> Result<Claims, AuthError> {
        verify_at(verifier, token, now())
    }

    fn verify_at(verifier: &JwtVerifier, token: &str, now: Timestamp) -> Result<Claims, AuthError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verifier.verify(token, now))
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn a_minted_token_is_accepted_and_says_who_it_is_for() {
        let token =
            mint(&Secret::new(SECRET), "ada", Some("https://me.example/"), Some("waymark"), now(), 3600).unwrap();
        let mut verifier = hs256();
        verifier.issuer = Some("https://me.example/".to_owned());
        verifier.audience = Some("waymark".to_owned());
        let claims = verify(&verifier, &token).unwrap();
        assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), ("https://me.example/", "ada"));
        assert_eq!(claims.expires_at, now().plus_seconds(3660));
        assert_eq!(claims.preferred_username, None);
    }

    #[test]
    fn each_kind_of_public_key_verifies_its_algorithm_with_and_without_a_key_id() {
        let verifier = verifier_with(None, Some(KEY_SET));
        for (algorithm, kid) in [(Algorithm::RS256, "rsa"), (Algorithm::ES256, "ec"), (Algorithm::EdDSA, "ed")] {
            for kid in [Some(kid), None] {
                let token = sign(algorithm, kid, &with("preferred_username", "Ada"));
                let claims = verify(&verifier, &token).unwrap();
                assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), ("", "ada"));
                assert_eq!(claims.preferred_username.as_deref(), Some("Ada"));
            }
        }
    }

    #[test]
    fn a_token_changed_after_signing_is_refused() {
        let verifier = verifier_with(Some(SECRET), Some(KEY_SET));
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let token = sign(algorithm, None, &valid());
            let parts: Vec<_> = token.split('.').collect();
            let forged = format!("{}.{}.{}", parts[0], part(&with("sub", "eve")), parts[2]);
            assert_eq!(verify(&verifier, &forged), Err(AuthError::BadSignature), "{algorithm:?}");
            let unsigned = format!("{}.{}.", parts[0], parts[1]);
            assert_eq!(verify(&verifier, &unsigned), Err(AuthError::BadSignature), "{algorithm:?}");
        }
    }

    #[test]
    fn the_algorithm_none_and_unknown_ones_are_refused() {
        let verifier = verifier_with(Some(SECRET), Some(KEY_SET));
        for algorithm in ["none", "None", "NONE", "", "HS384", "HS512", "PS256", "ES384", "hs256"] {
            let token = format!("{}.{}.", part(&json!({ "alg": algorithm })), part(&valid()));
            assert_eq!(verify(&verifier, &token), Err(AuthError::UnsupportedAlgorithm), "{algorithm}");
        }
    }

    #[test]
    fn a_public_key_cannot_be_used_as_a_secret() {
        let set: Value = serde_json::from_str(KEY_SET).unwrap();
        let modulus = set["keys"][0]["n"].as_str().unwrap();
        let secrets = [modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(modulus).unwrap(), KEY_SET.into()];
        for secret in secrets {
            let header =
                jsonwebtoken::Header { kid: Some("rsa".to_owned()), ..jsonwebtoken::Header::new(Algorithm::HS256) };
            let token = jsonwebtoken::encode(&header, &valid(), &EncodingKey::from_secret(&secret)).unwrap();
            assert_eq!(verify(&verifier_with(None, Some(KEY_SET)), &token), Err(AuthError::UnknownKey));
            assert_eq!(verify(&verifier_with(Some(SECRET), Some(KEY_SET)), &token), Err(AuthError::BadSignature));
        }
    }

    #[test]
    fn a_key_id_of_another_kind_of_key_is_refused() {
        let verifier = verifier_with(Some(SECRET), Some(KEY_SET));
        for (algorithm, kid) in [(Algorithm::RS256, "ec"), (Algorithm::ES256, "rsa"), (Algorithm::EdDSA, "ec")] {
            assert_eq!(verify(&verifier, &sign(algorithm, Some(kid), &valid())), Err(AuthError::UnknownKey));
        }
        assert_eq!(verify(&hs256(), &sign(Algorithm::RS256, Some("rsa"), &valid())), Err(AuthError::UnknownKey));
    }

    #[test]
    fn a_key_inside_the_token_is_not_trusted() {
        let set: Value = serde_json::from_str(KEY_SET).unwrap();
        let verifier = verifier_with(Some(SECRET), Some(&json!({ "keys": [set["keys"][1]] }).to_string()));
        let header = json!({ "alg": "RS256", "jwk": set["keys"][0], "jku": "https://evil.example/jwks.json" });
        let message = format!("{}.{}", part(&header), part(&valid()));
        let signature = crypto::sign(message.as_bytes(), &key_of(Algorithm::RS256), Algorithm::RS256).unwrap();
        assert_eq!(verify(&verifier, &format!("{message}.{signature}")), Err(AuthError::UnknownKey));
    }

    #[test]
    fn weak_foreign_and_broken_keys_are_passed_over() {
        assert!(PublicKey::parse_set(REFUSED).unwrap().is_empty());
        assert!(PublicKey::parse_set("{}").is_err());
        assert!(PublicKey::parse_set("<html>").is_err());
    }

    #[test]
    fn a_token_counts_until_a_minute_after_its_expiry() {
        let token = sign(Algorithm::HS256, None, &with("exp", in_seconds(10)));
        let end = now().plus_seconds(70);
        assert_eq!(verify_at(&hs256(), &token, end.plus_millis(-1)).unwrap().expires_at, end);
        let refusal = verify_at(&hs256(), &token, end).unwrap_err();
        assert_eq!(refusal, AuthError::Expired(now().plus_seconds(10)));
        assert_eq!(refusal.to_string(), "the token expired at 2026-03-15T14:30:10.000Z");
    }

    #[test]
    fn a_token_counts_from_a_minute_before_its_start() {
        let token = sign(Algorithm::HS256, None, &with("nbf", in_seconds(70)));
        assert!(verify_at(&hs256(), &token, now().plus_seconds(10)).is_ok());
        let early = verify_at(&hs256(), &token, now().plus_millis(9_999));
        assert_eq!(early, Err(AuthError::NotYetValid(now().plus_seconds(70))));
    }

    #[test]
    fn a_token_without_expiry_is_refused() {
        for exp in [Value::Null, "2026".into(), true.into()] {
            assert!(verify(&hs256(), &sign(Algorithm::HS256, None, &with("exp", exp))).is_err());
        }
        let token = sign(Algorithm::HS256, None, &json!({ "sub": "ada" }));
        assert_eq!(verify(&hs256(), &token), Err(AuthError::NoExpiry));
    }

    #[test]
    fn an_expiry_may_be_a_fraction_and_lies_within_the_days_that_are_set() {
        let token = sign(Algorithm::HS256, None, &with("exp", in_seconds(10) as f64 + 0.5));
        assert_eq!(verify(&hs256(), &token).unwrap().expires_at, now().plus_millis(70_500));
        let mut verifier = hs256();
        verifier.max_days = 30;
        let ends = |seconds| sign(Algorithm::HS256, None, &with("exp", in_seconds(seconds)));
        assert!(verify(&verifier, &ends(30 * SECONDS_PER_DAY + 60)).is_ok(), "clocks may be apart");
        for token in [ends(30 * SECONDS_PER_DAY + 61), sign(Algorithm::HS256, None, &with("exp", 1e300))] {
            assert_eq!(verify(&verifier, &token), Err(AuthError::TooLong(30)));
        }
        // It is good once it has come near enough.
        let later = now().plus_seconds(SECONDS_PER_DAY);
        assert!(verify_at(&verifier, &ends(31 * SECONDS_PER_DAY), later).is_ok());
        assert!(verify(&hs256(), &sign(Algorithm::HS256, None, &with("exp", -1e300))).is_err());
    }

    #[test]
    fn the_configured_issuer_and_audience_are_required() {
        let mut verifier = hs256();
        verifier.issuer = Some("https://me.example".to_owned());
        for issuer in [Value::Null, "".into(), "https://me.example/".into(), "https://evil.example".into()] {
            let token = sign(Algorithm::HS256, None, &with("iss", issuer));
            assert_eq!(verify(&verifier, &token), Err(AuthError::WrongIssuer));
        }
        let mut verifier = hs256();
        verifier.audience = Some("waymark".to_owned());
        for audience in [Value::Null, "other".into(), json!([]), json!(["other", "waymark2"])] {
            let token = sign(Algorithm::HS256, None, &with("aud", audience));
            assert_eq!(verify(&verifier, &token), Err(AuthError::WrongAudience));
        }
        for audience in [json!("waymark"), json!(["other", "waymark"])] {
            assert!(verify(&verifier, &sign(Algorithm::HS256, None, &with("aud", audience))).is_ok());
        }
    }

    #[test]
    fn an_unusable_subject_or_issuer_is_refused() {
        for subject in [Value::Null, "".into(), "a\u{0}b".into(), "a\nb".into(), "x".repeat(256).into()] {
            let token = sign(Algorithm::HS256, None, &with("sub", subject));
            assert_eq!(verify(&hs256(), &token), Err(AuthError::BadSubject));
        }
        for subject in ["auth0|123", "é", &"é".repeat(255)] {
            assert!(verify(&hs256(), &sign(Algorithm::HS256, None, &with("sub", subject))).is_ok());
        }
        for issuer in ["a|b", "a\nb", &"x".repeat(256)] {
            let token = sign(Algorithm::HS256, None, &with("iss", issuer));
            assert_eq!(verify(&hs256(), &token), Err(AuthError::WrongIssuer));
        }
    }

    #[test]
    fn garbage_is_refused_as_malformed() {
        let good = sign(Algorithm::HS256, None, &valid());
        let header = part(&json!({ "alg": "HS256" }));
        let critical = part(&json!({ "alg": "HS256", "crit": ["exp"] }));
        let garbage = [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            format!("{good}.{good}"),
            format!(" {good}"),
            good.replace('.', " "),
            format!("{header}=.{}.", part(&valid())),
            format!("{}.{}.", part(&json!({})), part(&valid())),
            format!("{}.{}.", part(&json!({ "alg": 5 })), part(&valid())),
            format!("{critical}.{}.", part(&valid())),
            "é.é.é".to_owned(),
            "x".repeat(LONGEST_TOKEN + 1),
        ];
        for token in garbage {
            assert_eq!(verify(&hs256(), &token), Err(AuthError::Malformed), "{token}");
        }
        for claims in [json!(null), json!("ada"), json!(5), json!({ "sub": 5, "exp": in_seconds(9) })] {
            assert_eq!(verify(&hs256(), &sign(Algorithm::HS256, None, &claims)), Err(AuthError::Malformed));
        }
    }

    #[test]
    fn without_any_key_every_token_is_refused() {
        let verifier = verifier_with(None, None);
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert_eq!(verify(&verifier, &sign(algorithm, None, &valid())), Err(AuthError::UnknownKey));
        }
    }

    #[test]
    fn a_key_file_is_read_at_the_start_and_has_to_be_usable() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/jwks.json");
        let verifier = JwtVerifier::from_config(&config(&[("JWT_JWKS_FILE", path)])).unwrap();
        assert!(verify(&verifier, &sign(Algorithm::EdDSA, Some("ed"), &valid())).is_ok());

        let useless = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/refused.json");
        for path in [useless, "/nonexistent/jwks.json"] {
            let refusal = JwtVerifier::from_config(&config(&[("JWT_JWKS_FILE", path)])).unwrap_err();
            assert!(refusal.message().starts_with("jwt_jwks_file: "), "{refusal}");
        }
    }

    /// Answers the n-th request with the n-th text, and with an error once they are used up.
    fn serve(answers: Vec<String>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).count();
                let index = counter.fetch_add(1, Ordering::SeqCst);
                let (status, body) = match answers.get(index) {
                    Some(body) => ("200 OK", body.as_str()),
                    None => ("503 Service Unavailable", ""),
                };
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
                    .unwrap();
            }
        });
        (url, requests)
    }

    /// A set with the keys of these ids.
    fn set_of(ids: &[&str]) -> String {
        let set: Value = serde_json::from_str(KEY_SET).unwrap();
        let keys: Vec<&Value> =
            set["keys"].as_array().unwrap().iter().filter(|key| ids.contains(&key["kid"].as_str().unwrap())).collect();
        json!({ "keys": keys }).to_string()
    }

    #[test]
    fn a_new_key_is_taken_at_once_and_keys_are_kept_when_reading_fails() {
        let (url, requests) = serve(vec![set_of(&["ed"]), KEY_SET.to_owned()]);
        let verifier = JwtVerifier::from_config(&config(&[("JWT_JWKS_URL", &url)])).unwrap();
        let (old, new) = (sign(Algorithm::EdDSA, Some("ed"), &valid()), sign(Algorithm::ES256, Some("ec"), &valid()));
        let unknown = sign(Algorithm::ES256, Some("other"), &valid());
        let requests = || requests.load(Ordering::SeqCst);

        assert_eq!(requests(), 0, "nothing is fetched before a token needs it");
        assert!(verify(&verifier, &old).is_ok() && verify(&verifier, &old).is_ok());
        assert_eq!(requests(), 1, "a known key causes no request");
        assert!(verify(&verifier, &new).is_ok(), "it need not wait because of an earlier reading");
        assert_eq!(requests(), 2);
        assert_eq!(verify(&verifier, &unknown), Err(AuthError::KeysUnavailable), "it could not be looked for");
        assert_eq!(requests(), 3);
        assert_eq!(verify(&verifier, &unknown), Err(AuthError::KeysUnavailable));
        assert_eq!(requests(), 3, "what cannot be read is left alone for a while");
        assert!(verify(&verifier, &old).is_ok() && verify(&verifier, &new).is_ok(), "the old keys are kept");
    }

    #[test]
    fn unknown_keys_use_up_their_own_readings_only_and_are_not_said_to_be_unknown_without_one() {
        let mut answers = vec![set_of(&["ed"]); AT_ONCE as usize + 2];
        answers.push(KEY_SET.to_owned());
        let (url, requests) = serve(answers);
        let verifier = JwtVerifier::from_config(&config(&[("JWT_JWKS_URL", &url)])).unwrap();
        let named = |kid: String| sign(Algorithm::ES256, Some(&kid), &valid());
        let key_set = verifier.key_set.clone().unwrap();
        // The first reading is the regular one, and counts as one of its own.
        for number in 0..=AT_ONCE {
            let token = named(format!("unknown{number}"));
            assert_eq!(verify(&verifier, &token), Err(AuthError::UnknownKey), "{number}");
            assert_eq!(verify(&verifier, &token), Err(AuthError::UnknownKey), "it is remembered");
        }
        assert_eq!(requests.load(Ordering::SeqCst), AT_ONCE as usize + 1);
        let new = named("ec".to_owned());
        assert_eq!(verify(&verifier, &new), Err(AuthError::KeysUnavailable), "it may be there by now");
        assert!(verify(&verifier, &sign(Algorithm::EdDSA, Some("ed"), &valid())).is_ok());
        // The regular reading goes on, independent of unknown keys.
        key_set.reading.try_lock().unwrap().began = Instant::now().checked_sub(REFRESH);
        assert_eq!(verify(&verifier, &named("another".to_owned())), Err(AuthError::UnknownKey));
        assert_eq!(requests.load(Ordering::SeqCst), AT_ONCE as usize + 2);
        // Half a minute later there is one more.
        let half_a_minute_ago = Instant::now().checked_sub(PAUSE).unwrap();
        key_set.reading.try_lock().unwrap().counted_at = half_a_minute_ago;
        assert!(verify(&verifier, &new).is_ok());
    }

    #[test]
    fn readings_for_unknown_keys_are_few_at_once_and_one_in_half_a_minute() {
        let mut reading = Reading::new();
        let begin = reading.counted_at;
        let mut count = |seconds: u64| {
            let now = begin + Duration::from_secs(seconds);
            (0..10).filter(|_| reading.may_begin(now)).count()
        };
        assert_eq!([count(1), count(30), count(31), count(61), count(3600)], [4, 0, 1, 1, 4]);
    }

    #[test]
    fn keys_that_are_none_are_remembered_in_bounds() {
        let verifier = verifier_with(None, Some(KEY_SET));
        let key_set = verifier.key_set.unwrap();
        for number in 0..2 * MOST_ABSENT {
            key_set.note_absent(Algorithm::ES256, Some(&number.to_string()), Instant::now());
        }
        key_set.note_absent(Algorithm::RS256, Some(&"x".repeat(10_000)), Instant::now());
        assert_eq!(key_set.absent.lock().unwrap().len(), MOST_ABSENT);
        assert!(key_set.is_absent(Algorithm::ES256, Some("1")) && !key_set.is_absent(Algorithm::RS256, Some("1")));
    }

    #[test]
    fn rsa_keys_that_anybody_could_sign_with_are_refused() {
        let set: Value = serde_json::from_str(KEY_SET).unwrap();
        let rsa = set["keys"].as_array().unwrap().iter().find(|key| key["kty"] == "RSA").unwrap();
        let modulus = number(rsa["n"].as_str().unwrap()).unwrap();
        let mut even = modulus.clone();
        *even.last_mut().unwrap() &= 0xfe;
        let padded = [vec![0; modulus.len() - 128], modulus[..128].to_vec()].concat();
        let with = |n: &[u8], e: &[u8]| {
            let mut key = rsa.clone();
            (key["n"], key["e"]) = (URL_SAFE_NO_PAD.encode(n).into(), URL_SAFE_NO_PAD.encode(e).into());
            PublicKey::parse_set(&json!({ "keys": [key] }).to_string()).unwrap().len()
        };
        assert_eq!(with(&modulus, &[1, 0, 1]), 1);
        assert_eq!(with(&[&[0][..], &modulus].concat(), &[0, 1, 0, 1]), 1);
        for (n, e) in [
            (&modulus, &[1][..]),
            (&modulus, &[0, 1]),
            (&modulus, &[0]),
            (&modulus, &[]),
            (&modulus, &[4]),
            (&modulus, &[1, 0, 0, 0, 1]),
            (&even, &[1, 0, 1]),
            (&padded, &[1, 0, 1]),
            (&modulus[1..].to_vec(), &[1, 0, 1]),
        ] {
            assert_eq!(with(n, e), 0, "{} {e:?}", n.len());
        }
    }

    #[test]
    fn while_no_set_of_keys_was_read_it_is_not_the_tokens_fault() {
        let (url, requests) = serve(Vec::new());
        let verifier = JwtVerifier::from_config(&config(&[("JWT_JWKS_URL", &url), ("JWT_SECRET", SECRET)])).unwrap();
        let token = sign(Algorithm::ES256, Some("ec"), &valid());
        assert_eq!(verify(&verifier, &token), Err(AuthError::KeysUnavailable));
        assert_eq!(verify(&verifier, &token), Err(AuthError::KeysUnavailable));
        assert_eq!(requests.load(Ordering::SeqCst), 1, "not again within half a minute");
        assert!(verify(&verifier, &sign(Algorithm::HS256, None, &valid())).is_ok(), "the secret is at hand");
        let forged = format!("{}x", sign(Algorithm::HS256, None, &valid()));
        assert_eq!(verify(&verifier, &forged), Err(AuthError::BadSignature));
    }

    #[tokio::test]
    async fn keys_are_fetched_at_the_start_in_the_background() {
        let (url, requests) = serve(vec![KEY_SET.to_owned()]);
        let verifier = JwtVerifier::from_config(&config(&[("JWT_JWKS_URL", &url)])).unwrap();
        verifier.prepare();
        let key_set = verifier.key_set.clone().unwrap();
        for _ in 0..500 {
            if !key_set.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(verifier.verify(&sign(Algorithm::ES256, Some("ec"), &valid()), now()).await.is_ok());
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn keys_of_https_are_never_fetched_in_the_clear() {
        let (url, requests) = serve(vec![KEY_SET.to_owned()]);
        let refused = agent("HTTPS://keys.example/jwks.json").get(&url).call();
        assert!(matches!(refused, Err(ureq::Error::RequireHttpsOnly(_))), "{refused:?}");
        assert_eq!(requests.load(Ordering::SeqCst), 0);
        assert!(agent("http://keys.example").get(&url).call().is_ok());
    }

    #[test]
    fn a_failed_fetch_does_not_name_the_password_in_the_address() {
        for url in ["http://me:hunter2@127.0.0.1:1/jwks.json", "http://me:hunter2@/"] {
            let reason = Source::Url(url.to_owned()).read().unwrap_err();
            assert!(reason.contains("cannot fetch http://") && !reason.contains("hunter2"), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_accepted_or_breaks_the_verifier(text in "(?s).{0,200}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
            let verifier = verifier_with(Some(SECRET), Some(KEY_SET));
            prop_assert!(verify(&verifier, &text).is_err());
            prop_assert!(verify(&verifier, &parts).is_err());
        }

        #[test]
        fn no_header_or_payload_breaks_the_verifier(header in "(?s).{0,40}", payload in "(?s).{0,100}") {
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let header = format!("{{\"alg\":\"HS256\",\"kid\":{}}}", Value::from(header));
            let message = format!("{}.{}", encode(&header), encode(&payload));
            let signature = crypto::sign(message.as_bytes(), &key_of(Algorithm::HS256), Algorithm::HS256).unwrap();
            prop_assert_eq!(verify(&hs256(), &format!("{message}.{signature}")), Err(AuthError::Malformed));
        }
    }
}
