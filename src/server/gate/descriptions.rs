//! Descriptions of operations, fragments and variables, which the specification of September 2025 allows and the parser
//! does not know yet.

/// Where the text may be that is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between definitions.
    Document,
    /// Behind `query`, `mutation`, `subscription` or `fragment`, up to the selections.
    Head,
    /// In the parentheses behind the name of an operation or a fragment, so many deep.
    Variables(usize),
    /// In selections, so many deep.
    Selections(usize),
}

/// Returns a document with blanks in the place of its descriptions, so that all else stands where it stood; `None`: it has
/// none.
pub(super) fn without(text: &str) -> Option<String> {
    let (mut place, mut rest, mut blank) = (Place::Document, text, Vec::new());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string(rest),
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            _ if is_of_a_name(first) => rest.find(|letter| !is_of_a_name(letter)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at_checked(length)?;
        if first == '"' && describes(place, behind) {
            let start = text.len() - rest.len();
            blank.push(start..start + length);
        }
        place = behind_token(place, token);
        rest = behind;
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in &blank {
        let described = bytes.get_mut(range.clone())?;
        described.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).ok().filter(|_| !blank.is_empty())
}

fn behind_token(place: Place, token: &str) -> Place {
    match (place, token) {
        (Place::Document, "query" | "mutation" | "subscription" | "fragment") => Place::Head,
        (Place::Document | Place::Head, "{") => Place::Selections(1),
        (Place::Head, "(") => Place::Variables(1),
        (Place::Variables(depth), "(" | "[" | "{") => Place::Variables(depth + 1),
        (Place::Variables(1), ")") => Place::Head,
        (Place::Variables(depth), ")" | "]" | "}") => Place::Variables(depth.saturating_sub(1)),
        (Place::Selections(depth), "{") => Place::Selections(depth + 1),
        (Place::Selections(1), "}") => Place::Document,
        (Place::Selections(depth), "}") => Place::Selections(depth.saturating_sub(1)),
        _ => place,
    }
}

/// Whether a string in this place, with this behind it, is a description.
fn describes(place: Place, behind: &str) -> bool {
    let behind = without_ignored(behind);
    let begins = |word: &str| behind.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_of_a_name));
    match place {
        Place::Document => ["query", "mutation", "subscription", "fragment"].into_iter().any(begins),
        Place::Variables(1) => behind.starts_with('$'),
        _ => false,
    }
}

/// What is left behind blanks, commas and comments.
fn without_ignored(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\n', '\r', ',', '\u{feff}']);
        let Some(comment) = text.strip_prefix('#') else { return text };
        text = comment.find(['\n', '\r']).and_then(|end| comment.get(end..)).unwrap_or_default();
    }
}

const fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// How long the string is with which a text begins, with its quotes; all of the text when it does not end.
fn string(text: &str) -> usize {
    let (quotes, is_block) = if text.starts_with("\"\"\"") { ("\"\"\"", true) } else { ("\"", false) };
    let mut at = quotes.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += match rest {
            rest if is_block && rest.starts_with("\\\"\"\"") => 4,
            rest if rest.starts_with(quotes) => return at + quotes.len(),
            rest if !is_block && rest.starts_with('\\') => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            rest => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn descriptions_give_way_to_blanks_and_nothing_else_does() {
        for (text, expected) in [
            (r#""What" query A { a }"#, Some("       query A { a }")),
            ("\"\"\"a \\\"\"\" b\nc\"\"\"\nfragment F on T { a }", Some("           \n    \nfragment F on T { a }")),
            (
                r#"query A("one" $a: Int = 1, "two" # and
             $b: [In!] = [{ t: "x" }]) { a(b: "c") }"#,
                Some(
                    r#"query A(      $a: Int = 1,       # and
             $b: [In!] = [{ t: "x" }]) { a(b: "c") }"#,
                ),
            ),
            (r#"{ a } "x" mutation { b(c: "query") }"#, Some(r#"{ a }     mutation { b(c: "query") }"#)),
            (r#"query($a: String = "$b") { a(b: "x\" query") }"#, None),
            (r#""x" { a }"#, None),
            (r#"{ a "x" query }"#, None),
            ("\"query", None),
        ] {
            assert_eq!(without(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_text_is_all_else_stands_where_it_stood(text in "[\"\\\\{}()$#a \\n\u{e9}q]*(query)?.*") {
            if let Some(without) = without(&text) {
                prop_assert_eq!(without.len(), text.len());
                prop_assert_eq!(without.lines().count(), text.lines().count());
            }
        }
    }
}
