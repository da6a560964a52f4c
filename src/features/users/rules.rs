//! What names a user, and what a profile may say.

use serde::Serialize;

use waymark_kernel::text::is_unprintable;

/// The user with this key in the database, ULID, handle or account; well-formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum UserWith {
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
pub const HANDLE: &str = "a handle has 2 to 20 letters and digits";

/// What a name to show looks like, for messages.
pub const DISPLAY_NAME: &str =
    "a name to show has 1 to 100 printable characters on one line, and nothing that turns its direction";

/// Where a picture may be, for messages.
pub const PICTURE_URL: &str =
    "a picture has an http or https address of at most 2,000 characters without a user or password in it";

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

/// Whether this is a name to show: 1 to 100 printable characters on one line, not only spaces.
#[must_use]
pub fn is_display_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(is_unprintable)
}

/// Whether this may be the address of a picture: `http` or `https`, with a host, without user or password, at most
/// 2,000 characters.
#[must_use]
pub fn is_picture_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text.len() <= LONGEST_URL
        && rest
            .is_some_and(|rest| rest.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'['))
        && rest.is_some_and(|rest| !rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// A name to show from the days when more could stand in one, without that; `None` when nothing is left.
#[must_use]
pub fn mended_name(name: &str) -> Option<String> {
    let mended: String = name.chars().filter(|letter| !is_unprintable(*letter)).collect();
    is_display_name(&mended).then_some(mended)
}

/// The address of a picture from those days, without user and password; `None` when it is none.
#[must_use]
pub fn mended_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    let host = host.rsplit('@').next().unwrap_or_default();
    Some(format!("{scheme}://{host}{path}")).filter(|url| is_picture_url(url))
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
    fn a_name_to_show_is_one_line_that_stays_where_it_stands() {
        for name in ["Ada", "  Ada  Lovelace ", "José 🦀", "عادة", "👩\u{200d}🚀"] {
            assert!(is_display_name(name), "{name:?}");
        }
        let long = "x".repeat(101);
        for name in ["", " ", "a\nb", "a\u{2028}b", "\u{202e}ada", "a\u{2067}b", "a\u{fffe}", "a\u{1ffff}", &long] {
            assert!(!is_display_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_picture_lies_on_the_web() {
        let long = format!("https://example.org/{}", "x".repeat(1980));
        for url in [
            "https://example.org/a.png?s=1#x",
            "https://example.org/@ada?at=a@b#@",
            "http://[::1]:8080/a",
            long.as_str(),
        ] {
            assert!(is_picture_url(url), "{url}");
        }
        let longer = format!("{long}x");
        for url in [
            "",
            "https://",
            "https://user@example.org/a.png",
            "http://user:pass@example.org?a",
            "javascript:alert(1)",
            "ftp://example.org",
            "https://a b",
            "http://\"x",
            "//x",
            &longer,
        ] {
            assert!(!is_picture_url(url), "{url}");
        }
    }

    #[test]
    fn what_could_be_stored_once_is_mended() {
        assert_eq!(mended_name("\u{202e}Ada\u{2028} L").as_deref(), Some("Ada L"));
        assert_eq!(mended_name("\u{fffe} "), None);
        for (url, mended) in [
            ("https://me:secret@example.org/@a?b@c", Some("https://example.org/@a?b@c")),
            ("http://a@b@example.org", Some("http://example.org")),
            ("https://example.org/a.png", Some("https://example.org/a.png")),
            ("https://me@", None),
            ("nothing", None),
        ] {
            assert_eq!(mended_url(url).as_deref(), mended, "{url}");
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
