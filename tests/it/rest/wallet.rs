//! Wallets that sign requests, as their clients do.

use axum::body::Body;
use axum::http::Request;
use k256::ecdsa::SigningKey;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use sha3::{Digest as _, Keccak256};
use waymark::clock::Timestamp;

use crate::harness::{NOW, Stage};

pub(crate) fn now() -> i64 {
    Timestamp::parse(NOW).unwrap().millis()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A wallet with a key of its own.
pub(crate) struct Wallet(SigningKey);

impl Wallet {
    /// The wallet of this number, which is above 0.
    pub(crate) fn new(number: u64) -> Self {
        let mut key = [0; 32];
        key[24..].copy_from_slice(&number.to_be_bytes());
        Self(SigningKey::from_slice(&key).unwrap())
    }

    /// In lower case.
    pub(crate) fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        format!("0x{}", hex(&Keccak256::digest(&point.as_bytes()[1..])[12..]))
    }

    /// As wallets show it, with a checksum in its case.
    pub(crate) fn checksummed(&self) -> String {
        let address = self.address();
        let hash = hex(&Keccak256::digest(&address[2..]));
        let digits = address[2..]
            .chars()
            .zip(hash.chars())
            .map(|(digit, hash)| if hash >= '8' { digit.to_ascii_uppercase() } else { digit });
        format!("0x{}", digits.collect::<String>())
    }

    pub(crate) fn sign(&self, message: &str) -> [u8; 65] {
        let text = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let (signature, id) = self.0.sign_prehash_recoverable(&Keccak256::digest(text)).unwrap();
        let mut bytes = [27 + id.to_byte(); 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes
    }

    /// The user of the demo data with this number gets this wallet.
    pub(crate) async fn link(&self, stage: &Stage, user: u64) {
        let sql = format!(
            "INSERT INTO accounts (user_id, provider, external_id, linked_at) VALUES ({user}, 'ethereum', '{}', 0)",
            self.address()
        );
        stage.db().writes().execute_unprepared(&sql).await.unwrap();
    }
}

/// A request to be signed.
#[derive(Clone)]
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) timestamp: i64,
    pub(crate) metadata: &'a str,
    /// When the right that a wallet hands on to the next one expires.
    pub(crate) expires: String,
}

impl<'a> Unsigned<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        let expires = Timestamp::from_millis(now()).plus_seconds(3600).to_string();
        Self { method, path, timestamp: now(), metadata: "{}", expires }
    }

    /// The headers, signed by the last of these wallets in the name of the first.
    pub(crate) fn headers(&self, wallets: &[&Wallet]) -> Vec<(String, String)> {
        let path = self.path.split('?').next().unwrap();
        let text = format!("{}:{path}:{}:", self.method, self.timestamp).to_lowercase() + self.metadata;
        let link = |kind: &str, payload: &str, signature: &str| {
            json!({ "type": kind, "payload": payload, "signature": signature }).to_string()
        };
        let signed =
            |kind: &str, by: &Wallet, payload: &str| link(kind, payload, &format!("0x{}", hex(&by.sign(payload))));
        let mut links = vec![link("SIGNER", &wallets[0].address(), "")];
        for pair in wallets.windows(2) {
            let payload = format!("Login\nEphemeral address: {}\nExpiration: {}", pair[1].checksummed(), self.expires);
            links.push(signed("ECDSA_EPHEMERAL", pair[0], &payload));
        }
        links.push(signed("ECDSA_SIGNED_ENTITY", wallets[wallets.len() - 1], &text));
        let links = links.into_iter().enumerate();
        let mut headers: Vec<_> = links.map(|(at, link)| (format!("x-identity-auth-chain-{at}"), link)).collect();
        headers.push(("x-identity-timestamp".to_owned(), self.timestamp.to_string()));
        headers.push(("x-identity-metadata".to_owned(), self.metadata.to_owned()));
        headers
    }

    /// The request, signed like this.
    pub(crate) fn signed(&self, wallets: &[&Wallet]) -> Request<Body> {
        request(self.method, self.path, &self.headers(wallets))
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(String, String)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}
