//! Outcomes as they are kept under idempotency keys: without what the input says already.
//!
//! An outcome names the things that the write was about, so most of it stands in the input, and the same key with
//! another input is refused. What is kept is therefore the difference: pieces of the input and of what came before in
//! the outcome are pointed at, and the rest is written out. A list of a thousand results comes to some ten bytes each.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use waymark_kernel::error::{Error, Result};

/// What packed texts begin with; other texts are as they were.
const MARK: &str = "z:";
/// Shorter texts are left as they are.
const SHORT: usize = 200;
/// The shortest piece that is pointed at, in bytes.
const PIECE: usize = 8;
/// The longest text that is packed or unpacked, in bytes: more than any outcome has.
const LONGEST: usize = 64 * 1024 * 1024;

/// `text` without what `input` says.
pub(super) fn pack(text: &str, input: &[u8]) -> String {
    if text.len() < SHORT {
        return text.to_owned();
    }
    let all = [input, text.as_bytes()].concat();
    let (mut out, mut at, mut written) = (Vec::new(), input.len(), input.len());
    put(&mut out, text.len());
    // Where each piece was seen last.
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let mut known = 0;
    while at + PIECE <= all.len() {
        while known < at {
            if let Some(piece) = all.get(known..known + PIECE) {
                seen.insert(piece, known);
            }
            known += 1;
        }
        let Some(from) = all.get(at..at + PIECE).and_then(|piece| seen.get(piece)).copied() else {
            at += 1;
            continue;
        };
        let (before, here) = (&all[from..], &all[at..]);
        let length = before.iter().zip(here).take_while(|(one, two)| one == two).count();
        put(&mut out, at - written);
        out.extend_from_slice(&all[written..at]);
        put(&mut out, length);
        put(&mut out, at - from);
        at += length;
        written = at;
    }
    put(&mut out, all.len() - written);
    out.extend_from_slice(&all[written..]);
    format!("{MARK}{}", STANDARD_NO_PAD.encode(out))
}

/// What was [packed](pack) with this input.
pub(super) fn unpack(packed: &str, input: &[u8]) -> Result<String> {
    let Some(packed) = packed.strip_prefix(MARK) else { return Ok(packed.to_owned()) };
    let broken = || Error::internal("a kept outcome cannot be read");
    let packed = STANDARD_NO_PAD.decode(packed).map_err(|_| broken())?;
    let text = read(&packed, input).ok_or_else(broken)?;
    String::from_utf8(text).map_err(|_| broken())
}

fn read(packed: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packed;
    let length = take(&mut rest)?;
    if length > LONGEST {
        return None;
    }
    let mut all = Vec::with_capacity(input.len().checked_add(length)?);
    all.extend_from_slice(input);
    loop {
        let literal = take(&mut rest)?;
        all.extend_from_slice(rest.get(..literal)?);
        rest = rest.get(literal..)?;
        if rest.is_empty() {
            break;
        }
        let (piece, back) = (take(&mut rest)?, take(&mut rest)?);
        if back == 0 || all.len().checked_add(piece)? > input.len() + length {
            return None;
        }
        // Byte by byte: a piece may run into what it makes.
        let from = all.len().checked_sub(back)?;
        for place in from..from + piece {
            let byte = *all.get(place)?;
            all.push(byte);
        }
    }
    let text = all.split_off(input.len());
    (text.len() == length).then_some(text)
}

/// Appends a number, seven bits a byte.
fn put(out: &mut Vec<u8>, mut number: usize) {
    while let Some(more) = (number > 127).then_some(number >> 7) {
        out.push((number & 127) as u8 | 128);
        number = more;
    }
    out.push((number & 127) as u8);
}

/// Takes a number off the front.
fn take(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for place in 0..9 {
        let (byte, others) = rest.split_first()?;
        *rest = others;
        number |= usize::from(byte & 127) << (7 * place);
        if byte & 128 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thousand_results_take_some_bytes_each() {
        let ids: Vec<String> =
            (0..1000_u64).map(|n| format!("{:024x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let input = serde_json::to_vec(&json!({ "user": "01KC5T4VZ8Q6ZJ6GQ0D8W7X5R1", "resources": ids })).unwrap();
        let results: Vec<_> = ids
            .iter()
            .map(|id| json!({ "id": format!("resource:{id}"), "status": "APPLIED", "error": null }))
            .collect();
        let outcome = json!({ "outcome": results, "at": 1 }).to_string();
        let packed = pack(&outcome, &input);
        assert!(packed.len() < 15 * 1000, "{} bytes of {}", packed.len(), outcome.len());
        assert_eq!(unpack(&packed, &input).unwrap(), outcome);
    }

    #[test]
    fn short_texts_and_those_of_earlier_versions_are_left_alone() {
        for text in ["{}", r#"{"outcome":null,"events":[]}"#] {
            assert_eq!((pack(text, b"input").as_str(), unpack(text, b"input").unwrap().as_str()), (text, text));
        }
    }

    #[test]
    fn what_is_no_packed_text_is_an_error() {
        for bytes in [&[][..], &[1], &[9, 0, 200, 1, 1], &[9, 0, 4, 0], &[255; 12], &[200, 1, 1, b'a', 100, 5]] {
            assert!(unpack(&format!("{MARK}{}", STANDARD_NO_PAD.encode(bytes)), b"").is_err(), "{bytes:?}");
        }
        assert!(unpack("z:?", b"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(text in "[ab{}]{0,400}|\\PC{0,300}", input in "[ab{}]{0,300}|\\PC{0,60}") {
            let packed = pack(&text, input.as_bytes());
            prop_assert_eq!(unpack(&packed, input.as_bytes()).unwrap(), text);
        }

        #[test]
        fn whatever_is_unpacked_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&format!("{MARK}{}", STANDARD_NO_PAD.encode(bytes)), b"some input");
        }
    }
}
