//! Trusted documents: operations that clients name instead of sending them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::gate::Refusal;
use waymark_kernel::error::{Code, Error, Result};

/// How an id begins; the hash follows in hexadecimal digits.
const PREFIX: &str = "sha256:";
/// How many digits the hash has.
const DIGITS: usize = 64;

/// The documents that clients may run, when they may not run any others.
#[derive(Debug, Default)]
pub struct Documents(Option<HashMap<String, String>>);

impl Documents {
    /// Reads a JSON object of ids and texts, as code generators for clients write it. An id is the SHA-256 of the text
    /// with or without `sha256:` before it. Without a file clients run what they like.
    ///
    /// # Errors
    /// [`Code::BadUserInput`] when it cannot be read or is something else.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Ok(Self::default()) };
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
        Ok(Self(Some(known)))
    }

    /// The text that a request wants to be run.
    pub(super) fn text(&self, query: Option<String>, id: Option<&str>) -> Result<String, Refusal> {
        match (query, id) {
            (Some(_), Some(_)) => Err(Refusal::new(Code::BadUserInput, "send either query or documentId, not both")),
            (None, None) => Err(Refusal::new(Code::BadUserInput, "query is missing, or documentId in its place")),
            (Some(text), None) if self.0.is_none() => Ok(text),
            (Some(_), None) => {
                let message = "this server runs trusted documents only; send documentId instead of query";
                Err(Refusal::new(Code::Forbidden, message))
            }
            (None, Some(id)) => {
                let known = self.0.as_ref().and_then(|known| known.get(&canonical(id)?));
                known.cloned().ok_or_else(|| {
                    Refusal::new(Code::PersistedDocumentNotFound, "there is no trusted document with this documentId")
                })
            }
        }
    }

    /// Whether clients may run no others.
    pub(super) const fn are_all_there_are(&self) -> bool {
        self.0.is_some()
    }

    /// All documents with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flatten().map(|(id, text)| (id.as_str(), text.as_str()))
    }
}

/// The id as it is filed; `None` for what is none.
fn canonical(id: &str) -> Option<String> {
    let digits = id.strip_prefix(PREFIX).unwrap_or(id);
    let is_hash = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| format!("{PREFIX}{}", digits.to_ascii_lowercase()))
}
