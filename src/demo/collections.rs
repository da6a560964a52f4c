//! Demo collections of every sort, and how users fill them.

use serde_json::json;

use super::dice::Dice;
use super::ledger;
use super::page::{Actor, Page};
use super::{at, days};
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::{self, At, Card, CollectionProgress, OwnedCard, Record};
use waymark_vocabulary::HistoryKind;

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

/// A collection of the demo catalogue with its cards.
#[derive(Debug)]
struct Collection {
    record: records::Collection,
    cards: Vec<Card>,
}

/// The collections of the demo catalogue.
#[derive(Debug)]
pub(super) struct Collections(Vec<Collection>);

/// The collections as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Collections {
    let collections = OUTLINES.iter().map(|outline| {
        // The oldest one has the dates and the picture of a program that existing clients know.
        let (created_at, image) = if outline.key == "program_123" {
            let created_at = Timestamp::from_millis(1_644_825_600_000);
            (created_at, Some("https://example.com/images/winter-challenge.png".to_owned()))
        } else {
            (days(day, outline.starts_in_days.unwrap_or_default().min(-60) - 10), None)
        };
        let reward = outline.reward.as_ref().map(|reward| records::Reward {
            key: reward.key.to_owned(),
            name: reward.name.to_owned(),
            image: None,
            description: format!("For all cards of {}.", outline.name),
            value: reward.value.to_owned(),
            view_type: "image".to_owned(),
            stock: reward.stock,
            claimed: 0,
        });
        let record = records::Collection {
            retired_at: None,
            key: outline.key.to_owned(),
            name: outline.name.to_owned(),
            description: outline.description.to_owned(),
            image,
            environment: "production".to_owned(),
            starts_at: outline.starts_in_days.map(|start| At(days(day, start))),
            ends_at: outline.ends_in_days.map(|end| At(days(day, end))),
            show_before: outline.show_before,
            show_after: outline.show_after,
            reward,
            created_at: at(created_at),
            updated_at: at(created_at),
        };
        let cards = outline.cards.iter().zip(1..).map(|(name, position)| Card {
            retired_at: None,
            key: format!("{}-{position:02}", outline.key),
            collection: outline.key.to_owned(),
            position,
            name: (*name).to_owned(),
            image: None,
            rarity: match position % 10 {
                0 => "legendary",
                4 | 8 => "rare",
                _ => "common",
            }
            .to_owned(),
        });
        Collection { record, cards: cards.collect() }
    });
    Collections(collections.collect())
}

impl Collections {
    /// The records of the collections.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.0.iter().map(|collection| Record::Collection(collection.record.clone()))
    }

    /// The records of their cards.
    pub(super) fn cards(&self) -> impl Iterator<Item = Record> {
        self.0.iter().flat_map(|collection| collection.cards.iter().cloned().map(Record::Card))
    }

    /// How many cards a collection has.
    pub(super) fn size(&self, key: &str) -> usize {
        self.0.iter().find(|collection| collection.record.key == key).map_or(0, |collection| collection.cards.len())
    }

    /// Lets the user of `page` fill a collection while it is open; cards of one that is still to open are got before.
    pub(super) fn collect(&self, page: &mut Page<'_>, collecting: &Collecting, dice: &mut Dice) {
        let found = self.0.iter().find(|collection| collection.record.key == collecting.collection);
        let Some(Collection { record, cards }) = found else { return };
        let until = record.ends_at.map_or(page.day, |end| end.0.min(page.day));
        let opened = record.starts_at.filter(|start| start.0 < until).or(record.created_at).map_or(until, |at| at.0);
        let from = opened.max(page.person.joined_at.plus_seconds(3600));
        let mut places = dice.places(collecting.cards, cards.len());
        if from >= until || places.is_empty() {
            return;
        }
        // Not in the order in which they are listed.
        let turn = dice.index(places.len());
        places.rotate_left(turn);

        let mut last = from;
        for ((place, now), collected) in places.iter().zip(dice.instants(places.len(), from, until)).zip(1_i32..) {
            let card = &cards[*place];
            let quantity = if dice.chance(70) { 1 } else { i32::try_from(dice.between(2, 4)).unwrap_or(2) };
            page.records.push(Record::OwnedCard(OwnedCard {
                user: page.ulid.clone(),
                collection: None,
                card: card.key.clone(),
                quantity,
                first_acquired_at: at(now),
                updated_at: at(now),
            }));
            let changes = json!({ "cards": { &card.key: quantity }, "collectedCount": collected });
            page.tell(now, HistoryKind::CardsGranted, Actor::App, "collection", &record.key, changes);
            last = now;
        }
        let completed_at = Some(last).filter(|_| places.len() == cards.len());
        if let Some(at) = completed_at {
            let changes = json!({ "size": cards.len() });
            page.tell(at, HistoryKind::CollectionCompleted, Actor::App, "collection", &record.key, changes);
        }
        let reward_claimed_at = self.claim(page, collecting, record, completed_at, dice);
        page.records.push(Record::CollectionProgress(CollectionProgress {
            user: page.ulid.clone(),
            collection: record.key.clone(),
            completed_at: completed_at.map(At),
            completed_told: false,
            reward_claimed_at: reward_claimed_at.map(At),
            updated_at: at(reward_claimed_at.unwrap_or(last)),
        }));
    }

    /// Lets the user claim the reward of a complete collection; returns when.
    fn claim(
        &self,
        page: &mut Page<'_>,
        collecting: &Collecting,
        record: &records::Collection,
        completed_at: Option<Timestamp>,
        dice: &mut Dice,
    ) -> Option<Timestamp> {
        let (completed_at, reward) = completed_at.filter(|_| collecting.claims).zip(record.reward.as_ref())?;
        let at = completed_at.plus_millis(1 + dice.below(page.day.millis_since(completed_at) - 1));
        if ledger::is_blocked_for_claiming(&page.person.blocks, at) {
            return None;
        }
        let changes = json!({ "reward": reward.key });
        page.tell(at, HistoryKind::RewardClaimed, Actor::Themselves, "collection", &record.key, changes);
        Some(at)
    }
}
