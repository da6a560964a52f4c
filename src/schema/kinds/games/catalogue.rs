//! Writing games.

use std::sync::Arc;

use async_graphql::{ID, InputObject, MaybeUndefined, SimpleObject};

use crate::mutation::catalogue::{Edited, given};
use waymark_kernel::error::Result;
use waymark_kinds::games::Games;
use waymark_kinds::games::graphql::{AchievementKind, Game};
use waymark_kinds::games::publish::{GivenAchievement, MOST_ACHIEVEMENTS, UpsertGame};
use waymark_vocabulary::ids::Kind;
use waymark_write::Retire;

input! {
    /// Input of `upsertGame`. A field that is not given stays as it is; of a new game only the title has to be given.
    UpsertGameInput;

    /// The game's key or its global id: 1 to 255 characters without control characters.
    key: ID,
    /// The number under which clients that know games by numbers find it, at least 1; null for none.
    number: MaybeUndefined<i32>,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// What the game is played on, 1 to 100 characters; null for none.
    platform: MaybeUndefined<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    image: MaybeUndefined<String>,
    /// Whether it is retired: no longer listed, and without new progress. What players have achieved stays, and false
    /// brings it back.
    retired: Option<bool>,
    /// Achievements to be added or changed, in their order; those that are not listed stay as and where they are. A
    /// game has at most 5,000.
    #[graphql(default)]
    achievements: Vec<AchievementInput>,
}

/// An achievement to add or to change. A field that is not given stays as it is; of a new achievement only the title
/// has to be given.
#[derive(Debug, InputObject)]
pub(crate) struct AchievementInput {
    /// The achievement's key or its global id, unique among the achievements of all games.
    key: ID,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// What has to be done, at most 10,000 characters.
    description: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    badge: MaybeUndefined<String>,
    /// What it adds to the score, 0 to 1,000,000; 0 for a new one unless given.
    points: Option<i32>,
    /// What it means for beating the game; STANDARD for a new one unless given.
    kind: Option<AchievementKind>,
    /// Whether it can be unlocked and counts; true for a new one unless given.
    published: Option<bool>,
}

/// Payload of `upsertGame`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertGamePayload {
    /// The game as it now is. Null when there is none, because adding it was refused.
    game: Option<Game>,
    #[graphql(flatten)]
    edited: Edited,
}

mutations! {
    /// Mutations of games in the catalogue.
    CatalogueGameMutation;

    /// Adds a game or changes it. The summaries of players follow at once: an achievement that is unpublished no longer
    /// counts, one that is published again counts as before, and earned awards stay. For API keys with the scope admin.
    /// Null with an error when the whole was refused.
    upsert_game: by_operator(UpsertGameInput, "The game to add or to change.") -> UpsertGamePayload;
}

by_operator! {
    UpsertGameInput => UpsertGame, String => UpsertGamePayload {
        lists: |input| [("achievements", input.achievements.len(), MOST_ACHIEVEMENTS)],
        write: |input, operator| {
            let key = Kind::Game.key(&input.key)?.to_owned();
            let write = UpsertGame {
                operator,
                key: key.clone(),
                number: given(input.number).map(|number| number.map(i64::from)),
                title: input.title,
                platform: given(input.platform),
                description: input.description,
                image: given(input.image),
                retired: input.retired.map(Retire::now),
                achievements: input.achievements.into_iter().map(AchievementInput::read).collect::<Result<_>>()?,
            };
            (write, key)
        },
        payload: |request, done| UpsertGamePayload {
            game: request.catalogue::<Games>()?.by_key(&done.kept).map(Arc::clone).map(Game),
            edited: done.written.outcome.into(),
        },
    }
}

impl AchievementInput {
    fn read(self) -> Result<GivenAchievement> {
        Ok(GivenAchievement {
            position: None,
            key: Kind::Achievement.key(&self.key)?.to_owned(),
            title: self.title,
            description: self.description,
            badge: given(self.badge),
            points: self.points,
            kind: self.kind,
            published: self.published,
        })
    }
}
