//! What may stand in texts that come from outside, whichever way they came.
//!
//! Two rules. **No text holds a NUL character or half of a surrogate pair**: PostgreSQL cannot store the one, UTF-8 cannot
//! write the other. JSON can spell both, so [`from_json`] reads halves as NULs, and [`place_of_nul`] finds those. **A line
//! that is shown to people holds nothing [unprintable](is_unprintable)**: nothing that ends it, hides in it, or turns around
//! what stands beside it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is said of a text with a NUL in it, behind the name of its field.
pub(crate) const HOLDS_NUL: &str = "must not hold a NUL character or half of a surrogate pair";

/// Whether this is no character of a line that people read: a control character, the end of a line or paragraph, what
/// turns the direction of writing around, or no character at all.
pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || is_noncharacter(letter)
}

/// The 66 code points that Unicode says will never be characters.
fn is_noncharacter(letter: char) -> bool {
    matches!(u32::from(letter), 0xFDD0..=0xFDEF) || u32::from(letter) & 0xFFFE == 0xFFFE
}

/// Reads JSON, with a NUL in place of every escape that is half of a surrogate pair: whoever checks the texts for NULs
/// can then say in which one it stands, where the reader knows only the column.
///
/// # Errors
/// When it is no JSON, or not what is wanted.
pub(crate) fn from_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match without_halves(json) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// Whether JSON may hold an escaped NUL or half of a surrogate pair; most does not, which is found out quickly.
pub(crate) fn may_hold_nul(json: &[u8]) -> bool {
    json.contains(&b'\\') && json.windows(6).any(|window| window == b"\\u0000" || half(window).is_some())
}

/// Where in `value` a text, or a member's name, holds a NUL: `goals.2.title`, say; empty when that is the value itself.
pub(crate) fn place_of_nul(value: &Value) -> Option<String> {
    let within = |step: String, inner: &Value| {
        let rest = place_of_nul(inner)?;
        Some(if rest.is_empty() { step } else { format!("{step}.{rest}") })
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(place, item)| within(place.to_string(), item)),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') { Some(name.replace('\0', "\\u0000")) } else { within(name.clone(), member) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The half of a surrogate pair that an escape of six bytes stands for, and whether it is the first one.
fn half(escape: &[u8]) -> Option<bool> {
    match escape {
        [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'b' | b'A'..=b'B', ..] => Some(true),
        [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..] => Some(false),
        _ => None,
    }
}

/// JSON with `\u0000` in place of halves of surrogate pairs.
pub(crate) fn without_halves(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    let mut place = 0;
    while let Some(rest) = json.get(place..).filter(|rest| !rest.is_empty()) {
        let next = rest.get(6..12).unwrap_or_default();
        place += match rest {
            [b'\\', b'u', ..] => match half(rest.get(..6).unwrap_or_default()) {
                Some(true) if half(next) == Some(false) => 12,
                Some(_) => {
                    if let Some(escape) = mended.to_mut().get_mut(place..place + 6) {
                        escape.copy_from_slice(b"\\u0000");
                    }
                    6
                }
                None => 2,
            },
            // Whatever is escaped, a backslash above all, begins no escape itself.
            [b'\\', ..] => 2,
            _ => 1,
        };
    }
    mended
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ends_hides_or_turns_a_line_is_unprintable_and_what_people_write_is_not() {
        for letter in "\0\n\t\u{7f}\u{85}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{fffe}\u{ffff}\u{fdd0}\u{1fffe}\u{10ffff}".chars() {
            assert!(is_unprintable(letter), "{letter:?}");
        }
        // Joiners and marks of direction belong to emoji and to names in some scripts.
        for letter in "aé字ع🦀\u{200d}\u{200e}\u{200f}\u{fe0f}\u{301}\u{fffd}\u{a0} ".chars() {
            assert!(!is_unprintable(letter), "{letter:?}");
        }
    }

    #[test]
    fn half_of_a_pair_is_read_as_a_nul_and_a_whole_one_as_what_it_is() {
        for (text, read) in [
            (r#""a\ud83e\udd80b""#, "a🦀b"),
            (r#""a\ud83eb""#, "a\0b"),
            (r#""\uDD80""#, "\0"),
            (r#""\ud83e\ud83e\udd80""#, "\0🦀"),
            (r#""\udd80\ud83e""#, "\0\0"),
            (r#""\\ud83e""#, "\\ud83e"),
            (r#""\\\ud83e""#, "\\\0"),
            (r#""\u0000""#, "\0"),
        ] {
            assert_eq!(from_json::<String>(text.as_bytes()).unwrap(), read, "{text}");
            assert!(may_hold_nul(text.as_bytes()), "{text}");
        }
        for text in [r#""\ud83""#, r#""\ud83e"#, r#""\u"#, "{", ""] {
            assert!(from_json::<Value>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(!may_hold_nul(r#"{"a":"\u00e9\n"}"#.as_bytes()));
    }

    #[test]
    fn a_nul_is_found_where_it_stands() {
        let place = |value: Value| place_of_nul(&value);
        assert_eq!(place(json!({ "a": ["x", { "b": "y\0" }] })).as_deref(), Some("a.1.b"));
        assert_eq!(place(json!({ "a\0": 1 })).as_deref(), Some("a\\u0000"));
        assert_eq!(place(json!("\0")).as_deref(), Some(""));
        assert_eq!(place(json!({ "a": [1, null, true, "b"] })), None);
    }

    proptest! {
        #[test]
        fn whatever_is_json_is_read_as_before(value: String, bytes: Vec<u8>) {
            let json = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(from_json::<String>(&json).unwrap(), value);
            let _ = from_json::<Value>(&bytes);
        }
    }
}
