//! Global ids: `type:key`, readable and unique across types.
//!
//! The key is the operator's own, or a user's ULID. An argument whose type is known also takes the bare key. The id of
//! what a user has in common with a thing (a game summary) names both: `game_summary:<ULID>:<game's key>`.

use async_graphql::ID;
use async_graphql::resolver_utils::EnumType as _;

pub use crate::lists::Kind;
use crate::refusal::{Refusal, UserErrorCode};
use waymark_kernel::error::{Error, Result};
use waymark_kernel::text::{self, no_key};

/// The most bytes of a key as JSON with its quotes: 255 characters of four bytes.
const MOST_KEY_BYTES: usize = 1_022;

impl Kind {
    /// Returns the type as it stands before the colon of a global id, such as `study_plan`.
    pub fn name(self) -> &'static str {
        // Items stand in the order of the variants.
        Self::items().get(self as usize).map_or("", |item| item.name)
    }

    /// The id of the thing of this kind with `key`.
    pub fn id(self, key: &str) -> ID {
        ID(format!("{}:{key}", self.name()))
    }

    /// The id of what `user` (a ULID) has to do with the thing of `key`.
    pub fn id_of(self, user: &str, key: &str) -> ID {
        ID(format!("{}:{user}:{key}", self.name()))
    }

    /// The key in `id`, which is a global id of this kind or the bare key.
    pub fn key(self, id: &str) -> Result<&str> {
        let key = id.strip_prefix(self.name()).and_then(|rest| rest.strip_prefix(':')).unwrap_or(id);
        check(self.name(), key)?;
        Ok(key)
    }

    /// Returns the key in `id`, or what a malformed id begins with: nothing has that key. So one item of a list fails
    /// alone.
    pub fn key_or_all(self, id: &str) -> String {
        self.key(id).map_or_else(|_| text::cut(id.to_owned(), MOST_KEY_BYTES), str::to_owned)
    }

    /// Refuses what names nothing of this kind: with `code` and `message`, or by saying why this is no key at all.
    pub fn refuse(self, key: &str, code: UserErrorCode, message: String) -> Refusal {
        match check(self.name(), key) {
            Ok(()) => Refusal::new(code, message),
            Err(error) => Refusal::new(UserErrorCode::InvalidInput, error.message()),
        }
    }

    /// Refuses progress with a thing of this kind that was retired.
    pub fn retired(self, key: &str) -> Refusal {
        let message = format!("the {} {key:?} was retired, and takes no new progress", self.words());
        Refusal::new(UserErrorCode::Retired, message)
    }

    /// Returns what a thing of this type is called in a sentence, such as `study plan`.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }
}

impl Kind {
    /// The key in `id`, which is the bare key, or a global id as [`Kind::id_of`] writes it. The key of an id that names
    /// another user than `user` (a ULID) is given together with that user, and so is no key of anything `user` has.
    pub fn key_of<'a>(self, user: &str, id: &'a str) -> Result<&'a str> {
        let Some((owner, key)) = id.strip_prefix(self.name()).and_then(|rest| rest.strip_prefix(':')?.split_once(':'))
        else {
            return self.key(id);
        };
        check(self.name(), owner)?;
        check(self.name(), key)?;
        Ok(if owner == user { key } else { &id[self.name().len() + 1..] })
    }
}

/// The keys of many ids of one kind. A malformed id fails its own place only.
#[derive(Debug)]
pub struct Keys<'a>(Vec<Result<&'a str>>);

impl Kind {
    /// The keys in `ids`, each of which is a global id of this kind or the bare key.
    pub fn keys(self, ids: &[ID]) -> Keys<'_> {
        Keys(ids.iter().map(|id| self.key(id)).collect())
    }
}

impl Keys<'_> {
    /// Tells whether there is a key for every id.
    pub fn are_well_formed(&self) -> bool {
        self.0.iter().all(Result::is_ok)
    }

    /// The keys of the well-formed ids, in their order.
    pub fn well_formed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().copied()
    }

    /// What was found for the well-formed ids, in the places of all ids.
    pub fn in_place<T>(self, mut found: impl Iterator<Item = Option<T>>) -> Vec<Option<Result<T>>> {
        self.0.into_iter().map(|key| key.map(|_| found.next().flatten()).transpose()).collect()
    }
}

/// The type and key of a global id.
pub fn parse(id: &str) -> Result<(Kind, &str)> {
    let (name, key) = id.split_once(':').ok_or_else(|| {
        Error::bad_input(format!("{:?} is no global id; they look like \"game:14402\"", shortened(id)))
    })?;
    let kind = Kind::items().iter().find(|item| item.name == name).map(|item| item.value);
    let kind = kind.ok_or_else(|| Error::bad_input(format!("{:?} is no type of id", shortened(name))))?;
    match key.split_once(':').filter(|_| kind.is_of_users()) {
        Some((owner, rest)) => [owner, rest].into_iter().try_for_each(|part| check(name, part))?,
        None => check(name, key)?,
    }
    Ok((kind, key))
}

/// Refuses what is no key of a thing of this type.
pub fn check(kind: &str, key: &str) -> Result<()> {
    match no_key(kind, key) {
        None => Ok(()),
        Some(reason) => Err(Error::bad_input(format!("{:?} is no id: {reason}", shortened(key)))),
    }
}

/// What a client sent, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waymark_kernel::error::Code;

    #[test]
    fn a_known_type_takes_the_bare_key_and_the_global_id() {
        assert_eq!(Kind::Game.key("14402").unwrap(), "14402");
        assert_eq!(Kind::Game.key("game:14402").unwrap(), "14402");
        assert_eq!(Kind::Game.id("14402").as_str(), "game:14402");
    }

    #[test]
    fn a_key_stands_in_its_id_as_it_is() {
        for key in ["Trophy 8", "TLAD: Easy Rider ", "hooks:basic-hooks", "http://example.org/x?y", "ex10-?", "card:5"]
        {
            assert_eq!(Kind::Achievement.key(Kind::Achievement.id(key).as_str()).unwrap(), key);
            assert_eq!(Kind::Achievement.key(key).unwrap(), key);
            assert_eq!(parse(Kind::Achievement.id(key).as_str()).unwrap(), (Kind::Achievement, key));
            let of_user = format!("01J0:{key}");
            assert_eq!(parse(Kind::GameSummary.id_of("01J0", key).as_str()).unwrap(), (Kind::GameSummary, &*of_user));
        }
    }

    #[test]
    fn the_id_of_what_a_user_has_is_taken_for_that_user_only() {
        let kind = Kind::StudyPlanInstance;
        let id = kind.id_of("01J0", "5f");
        assert_eq!(kind.key_of("01J0", "5f").unwrap(), "5f");
        assert_eq!(kind.key_of("01J0", &id).unwrap(), "5f");
        assert_eq!(kind.key_of("01J1", &id).unwrap(), "01J0:5f");
        for id in ["", "study_plan_instance:", "study_plan_instance::5f", "study_plan_instance:01J0:"] {
            assert_eq!(kind.key_of("01J0", id).unwrap_err().code(), Code::BadUserInput, "{id}");
        }
    }

    #[test]
    fn malformed_ids_are_refused() {
        let long = "x".repeat(256);
        for id in ["", "a\0", "game:", "game:game:1", " ", "..", long.as_str()] {
            assert_eq!(Kind::Game.key(id).unwrap_err().code(), Code::BadUserInput, "{id}");
        }
        for id in ["14402", "unknown:1", ":", "game:", "game_summary::a", "game_summary:a:"] {
            assert_eq!(parse(id).unwrap_err().code(), Code::BadUserInput, "{id}");
        }
    }

    #[test]
    fn every_kind_is_read_back_from_its_id() {
        for kind in Kind::items() {
            assert_eq!(kind.value.name(), kind.name);
            assert_eq!(parse(kind.value.id("k").as_str()).unwrap(), (kind.value, "k"));
        }
        assert_eq!(Kind::StudyPlanInstance.name(), "study_plan_instance");
    }
}
