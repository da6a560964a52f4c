//! Signed fetch (ADR-44): how wallets authenticate.
//!
//! A request carries a chain of links. The first names the owner, an Ethereum address. Each one that follows is signed
//! by the address before it: any number of links that hand the right to sign on to another address for a time, and at
//! last one that signs this request: its method, path, timestamp and metadata. Neither the query nor the body is
//! signed, so a request that changes something names the hash of its body in the metadata, and its signature counts
//! once.
//!
//! No input costs much: everything that can be checked without cryptography is checked first, the number and the size
//! of links are bounded, and links that were found good are remembered.

use std::borrow::Cow;
use std::fmt::Write as _;

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use sha3::{Digest as _, Keccak256};

use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};

/// The most links that a chain may have.
pub const MOST_LINKS: usize = 10;
/// The longest header that is looked at, in bytes.
const LONGEST_HEADER: usize = 16 * 1024;
/// Whom the metadata of a request name as its signer that the client signed for a scene, which is a program of another
/// author, and not for the player. Any other signer, and none at all, is the player's own client or site.
const SCENE: &str = "decentraland-kernel-scene";
/// How many links that hand on the right to sign are remembered.
const MOST_KEPT: u64 = 10_000;

/// What a request brings along, as it was sent.
#[derive(Debug)]
pub struct Sent<'a> {
    /// The links of the chain, each a JSON object, in their order.
    pub links: Vec<Cow<'a, str>>,
    /// The instant of the request, in milliseconds since 1970-01-01T00:00:00Z; `None`: its header is missing.
    pub timestamp: Option<Cow<'a, str>>,
    /// The signed metadata, a JSON object; `None`: its header is missing.
    pub metadata: Option<Cow<'a, str>>,
}

/// A request whose signature was found good.
#[derive(Debug)]
pub struct Signed {
    /// Whose request it is: `0x` and 40 digits, in lower case.
    pub address: String,
    /// The instant from which the signature counts no longer.
    pub expires_at: Timestamp,
    metadata: Map<String, Value>,
    /// The same for every signature of this owner for this request, however it is spelled.
    fingerprint: [u8; 32],
    /// How many signatures were verified for it.
    pub verified: u64,
}

impl Signed {
    /// What it is remembered by, so that it counts once.
    pub(super) fn mark(&self) -> String {
        hex(&self.fingerprint)
    }

    /// Refuses a body that the signed metadata do not name.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when they name another one or none.
    pub(super) fn check_body(&self, body: &[u8]) -> Result<()> {
        let hash = hex(&Sha256::digest(body));
        if self.named_body().is_some_and(|named| named.eq_ignore_ascii_case(&hash)) {
            return Ok(());
        }
        Err(Error::forbidden(
            "a signed mutation names its body in the signed metadata: \"body\": \"sha256:\" and the SHA-256 of the body \
             in hexadecimal digits",
        ))
    }

    /// The hash of the body that the metadata name.
    fn named_body(&self) -> Option<&str> {
        self.metadata.get("body").and_then(Value::as_str).and_then(|text| text.strip_prefix("sha256:"))
    }
}

/// An Ethereum address.
type Address = [u8; 20];

/// An address that may sign for another one.
#[derive(Debug, Clone, Copy)]
struct Delegate {
    address: Address,
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Link {
    #[serde(rename = "type")]
    kind: String,
    payload: String,
    #[serde(default)]
    signature: Option<String>,
}

/// Checks signed requests.
#[derive(Debug)]
pub struct Verifier {
    window_millis: i64,
    prefix: String,
    delegates: moka::sync::Cache<[u8; 32], Delegate>,
}

impl Verifier {
    /// Makes a verifier with the window of time and the path prefix of the settings.
    pub fn from_config(config: &Config) -> Self {
        let window = i64::from(config.signed_fetch_window);
        Self {
            window_millis: window * 1000,
            prefix: config.path_prefix.clone().unwrap_or_default(),
            delegates: moka::sync::Cache::builder().max_capacity(MOST_KEPT).build(),
        }
    }

    /// Who signed the request of `method` for `path`, which is as the client sent it, without the query. Adds to
    /// `verified` how many signatures were verified for that, which is what it costs.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when the signature is not good, [`Code::Forbidden`] when it is good and its metadata
    /// are no JSON object, or say that it was signed for a scene.
    pub fn verify(
        &self,
        sent: &Sent<'_>,
        method: &str,
        path: &str,
        now: Timestamp,
        verified: &mut u64,
    ) -> Result<Signed> {
        let Chain { owner, delegations, request } = Chain::read(sent)?;
        let timestamp = sent.timestamp.as_deref().unwrap_or_default();
        let signed_at = self.check_timestamp(timestamp, now)?;
        let metadata = sent.metadata.as_deref().unwrap_or("{}");
        if metadata.len() > LONGEST_HEADER {
            return Err(refused("the metadata are too long"));
        }
        let (method, path) = (method.to_lowercase(), format!("{}{path}", self.prefix).to_lowercase());
        let text = format!("{method}:{path}:{timestamp}:{metadata}");
        // Older clients sign all of it in lower case.
        if request.payload != text && request.payload != text.to_lowercase() {
            return Err(refused(format!(
                "what is signed is not this request; the last link must sign \"{method}:{path}:\" and then the \
                 timestamp, a colon and the metadata, as they are sent"
            )));
        }
        let mut authority = owner;
        for link in &delegations {
            authority = self.delegate(link, authority, now, verified)?;
        }
        *verified += 1;
        if recover(&request.payload, request.signature()) != Some(authority) {
            return Err(refused("the request is not signed by the address that the chain names last"));
        }
        let Ok(Value::Object(metadata)) = serde_json::from_str(metadata) else {
            return Err(Error::forbidden("the metadata must be a JSON object"));
        };
        let signer = metadata.get("signer").and_then(Value::as_str).unwrap_or_default();
        if signer.trim().eq_ignore_ascii_case(SCENE) {
            return Err(Error::forbidden(
                "invalid metadata: the request is signed for a scene, and only the player's own client acts for the player",
            ));
        }
        let fingerprint = Sha256::new().chain_update(owner).chain_update(text.to_lowercase()).finalize().into();
        let expires_at = signed_at.plus_millis(self.window_millis);
        Ok(Signed { address: written(&owner), expires_at, metadata, fingerprint, verified: *verified })
    }

    fn check_timestamp(&self, text: &str, now: Timestamp) -> Result<Timestamp> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let millis = text.parse::<i64>().ok().filter(|_| digits);
        let millis = millis.ok_or_else(|| {
            refused("x-identity-timestamp must be the present time in milliseconds since 1970-01-01T00:00:00Z")
        })?;
        if millis.abs_diff(now.millis()) > self.window_millis.unsigned_abs() {
            let (seconds, server) = (self.window_millis / 1000, now.millis());
            return Err(refused(format!(
                "the timestamp is more than {seconds} s away from the server's time, which is {server} ({now})"
            )));
        }
        Ok(Timestamp::from_millis(millis))
    }

    /// Whom `link` lets sign for `authority`.
    fn delegate(&self, link: &Link, authority: Address, now: Timestamp, verified: &mut u64) -> Result<Address> {
        let signature = link.signature();
        let key: [u8; 32] = Sha256::new()
            .chain_update(authority)
            .chain_update(link.payload.len().to_be_bytes())
            .chain_update(&link.payload)
            .chain_update(signature)
            .finalize()
            .into();
        let known = self.delegates.get(&key);
        let delegate = match known {
            Some(known) => known,
            None => read_delegation(&link.payload)?,
        };
        if delegate.expires_at <= now {
            self.delegates.invalidate(&key);
            return Err(refused(format!("the right to sign expired at {}", delegate.expires_at)));
        }
        if known.is_none() {
            *verified += 1;
            if recover(&link.payload, signature) != Some(authority) {
                return Err(refused("a link of the chain is not signed by the address before it"));
            }
            self.delegates.insert(key, delegate);
        }
        Ok(delegate.address)
    }
}

/// The links of a request, each of them where it belongs.
struct Chain {
    owner: Address,
    delegations: Vec<Link>,
    request: Link,
}

impl Chain {
    fn read(sent: &Sent<'_>) -> Result<Self> {
        if sent.links.is_empty() {
            return Err(refused("the request is not signed: x-identity-auth-chain-0 and so on are missing"));
        }
        if sent.links.len() > MOST_LINKS {
            return Err(refused(format!("the chain has more than {MOST_LINKS} links")));
        }
        let mut links = sent.links.iter().map(|text| Link::read(text)).collect::<Result<Vec<_>>>()?.into_iter();
        let (first, last) = (links.next(), links.next_back());
        let (Some(first), Some(request)) = (first, last) else {
            return Err(refused("the chain has a single link, and the request is signed by the last of two or more"));
        };
        let delegations: Vec<Link> = links.collect();
        if first.kind != "SIGNER" || request.kind != "ECDSA_SIGNED_ENTITY" {
            return Err(refused("the chain must begin with a SIGNER and end with an ECDSA_SIGNED_ENTITY"));
        }
        if delegations.iter().any(|link| link.kind != "ECDSA_EPHEMERAL") {
            return Err(refused("between its first and last link a chain has links of the type ECDSA_EPHEMERAL only"));
        }
        let owner =
            address(&first.payload).ok_or_else(|| refused("the SIGNER must be 0x and 40 hexadecimal digits"))?;
        Ok(Self { owner, delegations, request })
    }
}

impl Link {
    fn read(text: &str) -> Result<Self> {
        let link: Option<Self> = (text.len() <= LONGEST_HEADER && text.trim_start().starts_with('{'))
            .then(|| serde_json::from_str(text).ok())
            .flatten();
        let link = link.ok_or_else(|| {
            refused("each link of the chain must be a JSON object with the texts type, payload and signature")
        })?;
        if link.kind.contains("EIP_1654") {
            return Err(refused(
                "signatures of contract wallets (EIP-1654) cannot be checked here, since that needs an Ethereum node; \
                 sign with a wallet that has a key of its own",
            ));
        }
        Ok(link)
    }

    fn signature(&self) -> &str {
        self.signature.as_deref().unwrap_or_default()
    }
}

/// Reads `<title>\nEphemeral address: 0x…\nExpiration: <date>`.
fn read_delegation(payload: &str) -> Result<Delegate> {
    let read = || {
        let mut lines = payload.split('\n').map(|line| line.trim_end_matches('\r'));
        let (_title, second, third) = (lines.next()?, lines.next()?, lines.next()?);
        let address = address(second.strip_prefix("Ephemeral address: ")?)?;
        let expires_at = Timestamp::parse(third.strip_prefix("Expiration: ")?).ok()?;
        lines.next().is_none().then_some(Delegate { address, expires_at })
    };
    read().ok_or_else(|| {
        refused("an ECDSA_EPHEMERAL link must have three lines: a title, \"Ephemeral address: 0x…\", \"Expiration: …\"")
    })
}

/// Who signed `message` as a wallet signs messages (EIP-191); `None` when that is no signature.
fn recover(message: &str, signature: &str) -> Option<Address> {
    let bytes: [u8; 65] = unhex(signature.strip_prefix("0x")?)?;
    let (scalars, [v]) = bytes.split_first_chunk::<64>().and_then(|(start, end)| Some((start, end.first_chunk()?)))?;
    // Wallets write the parity of the point as 27 or 28, some as 0 or 1.
    let odd = match v {
        0 | 27 => 0,
        1 | 28 => 1,
        _ => return None,
    };
    let signature = Signature::from_slice(scalars).ok()?;
    // Of the two signatures with the same r the library takes the one with the lower s; the other has the other parity.
    let (signature, odd) = signature.normalize_s().map_or((signature, odd), |low| (low, 1 - odd));
    let hash = Keccak256::new()
        .chain_update(format!("\x19Ethereum Signed Message:\n{}", message.len()))
        .chain_update(message)
        .finalize();
    let key = VerifyingKey::recover_from_prehash(&hash, &signature, RecoveryId::from_byte(odd)?).ok()?;
    let point = key.to_encoded_point(false);
    let hash = Keccak256::digest(point.as_bytes().get(1..)?);
    hash.last_chunk().copied()
}

/// Reads `0x` and 40 hexadecimal digits in any case.
fn address(text: &str) -> Option<Address> {
    unhex(text.strip_prefix("0x")?)
}

fn written(address: &Address) -> String {
    format!("0x{}", hex(address))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (digits, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    if digits.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn refused(message: impl Into<std::sync::Arc<str>>) -> Error {
    Error::new(Code::InvalidCredential, message)
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_781_697_600_000);

    fn verifier() -> Verifier {
        Verifier::from_config(&Config::from_sources(None, []).unwrap())
    }

    struct Wallet(SigningKey);

    impl Wallet {
        fn new(number: u8) -> Self {
            Self(SigningKey::from_slice(&[number; 32]).unwrap())
        }

        fn address(&self) -> Address {
            let point = self.0.verifying_key().to_encoded_point(false);
            *Keccak256::digest(&point.as_bytes()[1..]).last_chunk().unwrap()
        }

        fn bytes(&self, message: &str) -> [u8; 65] {
            let text = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
            let (signature, id) = self.0.sign_prehash_recoverable(&Keccak256::digest(text)).unwrap();
            let mut bytes = [27 + id.to_byte(); 65];
            bytes[..64].copy_from_slice(&signature.to_bytes());
            bytes
        }

        fn sign(&self, message: &str) -> String {
            format!("0x{}", hex(&self.bytes(message)))
        }
    }

    fn link(kind: &str, payload: &str, signature: &str) -> String {
        json!({ "type": kind, "payload": payload, "signature": signature }).to_string()
    }

    /// A chain from the wallet 1 to that of the last number, which signs `text`.
    fn chain(wallets: u8, text: &str, expires: Timestamp) -> Vec<String> {
        let mut links = vec![link("SIGNER", &written(&Wallet::new(1).address()), "")];
        for number in 1..wallets {
            let next = written(&Wallet::new(number + 1).address());
            let payload = format!("Login\nEphemeral address: {next}\nExpiration: {expires}");
            links.push(link("ECDSA_EPHEMERAL", &payload, &Wallet::new(number).sign(&payload)));
        }
        links.push(link("ECDSA_SIGNED_ENTITY", text, &Wallet::new(wallets).sign(text)));
        links
    }

    fn sent<'a>(links: &'a [String], timestamp: &'a str, metadata: Option<&'a str>) -> Sent<'a> {
        let links = links.iter().map(|link| link.as_str().into()).collect();
        Sent { links, timestamp: Some(timestamp.into()), metadata: metadata.map(Into::into) }
    }

    fn verify(verifier: &Verifier, links: &[String], timestamp: &str, metadata: Option<&str>) -> Result<Signed> {
        verifier.verify(&sent(links, timestamp, metadata), "GET", "/Users/x/progress", NOW, &mut 0)
    }

    fn stamp() -> String {
        NOW.millis().to_string()
    }

    fn text() -> String {
        format!("get:/users/x/progress:{}:{{}}", NOW.millis())
    }

    const HOUR: Timestamp = NOW.plus_seconds(3600);

    #[test]
    fn a_known_signature_gives_the_known_address() {
        // From the documentation of a widespread wallet library.
        let signature = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
        assert_eq!(
            recover("Some data", signature).map(|it| written(&it)).as_deref(),
            Some("0x2c7536e3605d9c16a7a3d7b1898e529396a65c23")
        );
    }

    #[test]
    fn chains_of_two_to_ten_links_are_accepted() {
        for wallets in 1..=9 {
            let links = chain(wallets, &text(), HOUR);
            let signed = verify(&verifier(), &links, &stamp(), None).unwrap();
            assert_eq!(signed.address, written(&Wallet::new(1).address()), "{} links", links.len());
        }
        assert!(verify(&verifier(), &chain(10, &text(), HOUR), &stamp(), None).is_err());
        assert!(verify(&verifier(), &chain(1, &text(), HOUR)[..1], &stamp(), None).is_err());
    }

    #[test]
    fn both_forms_of_the_signed_text_are_accepted() {
        let metadata = r#"{"Origin":"https://Play.example","n":1}"#;
        let newer = format!("get:/users/x/progress:{}:{metadata}", NOW.millis());
        for text in [newer.clone(), newer.to_lowercase()] {
            assert!(verify(&verifier(), &chain(2, &text, HOUR), &stamp(), Some(metadata)).is_ok(), "{text}");
        }
        for text in [newer.replace("get:", "GET:"), newer.replace("users", "Users"), newer.replace("get", "post")] {
            assert!(verify(&verifier(), &chain(2, &text, HOUR), &stamp(), Some(metadata)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_that_the_proxy_took_away_is_part_of_the_signed_path() {
        let settings = [("WAYMARK_PATH_PREFIX".to_owned(), "/Api".to_owned())];
        let verifier = Verifier::from_config(&Config::from_sources(None, settings).unwrap());
        assert!(verify(&verifier, &chain(1, &text(), HOUR), &stamp(), None).is_err());
        let text = text().replace("/users", "/api/users");
        assert!(verify(&verifier, &chain(1, &text, HOUR), &stamp(), None).is_ok());
    }

    #[test]
    fn of_all_values_of_v_four_are_read_and_of_both_values_of_s_either() {
        let wallet = Wallet::new(1);
        let good = wallet.bytes("x");
        let (low, high) = (good, high_s(good));
        for bytes in [low, high] {
            for v in 0..=u8::MAX {
                let mut bytes = bytes;
                let right = bytes[64];
                bytes[64] = v;
                let found = recover("x", &format!("0x{}", hex(&bytes)));
                let fits = v == right || v.wrapping_add(27) == right;
                assert_eq!(found == Some(wallet.address()), fits, "v = {v}");
                assert!(found.is_none() || matches!(v, 0 | 1 | 27 | 28), "v = {v}");
            }
        }
    }

    fn high_s(mut bytes: [u8; 65]) -> [u8; 65] {
        let signature = Signature::from_slice(&bytes[..64]).unwrap();
        let (r, s) = signature.split_scalars();
        let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        bytes[..64].copy_from_slice(&high.to_bytes());
        bytes[64] = 27 + 28 - bytes[64];
        bytes
    }

    #[test]
    fn the_window_is_as_wide_behind_as_ahead() {
        for (seconds, good) in [(-60_001, false), (-60_000, true), (0, true), (60_000, true), (60_001, false)] {
            let stamp = NOW.plus_millis(seconds).millis().to_string();
            let links = chain(1, &format!("get:/users/x/progress:{stamp}:{{}}"), HOUR);
            assert_eq!(verify(&verifier(), &links, &stamp, None).is_ok(), good, "{seconds}");
        }
        for stamp in ["", "-1", "+1781697600000", "1781697600000.0", "1e12", " 1781697600000", "99999999999999999999"] {
            let links = chain(1, &format!("get:/users/x/progress:{stamp}:{{}}"), HOUR);
            assert!(verify(&verifier(), &links, stamp, None).is_err(), "{stamp}");
        }
        let late = verify(&verifier(), &chain(1, &text(), HOUR), "1", None).unwrap_err();
        assert!(late.message().contains("1781697600000 (2026-06-17T12:00:00.000Z)"), "{late}");
    }

    #[test]
    fn a_handed_on_right_ends_with_its_date_also_when_it_is_remembered() {
        let verifier = verifier();
        let links = chain(2, &text(), NOW.plus_millis(1));
        assert!(verify(&verifier, &links, &stamp(), None).is_ok());
        let later =
            verifier.verify(&sent(&links, &stamp(), None), "GET", "/users/x/progress", NOW.plus_millis(1), &mut 0);
        assert_eq!(later.unwrap_err().message(), "the right to sign expired at 2026-06-17T12:00:00.001Z");
        assert!(verify(&self::verifier(), &chain(2, &text(), NOW), &stamp(), None).is_err());
    }

    #[test]
    fn a_remembered_link_counts_for_its_own_chain_only() {
        let verifier = verifier();
        let links = chain(2, &text(), HOUR);
        assert!(verify(&verifier, &links, &stamp(), None).is_ok());
        let mut stolen = links;
        stolen[0] = link("SIGNER", &written(&Wallet::new(7).address()), "");
        assert!(verify(&verifier, &stolen, &stamp(), None).is_err());
    }

    #[test]
    fn every_link_has_to_be_signed_by_the_one_before_it() {
        for forged in 1..3 {
            let mut links = chain(3, &text(), HOUR);
            let mut value: Value = serde_json::from_str(&links[forged]).unwrap();
            value["signature"] = Wallet::new(9).sign(value["payload"].as_str().unwrap()).into();
            links[forged] = value.to_string();
            assert!(verify(&verifier(), &links, &stamp(), None).is_err(), "{forged}");
        }
    }

    #[test]
    fn metadata_have_to_be_an_object_once_the_signature_is_good() {
        for metadata in ["[]", "1", "null", "{", "", "nonsense"] {
            let text = format!("get:/users/x/progress:{}:{metadata}", NOW.millis());
            let refusal = verify(&verifier(), &chain(1, &text, HOUR), &stamp(), Some(metadata)).unwrap_err();
            assert_eq!(refusal.code(), Code::Forbidden, "{metadata}");
            let refusal = verify(&verifier(), &chain(1, "other", HOUR), &stamp(), Some(metadata)).unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidCredential, "{metadata}");
        }
    }

    #[test]
    fn contract_wallets_are_told_why_they_are_refused() {
        for (at, kind) in [(1, "ECDSA_EIP_1654_EPHEMERAL"), (2, "ECDSA_EIP_1654_SIGNED_ENTITY")] {
            let mut links = chain(2, &text(), HOUR);
            links[at] = links[at].replace("ECDSA_EPHEMERAL", kind).replace("ECDSA_SIGNED_ENTITY", kind);
            let refusal = verify(&verifier(), &links, &stamp(), None).unwrap_err();
            assert!(refusal.message().contains("contract wallets"), "{refusal}");
        }
    }

    #[test]
    fn a_signature_changes_something_with_the_body_that_it_names() {
        let verifier = verifier();
        let sign = |body: &str| {
            let metadata = format!(r#"{{"body":"{body}"}}"#);
            let text = format!("get:/users/x/progress:{}:{metadata}", NOW.millis());
            verify(&verifier, &chain(1, &text, HOUR), &stamp(), Some(&metadata)).unwrap()
        };
        let hash = hex(&Sha256::digest("body"));
        for named in ["", "sha256:", "sha256:00", &hash, &format!("sha512:{hash}")] {
            assert_eq!(sign(named).check_body(b"body").unwrap_err().code(), Code::Forbidden, "{named}");
        }
        let named = format!("sha256:{hash}");
        assert_eq!(sign(&named).check_body(b"another").unwrap_err().code(), Code::Forbidden);
        assert!(sign(&named).check_body(b"body").is_ok());
        assert_eq!(sign(&named).mark(), sign(&named).mark());
        assert_ne!(sign(&named).mark(), sign("sha256:00").mark());
    }

    #[test]
    fn what_is_no_chain_is_refused_in_words() {
        let good = chain(2, &text(), HOUR);
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in ["", "{}", "[]", "null", "[\"SIGNER\",\"x\",\"\"]", "{\"type\":1}", &deep, &"x".repeat(1 << 20)] {
            for at in 0..good.len() {
                let mut links = good.clone();
                links[at] = bad.to_owned();
                let refusal = verify(&verifier(), &links, &stamp(), None).unwrap_err();
                assert_eq!(refusal.code(), Code::InvalidCredential);
            }
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let mut links = good.clone();
            links.swap(one, other);
            assert!(verify(&verifier(), &links, &stamp(), None).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_verifier_panic(links: Vec<String>, timestamp: String, metadata: Option<String>) {
            let _ = verify(&verifier(), &links, &timestamp, metadata.as_deref());
        }

        #[test]
        fn no_payload_and_signature_make_it_panic(payload: String, signature: String, bytes in prop::collection::vec(any::<u8>(), 65)) {
            let _ = read_delegation(&payload);
            let _ = recover(&payload, &signature);
            let _ = recover(&payload, &format!("0x{}", hex(&bytes)));
        }

        #[test]
        fn hexadecimal_digits_are_read_back(bytes: [u8; 20]) {
            prop_assert_eq!(address(&written(&bytes)), Some(bytes));
            prop_assert_eq!(address(&written(&bytes).to_uppercase().replace("0X", "0x")), Some(bytes));
        }
    }
}
