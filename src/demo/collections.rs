//! Demo collections of every sort, and how users fill them.

use serde_json::json;

use super::days;
use super::dice::Dice;
use super::ledger;
use super::page::{Actor, Page};
use super::rows::Rows;
use waymark_collections::entity::{card, collection, owned_card, progress, reward};
use waymark_collections::rules;
use waymark_collections::rules::Window;
use waymark_kernel::clock::Timestamp;
use waymark_write::HistoryKind;

/// What is particular about a collection. Days are counted from the day of the data.
struct Outline {
    key: &'static str,
    name: &'static str,
    description: &'static str,
    starts_in_days: Option<i64>,
    ends_in_days: Option<i64>,
    show_before: bool,
    show_after: bool,
    cards: &'static [&'static str],
    reward: Option<Reward>,
}

struct Reward {
    key: &'static str,
    name: &'static str,
    value: &'static str,
    stock: Option<i64>,
}

const OUTLINES: [Outline; 8] = [
    Outline {
        key: "program_123",
        name: "Winter Challenge",
        description: "Collect all winter-themed cards",
        starts_in_days: None,
        ends_in_days: Some(8),
        show_before: true,
        show_after: true,
        cards: &[
            "Snowflake",
            "Icicle",
            "Snowman",
            "Sled",
            "Mitten",
            "Pine Cone",
            "Robin",
            "Lantern",
            "Hot Chocolate",
            "Aurora",
        ],
        reward: Some(Reward { key: "winter-crown", name: "Winter Crown", value: "A crown of ice", stock: None }),
    },
    Outline {
        key: "founders",
        name: "Founders' Gallery",
        description: "The six portraits in the town hall.",
        starts_in_days: Some(-300),
        ends_in_days: None,
        show_before: true,
        show_after: true,
        cards: &["The Mason", "The Weaver", "The Pilot", "The Baker", "The Cartographer", "The Bell Ringer"],
        reward: Some(Reward { key: "town-key", name: "Key to the Town", value: "Opens the attic", stock: Some(100) }),
    },
    Outline {
        key: "harvest-fair",
        name: "Harvest Fair",
        description: "Everything that was sold at the fair.",
        starts_in_days: Some(-120),
        ends_in_days: Some(-30),
        show_before: true,
        show_after: true,
        cards: &[
            "Apple",
            "Pear",
            "Plum",
            "Quince",
            "Pumpkin",
            "Chestnut",
            "Honey",
            "Cider",
            "Cheese",
            "Bread",
            "Basket",
            "Scarecrow",
        ],
        reward: Some(Reward { key: "blue-ribbon", name: "Blue Ribbon", value: "First prize", stock: None }),
    },
    Outline {
        key: "lost-archive",
        name: "The Lost Archive",
        description: "Pages that were to be seen for a month only.",
        starts_in_days: Some(-90),
        ends_in_days: Some(-60),
        show_before: true,
        show_after: false,
        cards: &["Page 3", "Page 17", "Page 40", "Page 41", "The Index"],
        reward: None,
    },
    Outline {
        key: "starlight",
        name: "Starlight",
        description: "Constellations of the southern sky.",
        starts_in_days: Some(14),
        ends_in_days: Some(44),
        show_before: true,
        show_after: true,
        cards: &["Crux", "Carina", "Vela", "Pavo", "Grus", "Phoenix", "Tucana", "Octans"],
        reward: Some(Reward { key: "telescope", name: "Telescope", value: "Brass, well kept", stock: Some(50) }),
    },
    Outline {
        key: "secret-garden",
        name: "Secret Garden",
        description: "Nobody is to know before the gate opens.",
        starts_in_days: Some(21),
        ends_in_days: None,
        show_before: false,
        show_after: true,
        cards: &["Foxglove", "Ivy", "Moss", "Nightshade", "Rose", "Thistle"],
        reward: None,
    },
    Outline {
        key: "blank-canvas",
        name: "Blank Canvas",
        description: "Its cards are still being painted.",
        starts_in_days: None,
        ends_in_days: None,
        show_before: true,
        show_after: true,
        cards: &[],
        reward: None,
    },
    Outline {
        key: "polar-lights",
        name: "Polar Lights",
        description: "Fifteen nights in the far north.",
        starts_in_days: Some(-20),
        ends_in_days: Some(40),
        show_before: true,
        show_after: true,
        cards: &[
            "Night 1", "Night 2", "Night 3", "Night 4", "Night 5", "Night 6", "Night 7", "Night 8", "Night 9",
            "Night 10", "Night 11", "Night 12", "Night 13", "Night 14", "Night 15",
        ],
        reward: Some(Reward { key: "polar-coat", name: "Polar Coat", value: "Two were made", stock: Some(2) }),
    },
];

/// Collections that users fill who have no name in this data.
pub(super) const OPEN_TO_ALL: [&str; 5] = ["program_123", "founders", "harvest-fair", "lost-archive", "polar-lights"];

/// How a user fills a collection.
#[derive(Debug, Clone)]
pub(super) struct Collecting {
    pub(super) collection: &'static str,
    /// How many distinct cards they own; at most as many as there are.
    pub(super) cards: usize,
    /// Whether they claim the reward when it is complete.
    pub(super) claims: bool,
}

/// A collection of the demo catalogue with its cards and its reward.
#[derive(Debug)]
struct Collection {
    row: collection::Model,
    cards: Vec<card::Model>,
    reward: Option<reward::Model>,
}

/// The collections of the demo catalogue.
#[derive(Debug)]
pub(super) struct Collections(Vec<Collection>);

/// The collections as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Collections {
    let mut next_card = 1;
    let collections = OUTLINES.iter().zip(1..).map(|(outline, id)| {
        // The oldest one has the dates and the picture of a program that existing clients know.
        let (created_at, image) = if outline.key == "program_123" {
            let created_at = Timestamp::from_millis(1_644_825_600_000);
            (created_at, Some("https://example.com/images/winter-challenge.png".to_owned()))
        } else {
            (days(day, outline.starts_in_days.unwrap_or_default().min(-60) - 10), None)
        };
        let row = collection::Model {
            id,
            key: outline.key.to_owned(),
            name: outline.name.to_owned(),
            description: outline.description.to_owned(),
            image,
            environment: "production".to_owned(),
            created_at,
            starts_at: outline.starts_in_days.map(|start| days(day, start)),
            ends_at: outline.ends_in_days.map(|end| days(day, end)),
            show_before: outline.show_before,
            show_after: outline.show_after,
            updated_at: created_at,
            retired_at: None,
        };
        let cards = outline.cards.iter().zip(1..).map(|(name, position)| {
            next_card += 1;
            card::Model {
                id: next_card - 1,
                key: format!("{}-{position:02}", outline.key),
                collection_id: id,
                position,
                name: (*name).to_owned(),
                image: None,
                rarity: match position % 10 {
                    0 => "legendary",
                    4 | 8 => "rare",
                    _ => "common",
                }
                .to_owned(),
                retired_at: None,
            }
        });
        let reward = outline.reward.as_ref().map(|reward| reward::Model {
            collection_id: id,
            key: reward.key.to_owned(),
            name: reward.name.to_owned(),
            image: None,
            description: format!("For all cards of {}.", outline.name),
            value: reward.value.to_owned(),
            view_type: "image".to_owned(),
            stock: reward.stock,
            claimed: 0,
        });
        Collection { row, cards: cards.collect(), reward }
    });
    Collections(collections.collect())
}

impl Collections {
    /// Adds the collections to the catalogue's rows.
    pub(super) fn insert(&self, rows: &mut Rows) {
        for Collection { row, cards, reward } in &self.0 {
            rows.collections.push(row.clone());
            rows.cards.extend(cards.iter().cloned());
            rows.rewards.extend(reward.clone());
        }
    }

    /// How many cards a collection has.
    pub(super) fn size(&self, key: &str) -> usize {
        self.find(key).map_or(0, |collection| collection.cards.len())
    }

    fn find(&self, key: &str) -> Option<&Collection> {
        self.0.iter().find(|collection| collection.row.key == key)
    }

    /// Lets the user of `page` fill a collection while it is open; cards of one that is still to open are got before.
    pub(super) fn collect(&self, page: &mut Page<'_>, collecting: &Collecting, dice: &mut Dice) {
        let Some(Collection { row, cards, reward }) = self.find(collecting.collection) else { return };
        let until = row.ends_at.map_or(page.day, |end| end.min(page.day));
        let opened = row.starts_at.filter(|start| *start < until).unwrap_or(row.created_at);
        let from = opened.max(page.person.joined_at.plus_seconds(3600));
        let mut places = dice.places(collecting.cards, cards.len());
        if from >= until || places.is_empty() {
            return;
        }
        // Not in the order in which they are listed.
        let turn = dice.index(places.len());
        places.rotate_left(turn);

        let window = Window {
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            show_before: row.show_before,
            show_after: row.show_after,
        };
        let size = count(cards.len());
        let mut completed_at = None;
        let mut last = from;
        for ((place, at), collected) in places.iter().zip(dice.instants(places.len(), from, until)).zip(1_i32..) {
            let card = &cards[*place];
            let quantity = if dice.chance(70) { 1 } else { i32::try_from(dice.between(2, 4)).unwrap_or(2) };
            page.rows.owned_cards.push(owned_card::Model {
                user_id: page.id(),
                card_id: card.id,
                collection_id: row.id,
                quantity,
                first_acquired_at: at,
                updated_at: at,
            });
            let changes = json!({ "cards": { &card.key: quantity }, "collectedCount": collected });
            page.tell(at, HistoryKind::CardsGranted, Actor::App, "collection", &row.key, changes);
            completed_at = rules::completion(completed_at, &window, collected.into(), size, at);
            last = at;
        }
        if let Some(at) = completed_at {
            let changes = json!({ "size": size });
            page.tell(at, HistoryKind::CollectionCompleted, Actor::App, "collection", &row.key, changes);
        }

        let mut updated_at = last;
        let mut reward_claimed_at = None;
        if let (true, Some(completed_at), Some(reward)) = (collecting.claims, completed_at, reward) {
            let at = completed_at.plus_millis(1 + dice.below(page.day.millis_since(completed_at) - 1));
            if !ledger::is_blocked_for_claiming(&page.person.blocks, at) {
                *page.rows.rewards_claimed.entry(row.id).or_default() += 1;
                let changes = json!({ "reward": reward.key });
                page.tell(at, HistoryKind::RewardClaimed, Actor::Themselves, "collection", &row.key, changes);
                reward_claimed_at = Some(at);
                updated_at = at;
            }
        }
        page.rows.collection_progress.push(progress::Model {
            user_id: page.id(),
            collection_id: row.id,
            collected_count: i32::try_from(places.len()).unwrap_or(i32::MAX),
            completed_at,
            reward_claimed_at,
            updated_at,
            completed_told: false,
        });
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
