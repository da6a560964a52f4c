//! Looking for a text in titles.

use waymark_kernel::error::{Error, Result};

/// How many characters a text may have that is looked for; titles have no more.
const LONGEST: usize = 200;

/// What is looked for; nothing finds everything.
#[derive(Debug)]
pub struct Search(Option<String>);

impl Search {
    /// Looks for `text`, upper and lower case being the same.
    ///
    /// # Errors
    /// When it is longer than any title.
    pub fn of(text: Option<String>) -> Result<Self> {
        text.map(|text| checked(&text, LONGEST).map(|text| text.to_lowercase())).transpose().map(Self)
    }

    /// Whether a title has it, which is given in lower case.
    pub fn finds(&self, title: &str) -> bool {
        self.0.as_ref().is_none_or(|text| title.contains(text))
    }
}

/// A text of at most so many characters that may be looked for.
///
/// # Errors
/// When it is longer than anything it could be found in, or has characters that nothing has.
pub fn checked(text: &str, longest: usize) -> Result<&str> {
    // Counted only as far as it may go.
    if text.chars().nth(longest).is_some() {
        return Err(Error::bad_input(format!("a text to be looked for has at most {longest} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::bad_input("no control characters may stand in a text that is looked for"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use waymark_kernel::error::Code;

    #[test]
    fn case_does_not_matter_and_nothing_finds_everything() {
        let finds = |text: Option<&str>, title: &str| Search::of(text.map(str::to_owned)).unwrap().finds(title);
        assert!(finds(Some("SoRT"), "quicksort"));
        assert!(!finds(Some("sorts"), "quicksort"));
        assert!(finds(None, "quicksort") && finds(Some(""), "quicksort"));
    }

    #[test]
    fn what_no_title_can_have_is_refused() {
        assert!(Search::of(Some("é".repeat(200))).is_ok());
        for text in ["é".repeat(201), "x".repeat(300_000), "a\0".to_owned()] {
            assert_eq!(Search::of(Some(text)).unwrap_err().code(), Code::BadUserInput);
        }
    }
}
