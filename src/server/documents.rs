//! Operations that clients name instead of sending them: trusted documents, and automatic persisted queries.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::gate::Refusal;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};

/// How an id begins; the hash follows in hexadecimal digits.
const PREFIX: &str = "sha256:";
/// How many digits the hash has.
const DIGITS: usize = 64;

/// The documents that clients name instead of sending them.
#[derive(Debug)]
pub struct Documents {
    /// Those that clients may run, when they may not run any others.
    trusted: Option<HashMap<String, String>>,
    /// Those that were sent with their hash (automatic persisted queries), where that is turned on.
    persisted: Option<Cache<String, Arc<str>>>,
}

impl Documents {
    /// Reads the trusted documents of the settings: a JSON object of ids and texts, as code generators for clients
    /// write it. An id is the SHA-256 of the text with or without `sha256:` before it. Without a file clients run what
    /// they like.
    ///
    /// # Errors
    /// [`Code::BadUserInput`] when it cannot be read or is something else.
    pub fn of(config: &Config) -> Result<Self> {
        let trusted = config.trusted_documents.as_deref().map(read).transpose()?;
        // Where only trusted documents run, nothing is kept for others.
        let persisted = (config.apq && trusted.is_none()).then(|| {
            Cache::builder()
                .weigher(|_: &String, text: &Arc<str>| u32::try_from(text.len()).unwrap_or(u32::MAX).max(1024))
                .max_capacity(config.limits.document_cache.saturating_mul(1024))
                .build()
        });
        Ok(Self { trusted, persisted })
    }

    /// The text that a request wants to be run, which may name it by the hash of an automatic persisted query.
    pub(super) fn text(&self, query: Option<String>, id: Option<&str>, hash: Option<&str>) -> Result<String, Refusal> {
        match (query, id) {
            (Some(_), Some(_)) => Err(Refusal::new(Code::BadUserInput, "send either query or documentId, not both")),
            (None, None) => self.persisted(hash),
            (Some(_), None) if self.trusted.is_some() => {
                let message = "this server runs trusted documents only; send documentId instead of query";
                Err(Refusal::new(Code::Forbidden, message))
            }
            (Some(text), None) => match hash {
                Some(hash) if self.persisted.is_some() && canonical(hash) != Some(id_of(&text)) => {
                    Err(Refusal::new(Code::BadUserInput, "sha256Hash is not the SHA-256 of the query"))
                }
                _ => Ok(text),
            },
            (None, Some(id)) => {
                let known = self.trusted.as_ref().and_then(|known| known.get(&canonical(id)?));
                known.cloned().ok_or_else(|| {
                    Refusal::new(Code::PersistedDocumentNotFound, "there is no trusted document with this documentId")
                })
            }
        }
    }

    /// A query by its hash alone. The messages are those by which links for automatic persisted queries know that they
    /// have to send the text.
    fn persisted(&self, hash: Option<&str>) -> Result<String, Refusal> {
        let Some(persisted) = &self.persisted else {
            return Err(Refusal::new(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported"));
        };
        let known = hash.and_then(canonical).and_then(|id| persisted.get(&id));
        let unknown = || Refusal::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound");
        known.map(|text| text.as_ref().to_owned()).ok_or_else(unknown)
    }

    /// Keeps a query that may run under its hash, which was [compared][Self::text].
    pub(super) fn keep(&self, hash: &str, text: String) {
        if let (Some(persisted), Some(id)) = (&self.persisted, canonical(hash))
            && !persisted.contains_key(&id)
        {
            persisted.insert(id, text.into());
        }
    }

    /// Whether clients may run no others.
    pub(super) const fn are_all_there_are(&self) -> bool {
        self.trusted.is_some()
    }

    /// All documents with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.trusted.iter().flatten().map(|(id, text)| (id.as_str(), text.as_str()))
    }
}

fn read(path: &Path) -> Result<HashMap<String, String>> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Error::bad_input(format!("the trusted documents in {name} cannot be read: {error}")))?;
    let documents: HashMap<String, String> = serde_json::from_str(&text).map_err(|error| {
        Error::bad_input(format!("the trusted documents in {name} must be a JSON object of ids and texts: {error}"))
    })?;
    let mut known = HashMap::with_capacity(documents.len());
    for (id, text) in documents {
        let Some(id) = canonical(&id) else {
            let message = format!("{id:?} in {name} is no id; it must be sha256: and {DIGITS} hexadecimal digits");
            return Err(Error::bad_input(message));
        };
        known.insert(id, text);
    }
    Ok(known)
}

/// The id of a text.
fn id_of(text: &str) -> String {
    let digits: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digits}")
}

/// The id as it is filed; `None` for what is none.
fn canonical(id: &str) -> Option<String> {
    let digits = id.strip_prefix(PREFIX).unwrap_or(id);
    let is_hash = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| format!("{PREFIX}{}", digits.to_ascii_lowercase()))
}
