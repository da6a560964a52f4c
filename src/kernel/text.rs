//! What may stand in texts that come from outside, whichever way they came.
//!
//! Two rules. **No text holds a NUL character or half of a surrogate pair**: PostgreSQL cannot store the one, UTF-8
//! cannot write the other. JSON can spell both, so [`from_json`] reads halves as NULs, and [`place_of_nul`] finds
//! those. **A line that is shown to people holds nothing [unprintable](is_unprintable)**: nothing that ends it, hides
//! in it, or turns around what stands beside it.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The refusal of a text with a NUL in it, behind the name of its field.
pub const HOLDS_NUL: &str = "must not hold a NUL character or half of a surrogate pair";

/// Whether this is no character of a line that people read: a control character, the end of a line or paragraph, what
/// turns the direction of writing around, or no character at all.
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || is_noncharacter(letter)
}

/// How long a key may be, in characters.
const KEY: RangeInclusive<usize> = 1..=255;
/// How long a title or a name may be, in characters.
const TITLE: RangeInclusive<usize> = 1..=500;
/// How long a description may be, in characters.
const DESCRIPTION: RangeInclusive<usize> = 0..=10_000;
/// How long an address may be, in characters.
const URL: RangeInclusive<usize> = 1..=2000;
/// How long a word of the operator's own may be, in characters.
const LABEL: RangeInclusive<usize> = 1..=100;

/// Why this is no key of a thing whose ids begin with `kind`. Any text that people can read is one, as long as an id
/// made of it can be told apart.
pub fn no_key(kind: &str, key: &str) -> Option<String> {
    if key.strip_prefix(kind).is_some_and(|rest| rest.starts_with(':')) {
        return Some(format!("no key begins with \"{kind}:\", as ids do"));
    }
    if key.chars().any(char::is_control) {
        return Some("no control characters may stand in a key".to_owned());
    }
    if key == "." || key == ".." || (!key.is_empty() && key.trim().is_empty()) {
        return Some("a key is not blank, and neither \".\" nor \"..\"".to_owned());
    }
    wrong_length("a key", key, &KEY)
}

/// The key of a resource as it is stored: one of 24 hexadecimal digits in lower case.
pub fn resource_key(key: &str) -> Cow<'_, str> {
    let is_hex = key.len() == 24 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { Cow::Owned(key.to_ascii_lowercase()) } else { Cow::Borrowed(key) }
}

/// A title with one blank for white space of any kind and length, and none at its ends.
pub fn tidied(title: &str) -> String {
    let mut tidy = String::with_capacity(title.len());
    for word in title.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}

/// Why this is no title or name for `field`, once it is [`tidied`].
pub fn no_title(field: &str, title: &str) -> Option<String> {
    let tidy = tidied(title);
    if tidy.chars().any(is_unprintable) {
        return Some(format!("no control characters and no turns of lines may stand in {field}"));
    }
    wrong_length(field, &tidy, &TITLE)
}

/// Why this is no word of the operator's own for `field`.
pub fn no_label(field: &str, text: &str) -> Option<String> {
    no_line(field, text, &LABEL)
}

/// Why this is no address for `field`.
pub fn no_url(field: &str, text: &str) -> Option<String> {
    let is_of = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !(is_of("http://") || is_of("https://")) {
        return Some(format!("{field} is an address that begins with http:// or https://"));
    }
    if text.contains(char::is_whitespace) {
        return Some(format!("{field} is an address, and no spaces may stand in one"));
    }
    no_line(field, text, &URL)
}

/// Why this is no description for `field`: it may have lines, and be empty.
pub fn no_description(field: &str, text: &str) -> Option<String> {
    if text.chars().any(|letter| letter.is_control() && !['\n', '\r', '\t'].contains(&letter)) {
        return Some(format!("no control characters but line ends and tabs may stand in {field}"));
    }
    wrong_length(field, text, &DESCRIPTION)
}

fn no_line(field: &str, text: &str, length: &RangeInclusive<usize>) -> Option<String> {
    if text.chars().any(is_unprintable) {
        return Some(format!("no control characters and no ends or turns of lines may stand in {field}"));
    }
    if !text.is_empty() && text.trim().is_empty() {
        return Some(format!("{field} must not be blank"));
    }
    wrong_length(field, text, length)
}

fn wrong_length(what: &str, text: &str, length: &RangeInclusive<usize>) -> Option<String> {
    let count = text.chars().count();
    let (least, most) = (length.start(), length.end());
    (!length.contains(&count)).then(|| format!("{what} has {least} to {most} characters, and not {count}"))
}

/// Returns how many bytes a text takes as JSON, with its quotes.
#[must_use]
pub fn json_length(text: &str) -> usize {
    2 + text.chars().map(json_length_of).sum::<usize>()
}

fn json_length_of(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
        '\0'..='\u{1f}' => 6,
        _ => letter.len_utf8(),
    }
}

/// Returns a text that takes at most `most` bytes as JSON, with its quotes: its beginning and `…` where it would take
/// more.
#[must_use]
pub fn cut(text: String, most: usize) -> String {
    // No text has more bytes as JSON than six times its own.
    if text.len() <= most.saturating_sub(2) / 6 || json_length(&text) <= most {
        return text;
    }
    let mut left = most.saturating_sub(2 + '…'.len_utf8());
    let fits = |letter: &char| {
        let length = json_length_of(*letter);
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// The 66 code points that Unicode says will never be characters.
fn is_noncharacter(letter: char) -> bool {
    matches!(u32::from(letter), 0xFDD0..=0xFDEF) || u32::from(letter) & 0xFFFE == 0xFFFE
}

/// Returns JSON without the byte order mark that some editors and libraries put before it.
#[must_use]
pub fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json)
}

/// Reads JSON, with a NUL in place of every escape that is half of a surrogate pair: the check for NULs can then name
/// the text that has it, while the parser knows only the column.
///
/// # Errors
/// When it is no JSON, or not what is wanted.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let json = without_mark(json);
    serde_json::from_slice(json).or_else(|error| match without_halves(json) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// Says in our words where a text is no JSON.
#[must_use]
pub fn no_json(error: &serde_json::Error) -> String {
    let (said, place) = (error.to_string(), format!("line {}, column {}", error.line(), error.column()));
    if error.is_eof() {
        format!("the JSON ends too early, in {place}")
    } else if said.starts_with("recursion limit") {
        format!("the JSON is nested too deeply, in {place}")
    } else if said.starts_with("number out of range") {
        format!("there is a number that is too large, in {place}")
    } else {
        format!("it is no JSON from {place} on")
    }
}

/// Whether JSON may hold an escaped NUL or half of a surrogate pair; most does not, which is found out quickly.
pub fn may_hold_nul(json: &[u8]) -> bool {
    json.contains(&b'\\') && json.windows(6).any(|window| window == b"\\u0000" || half(window).is_some())
}

/// Where in `value` a text, or a member's name, holds a NUL: `goals.2.title`, say; empty when that is the value itself.
pub fn place_of_nul(value: &Value) -> Option<String> {
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
pub fn without_halves(json: &[u8]) -> Cow<'_, [u8]> {
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
            // An escaped character, such as a backslash, begins no escape itself.
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
    fn the_length_as_json_is_what_is_written() {
        for text in ["", "plain", "a \"quoted\" \\ one", "lines\nand\ttabs\r", "\u{1}\u{8}\u{c}\u{1f}", "é🦀"] {
            assert_eq!(json_length(text), serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_fits_is_not() {
        let long = ["\"".repeat(100), "🦀".repeat(100), "\u{1}".repeat(100), "a".repeat(51), "é\\a".repeat(40)];
        for text in long {
            let short = cut(text.clone(), 52);
            assert!(json_length(&short) <= 52 && json_length(&short) >= 46 && short.ends_with('…'), "{short:?}");
            assert!(text.starts_with(short.trim_end_matches('…')));
        }
        for text in ["", "a", &"a".repeat(50), &"\u{1}".repeat(8)] {
            assert_eq!(cut(text.to_owned(), 52), text);
        }
    }

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
    fn a_key_is_any_text_that_makes_an_id() {
        let longest = "é".repeat(255);
        for key in [
            "14402",
            "TLAD: Easy Rider ",
            "ex10-?",
            "card:5",
            "hooks:basic-hooks:use-state",
            "http://a/x?y#z",
            "ä",
            &longest,
        ] {
            assert_eq!(no_key("game", key), None, "{key:?}");
        }
        for key in ["", " ", "\u{a0}", ".", "..", "a\tb", "a\0", "game:", "game:14402", &format!("{longest}é")] {
            assert!(no_key("game", key).is_some(), "{key:?}");
        }
        assert_eq!(resource_key("507F191E810C19729DE860EA"), "507f191e810c19729de860ea");
        assert_eq!(resource_key("Intro"), "Intro");
    }

    #[test]
    fn titles_are_tidied_and_addresses_are_of_the_web() {
        assert_eq!(tidied(" Basic \t Thuganomics\n"), "Basic Thuganomics");
        let longest = "x".repeat(500);
        for title in ["a\nb", &longest, &format!(" {longest} ")] {
            assert_eq!(no_title("title", title), None, "{title:?}");
        }
        for title in ["", " \n", "a\u{7}", "a\u{202e}b", &format!("{longest}x")] {
            assert!(no_title("title", title).is_some(), "{title:?}");
        }
        for url in ["https://example.org/a.png", "HTTP://x"] {
            assert_eq!(no_url("image", url), None, "{url:?}");
        }
        for url in ["", "javascript:alert(1)", "/a.png", "https://a b", &format!("https://{}", "x".repeat(2000))] {
            assert!(no_url("image", url).is_some(), "{url:?}");
        }
        assert_eq!((no_description("d", "a\n"), no_description("d", &"x".repeat(10_001)).is_some()), (None, true));
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
