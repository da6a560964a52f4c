//! What names a user, and what a profile may say.

use serde::Serialize;

/// The user with this key in the database, ULID, handle or account; well-formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum UserWith {
    /// The key in the database.
    Id(i64),
    /// The ULID, in upper case.
    Ulid(String),
    /// The handle, in lower case.
    Handle(String),
    /// An account somewhere else.
    Account {
        /// In lower case.
        provider: String,
        /// As it is stored.
        external_id: String,
    },
}

/// What a handle looks like, for messages.
pub(crate) const HANDLE: &str = "a handle has 2 to 20 letters and digits";

const LONGEST_NAME: usize = 100;
const LONGEST_URL: usize = 2_000;
const LONGEST_ACCOUNT: usize = 255;

/// Whether this is a handle: 2 to 20 ASCII letters and digits.
#[must_use]
pub fn is_handle(text: &str) -> bool {
    (2..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A handle for somebody who brought none, made of random bits: `user` and eight letters and digits.
#[must_use]
pub fn generated_handle(random: [u8; 8]) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = u64::from_be_bytes(random);
    let mut handle = "user".to_owned();
    for _ in 0..8 {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        handle.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        rest /= 36;
    }
    handle
}

/// What stands in place of the handle of a user who was erased or merged: unique, and no handle that anybody can take.
#[must_use]
pub fn tombstone(ulid: &str) -> String {
    format!("~{}", ulid.to_ascii_lowercase())
}

/// Whether this is a name to show: 1 to 100 printable characters, not only spaces.
#[must_use]
pub fn is_display_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// Whether this may be the address of a picture: `http` or `https`, with a host, at most 2,000 characters.
#[must_use]
pub fn is_picture_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= LONGEST_URL
        && rest.is_some_and(|rest| rest.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'['))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// An account somewhere else as it is stored.
///
/// # Errors
/// Says what would be right.
pub fn account(provider: &str, id: &str) -> Result<(String, String), &'static str> {
    let provider = provider.to_ascii_lowercase();
    if !(1..=32).contains(&provider.len())
        || !provider.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
    {
        return Err("a platform has 1 to 32 letters a-z, digits, \"_\" and \"-\"");
    }
    if provider == "ethereum" {
        let id = address(id).ok_or("an Ethereum address is 0x and 40 hexadecimal digits")?;
        return Ok((provider, id));
    }
    if !(1..=LONGEST_ACCOUNT).contains(&id.len()) || id.chars().any(char::is_control) {
        return Err("the id of an account has 1 to 255 printable characters");
    }
    Ok((provider, id.to_owned()))
}

/// An Ethereum address as it is stored, in lower case.
#[must_use]
pub fn address(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x")?;
    let fits = digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_handle_has_two_to_twenty_letters_and_digits() {
        for handle in ["ab", "Ada1", "12345678901234567890"] {
            assert!(is_handle(handle), "{handle}");
        }
        for text in ["", "a", "a b", "ada!", "ädä", "123456789012345678901", "~a"] {
            assert!(!is_handle(text), "{text}");
        }
    }

    #[test]
    fn nobody_can_take_a_tombstone_for_a_handle() {
        assert!(!is_handle(&tombstone("01J9ZK3V7Q8W6X5Y4T3S2R1P0N")));
        assert_ne!(tombstone("01J9ZK3V7Q8W6X5Y4T3S2R1P0N"), tombstone("01J9ZK3V7Q8W6X5Y4T3S2R1P0M"));
    }

    #[test]
    fn a_picture_lies_on_the_web() {
        let long = format!("https://example.org/{}", "x".repeat(1980));
        for url in ["https://example.org/a.png?s=1#x", "http://[::1]:8080/a", long.as_str()] {
            assert!(is_picture_url(url), "{url}");
        }
        let longer = format!("{long}x");
        for url in
            ["", "https://", "javascript:alert(1)", "ftp://example.org", "https://a b", "http://\"x", "//x", &longer]
        {
            assert!(!is_picture_url(url), "{url}");
        }
    }

    #[test]
    fn an_account_is_stored_in_one_spelling() {
        let mixed = "0x7949F9F239D1A0816CE5EB364A1F588AE9CC1BF5";
        assert_eq!(account("Ethereum", mixed), Ok(("ethereum".to_owned(), mixed.to_lowercase())));
        assert_eq!(account("discord", "Ab").unwrap().1, "Ab");
        for (provider, id) in [("", "1"), ("a b", "1"), ("discord", ""), ("discord", "a\nb"), ("ethereum", "0x12")] {
            assert!(account(provider, id).is_err(), "{provider} {id}");
        }
        assert!(account(&"p".repeat(33), "1").is_err() && account("x", &"1".repeat(256)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_generated_is_a_handle(random: [u8; 8]) {
            prop_assert!(is_handle(&generated_handle(random)));
        }
    }
}
