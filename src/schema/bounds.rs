//! How much an answer can hold: how long each list of the schema can be, how long each text, and what has to be looked
//! at for it. The gate works out from this what an operation costs before it runs.
//!
//! Nothing is assumed. A list or a text of the schema that is not stated here counts as endless, and a document that
//! asks for it is refused; a test compares the tables with the schema, so that this does not happen.

use std::collections::HashMap;
use std::sync::OnceLock;

use waymark_db::catalogue::Snapshot;
use waymark_db::records;
use waymark_kernel::error::Result;
use waymark_kernel::text::json_length;
use waymark_kinds::collections::Collections;
use waymark_kinds::credits::graphql::DEFAULT_LOTS;
use waymark_kinds::credits::rules::MOST_BLOCKS;
use waymark_kinds::games::Games;
use waymark_kinds::learning::Learning;
use waymark_kinds::seasons::Seasons;
use waymark_vocabulary::refusal::{MOST_ID_BYTES, MOST_MESSAGE_BYTES};

/// What of the catalogue is measured: how many there are, or how many bytes the longest has as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Measure {
    // How many.
    Seasons,
    /// Of the season that has most.
    Goals,
    /// Of a season's goals, those of the whole season and of one of its weeks.
    GoalsAtOnce,
    Pauses,
    Games,
    /// Of the game that has most.
    Achievements,
    Collections,
    /// Of the collection that has most.
    Cards,
    Resources,
    Plans,
    /// Of the study plan that has most.
    PlanResources,
    // How many bytes.
    /// The longest key of anything.
    Key,
    /// The most keys that one event names, with what stands between them.
    Changes,
    SeasonTitle,
    SeasonDescription,
    WeekTitle,
    GoalTitle,
    GoalDescription,
    GoalPicture,
    GameTitle,
    GameDescription,
    GamePicture,
    GamePlatform,
    AchievementTitle,
    AchievementDescription,
    AchievementPicture,
    CollectionName,
    CollectionDescription,
    CollectionPicture,
    CollectionEnvironment,
    CardName,
    CardPicture,
    CardRarity,
    /// Any text of a reward.
    RewardText,
    ResourceTitle,
    ResourceDescription,
    ResourceUrl,
    /// The type or the section of a resource.
    ResourceWord,
    PlanTitle,
    PlanDescription,
}

impl Measure {
    const COUNT: usize = Self::PlanDescription as usize + 1;

    /// Whether it counts things, and not bytes.
    pub const fn is_count(self) -> bool {
        (self as usize) < Self::Key as usize
    }
}

/// The measures of one state of the catalogue.
#[derive(Debug, Clone)]
pub struct Sizes([u64; Measure::COUNT]);

impl Sizes {
    /// Returns a catalogue with `size` items of each kind, in which every text has `size` bytes.
    #[must_use]
    pub const fn all(size: u64) -> Self {
        Self([size; Measure::COUNT])
    }

    /// Returns the measure: how many there are, or how many bytes the longest has as JSON.
    pub fn get(&self, measure: Measure) -> u64 {
        self.0.get(measure as usize).copied().unwrap_or(u64::MAX)
    }

    /// Measures the catalogue.
    pub fn of(catalogue: &Snapshot) -> Result<Self> {
        let mut sizes = Self::all(0);
        sizes.seasons(catalogue.part::<Seasons>()?);
        sizes.games(catalogue.part::<Games>()?);
        sizes.collections(catalogue.part::<Collections>()?);
        sizes.learning(catalogue.part::<Learning>()?);
        Ok(sizes)
    }

    fn count(&mut self, measure: Measure, count: usize) {
        if let Some(size) = self.0.get_mut(measure as usize) {
            *size = (*size).max(count as u64);
        }
    }

    fn text(&mut self, measure: Measure, text: &str) {
        self.count(measure, json_length(text));
    }

    fn key(&mut self, key: &str) {
        self.text(Measure::Key, key);
        self.text(Measure::Changes, key);
    }

    fn maybe(&mut self, measure: Measure, text: Option<&String>) {
        if let Some(text) = text {
            self.text(measure, text);
        }
    }

    fn seasons(&mut self, seasons: &Seasons) {
        for (count, season) in seasons.all().iter().enumerate() {
            self.count(Measure::Seasons, count + 1);
            self.count(Measure::Goals, season.goals.len());
            self.count(Measure::Pauses, season.pauses.len());
            self.key(&season.key);
            self.text(Measure::SeasonTitle, &season.title);
            self.text(Measure::SeasonDescription, &season.description);
            season.week_titles.values().for_each(|title| self.text(Measure::WeekTitle, title));
            let mut weeks: HashMap<Option<i32>, usize> = HashMap::new();
            for goal in &season.goals {
                *weeks.entry(goal.week).or_default() += 1;
                self.key(&goal.key);
                self.text(Measure::GoalTitle, &goal.title);
                self.text(Measure::GoalDescription, &goal.description);
                self.maybe(Measure::GoalPicture, goal.thumbnail.as_ref());
            }
            let always = weeks.remove(&None).unwrap_or(0);
            self.count(Measure::GoalsAtOnce, always + weeks.into_values().max().unwrap_or(0));
        }
    }

    fn games(&mut self, games: &Games) {
        self.count(Measure::Games, games.all().len());
        for game in games.all() {
            self.count(Measure::Achievements, game.achievements.len());
            self.key(&game.key);
            self.text(Measure::GameTitle, &game.title);
            self.text(Measure::GameDescription, &game.description);
            self.maybe(Measure::GamePicture, game.image.as_ref());
            self.maybe(Measure::GamePlatform, game.platform.as_ref());
            for achievement in &game.achievements {
                self.key(&achievement.key);
                self.text(Measure::AchievementTitle, &achievement.title);
                self.text(Measure::AchievementDescription, &achievement.description);
                self.maybe(Measure::AchievementPicture, achievement.badge.as_ref());
            }
        }
    }

    fn collections(&mut self, collections: &Collections) {
        self.count(Measure::Collections, collections.all().len());
        for collection in collections.all() {
            let row = &collection.row;
            self.count(Measure::Cards, collection.all_cards.len());
            let keys = collection.all_cards.iter().map(|card| json_length(&card.key) + BESIDE_A_CARD);
            self.count(Measure::Changes, keys.sum());
            self.key(&row.key);
            self.text(Measure::CollectionName, &row.name);
            self.text(Measure::CollectionDescription, &row.description);
            self.maybe(Measure::CollectionPicture, row.image.as_ref());
            self.text(Measure::CollectionEnvironment, &row.environment);
            for card in &collection.all_cards {
                self.key(&card.key);
                self.text(Measure::CardName, &card.name);
                self.maybe(Measure::CardPicture, card.image.as_ref());
                self.text(Measure::CardRarity, &card.rarity);
            }
            if let Some(reward) = &collection.reward {
                for text in [&reward.key, &reward.name, &reward.description, &reward.value, &reward.view_type] {
                    self.text(Measure::RewardText, text);
                }
                self.maybe(Measure::RewardText, reward.image.as_ref());
            }
        }
    }

    fn learning(&mut self, learning: &Learning) {
        self.count(Measure::Resources, learning.resources().len());
        self.count(Measure::Plans, learning.plans().len());
        for resource in learning.resources() {
            self.key(&resource.key);
            self.text(Measure::ResourceTitle, &resource.title);
            self.text(Measure::ResourceDescription, &resource.description);
            self.maybe(Measure::ResourceUrl, resource.url.as_ref());
            self.text(Measure::ResourceWord, &resource.kind);
            self.maybe(Measure::ResourceWord, resource.section.as_ref());
        }
        for plan in learning.plans() {
            self.count(Measure::PlanResources, plan.resources.len());
            self.key(&plan.row.key);
            self.text(Measure::PlanTitle, &plan.row.title);
            self.text(Measure::PlanDescription, &plan.row.description);
        }
    }
}

/// How many bytes stand beside the key of a card in an event: a colon, a comma, and how many cards there are.
const BESIDE_A_CARD: usize = 12;

/// How long a list can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// No longer than this.
    Most(u64),
    /// As long as the catalogue's is.
    Catalogue(Measure),
    /// As long as the list in this argument.
    Given(&'static str),
    /// As long as the argument `first` says, and this long where it is not given.
    First(u64),
    /// As long as the first says where this argument is true, and as the second says where it is not.
    Chosen(&'static str, Measure, Measure),
    /// Each item of a write's input can make this many. A write without lists has one item.
    Items(u64),
    /// The same, and at least this many.
    ItemsOr(u64, u64),
    /// One for each item of a write's input; but the lists in them that are bounded by items hold together no more than
    /// one of them could.
    Shared,
}

use Bound::{Catalogue, Chosen, First, Given, Items, ItemsOr, Most, Shared};
use Measure as M;

/// The type, the field, and how long its list can be; `*` is any type. Lists of connections have the size of the page.
const LISTS: &[(&str, &str, Bound)] = &[
    // What the catalogue has.
    ("Season", "goals", Catalogue(M::Goals)),
    ("Season", "pauses", Catalogue(M::Pauses)),
    ("SeasonImpact", "movedSeasons", Catalogue(M::Seasons)),
    ("SeasonProgress", "goals", Chosen("all", M::Goals, M::GoalsAtOnce)),
    ("SeasonProgress", "claimable", Catalogue(M::Goals)),
    ("User", "goals", Chosen("all", M::Goals, M::GoalsAtOnce)),
    ("Collection", "cards", Catalogue(M::Cards)),
    ("CollectionProgress", "cards", Catalogue(M::Cards)),
    ("StudyPlan", "resources", Catalogue(M::PlanResources)),
    ("StudyPlanInstance", "resources", Catalogue(M::PlanResources)),
    // What is asked for by name.
    ("Query", "nodes", Given("ids")),
    ("Query", "users", Given("by")),
    ("User", "gameSummaries", Given("gameIds")),
    ("User", "resourceProgress", Given("resourceIds")),
    // What users have, as much of it as is asked for.
    ("User", "accounts", First(DEFAULT_FIRST)),
    ("User", "studyPlanInstances", First(DEFAULT_FIRST)),
    ("CreditAccount", "expirySchedule", First(DEFAULT_LOTS)),
    ("CreditAccount", "lots", First(DEFAULT_LOTS)),
    ("CreditAccount", "blocks", Most(MOST_BLOCKS as u64)),
    // There are four awards, and three scopes.
    ("GameSummary", "awards", Most(4)),
    ("ApiKey", "scopes", Most(3)),
    ("Viewer", "scopes", Most(3)),
    // What a write concerns. An unlock can be told together with the four awards it earns.
    ("Changes", "events", ItemsOr(5, 5 + MOST_BLOCKS as u64)),
    ("Changes", "awards", Items(4)),
    ("Changes", "collections", Items(1)),
    ("Changes", "gameSummaries", Items(1)),
    ("Changes", "goals", Items(1)),
    ("Changes", "goalsCompleted", Items(1)),
    ("Changes", "resources", Items(1)),
    ("Changes", "studyPlanInstances", Items(1)),
    ("RecordProgressPayload", "changes", Shared),
    ("AchievementsPayload", "gameSummaries", Items(1)),
    ("CardsPayload", "collections", Items(1)),
    ("RecordGoalStepsPayload", "goals", Items(1)),
    ("SetResourcesCompletionPayload", "resourceProgress", Items(1)),
    ("BlocksPayload", "blocks", Most(MOST_BLOCKS as u64)),
    ("*", "results", Items(1)),
    // A write to the catalogue reports all its faults at once.
    ("SeasonPayload", "userErrors", ItemsOr(8, 20)),
    ("UpsertCollectionPayload", "userErrors", ItemsOr(8, 20)),
    ("UpsertGamePayload", "userErrors", ItemsOr(8, 20)),
    ("UpsertResourcePayload", "userErrors", ItemsOr(8, 20)),
    ("UpsertStudyPlanPayload", "userErrors", ItemsOr(8, 20)),
    ("*", "userErrors", ItemsOr(1, 5)),
    ("UserError", "path", Most(6)),
    // Operators' checks, of which the first differences are named.
    ("*", "checks", Most(64)),
    ("*", "differences", Most(100)),
    ("RepairPayload", "mended", Most(100)),
];

/// How many elements of a user's lists there are where `first` is not given.
pub const DEFAULT_FIRST: u64 = 20;

/// How many bytes a text can have as JSON: a fixed number, and the bytes of the catalogue's texts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// How many bytes it can have beside the catalogue's text.
    pub most: u64,
    /// Whose bytes of the catalogue come on top; `None`: none.
    pub catalogue: Option<Measure>,
}

const fn most(most: u64) -> Text {
    Text { most, catalogue: None }
}

/// As long as the catalogue's.
const fn like(measure: Measure) -> Text {
    Text { most: 0, catalogue: Some(measure) }
}

/// A global id: the name of a type, and of a user where it has one, before a key of the catalogue.
const ID: Text = Text { most: 52, catalogue: Some(M::Key) };
/// A global id with a key that a client sent.
const ANY_ID: Text = most(MOST_ID_BYTES as u64);
/// A cursor.
const CURSOR: Text = most(160);
/// Who did something: `app:` and the name of a key, of 100 characters.
const ACTOR: Text = most(408);
/// A reason of 500 characters.
const REASON: Text = most(2_002);
/// A message of a refusal, which is cut where it would be longer.
const MESSAGE: Text = most(MOST_MESSAGE_BYTES as u64);
/// What changed, as a small object. The largest is that of cards that were granted: each card of a collection by its
/// key.
const CHANGES: Text = Text { most: 400, catalogue: Some(M::Changes) };

/// The type, the field, and how many bytes it can have; `*` is any type. Other scalars are bounded by their types.
const TEXTS: &[(&str, &str, Text)] = &[
    ("*", "cursor", CURSOR),
    ("PageInfo", "startCursor", CURSOR),
    ("PageInfo", "endCursor", CURSOR),
    ("*", "userErrors", MESSAGE),
    ("UserError", "message", MESSAGE),
    ("UserError", "path", most(40)),
    // Users.
    ("User", "id", most(34)),
    ("User", "handle", most(22)),
    ("User", "displayName", most(402)),
    ("User", "avatarUrl", most(2_002)),
    ("Account", "id", most(512)),
    ("Account", "platform", most(512)),
    ("ApiKey", "name", most(402)),
    ("ApiKey", "prefix", most(40)),
    ("Viewer", "appName", most(402)),
    ("CreateApiKeyPayload", "secret", most(80)),
    ("Changes", "userId", most(34)),
    ("EraseUserPayload", "erasedId", most(34)),
    ("MergeUsersPayload", "absorbedId", most(34)),
    ("ProgressEventResult", "userId", most(34)),
    ("Query", "exportUser", most(records::MOST_BYTES as u64)),
    // History.
    ("ProgressEvent", "actor", ACTOR),
    ("ProgressEvent", "subject", ID),
    ("ProgressEvent", "changes", CHANGES),
    ("AuditEntry", "actor", ACTOR),
    ("AuditEntry", "action", most(40)),
    ("AuditEntry", "subject", ANY_ID),
    // For operators only. The keys of what was changed stand in it, so it may be as long as what was written.
    ("AuditEntry", "changes", most(20_000)),
    ("CheckCount", "check", most(80)),
    ("Difference", "check", most(80)),
    ("Difference", "expected", most(500)),
    ("Difference", "stored", most(500)),
    ("Difference", "what", most(500)),
    ("Difference", "userId", most(34)),
    // What was written.
    ("GoalClaimResult", "id", ANY_ID),
    ("GoalStepsResult", "id", ANY_ID),
    ("ProgressEventResult", "id", ANY_ID),
    ("WriteResult", "id", ANY_ID),
    ("DeleteCatalogueItemPayload", "deletedId", ANY_ID),
    ("DeleteStudyPlanInstancePayload", "deletedId", most(76)),
    // Credits.
    ("CreditBlock", "reason", REASON),
    ("CreditEntry", "reason", REASON),
    ("CreditLot", "reason", REASON),
    // Anything with an id or a title.
    ("Node", "id", ID),
    ("Progress", "id", ID),
    ("Progress", "title", Text { most: 802, catalogue: Some(M::GameTitle) }),
    // Seasons.
    ("Season", "id", ID),
    ("Season", "key", like(M::Key)),
    ("Season", "title", like(M::SeasonTitle)),
    ("Season", "description", like(M::SeasonDescription)),
    ("MovedSeason", "id", ID),
    ("Week", "title", like(M::WeekTitle)),
    ("Goal", "id", ID),
    ("Goal", "key", like(M::Key)),
    ("Goal", "title", like(M::GoalTitle)),
    ("Goal", "description", like(M::GoalDescription)),
    ("Goal", "thumbnail", like(M::GoalPicture)),
    ("GoalProgress", "id", ID),
    ("GoalProgress", "title", like(M::GoalTitle)),
    // Games.
    ("Game", "id", ID),
    ("Game", "key", like(M::Key)),
    ("Game", "title", like(M::GameTitle)),
    ("Game", "description", like(M::GameDescription)),
    ("Game", "image", like(M::GamePicture)),
    ("Game", "platform", like(M::GamePlatform)),
    ("GameSummary", "id", ID),
    ("GameSummary", "title", like(M::GameTitle)),
    ("Achievement", "id", ID),
    ("Achievement", "key", like(M::Key)),
    ("Achievement", "title", like(M::AchievementTitle)),
    ("Achievement", "description", like(M::AchievementDescription)),
    ("Achievement", "badge", like(M::AchievementPicture)),
    // Collections.
    ("Collection", "id", ID),
    ("Collection", "key", like(M::Key)),
    ("Collection", "name", like(M::CollectionName)),
    ("Collection", "description", like(M::CollectionDescription)),
    ("Collection", "image", like(M::CollectionPicture)),
    ("Collection", "environment", like(M::CollectionEnvironment)),
    ("CollectionProgress", "id", ID),
    ("CollectionProgress", "title", like(M::CollectionName)),
    ("Card", "id", ID),
    ("Card", "key", like(M::Key)),
    ("Card", "name", like(M::CardName)),
    ("Card", "image", like(M::CardPicture)),
    ("Card", "rarity", like(M::CardRarity)),
    ("Reward", "key", like(M::RewardText)),
    ("Reward", "name", like(M::RewardText)),
    ("Reward", "description", like(M::RewardText)),
    ("Reward", "image", like(M::RewardText)),
    ("Reward", "value", like(M::RewardText)),
    ("Reward", "viewType", like(M::RewardText)),
    // Learning. Progress is kept with resources too that the catalogue does not describe.
    ("Resource", "id", ID),
    ("Resource", "key", like(M::Key)),
    ("Resource", "title", like(M::ResourceTitle)),
    ("Resource", "description", like(M::ResourceDescription)),
    ("Resource", "url", like(M::ResourceUrl)),
    ("Resource", "type", like(M::ResourceWord)),
    ("Resource", "section", like(M::ResourceWord)),
    ("ResourceProgress", "id", ID),
    ("ResourceProgress", "title", Text { most: 26, catalogue: Some(M::ResourceTitle) }),
    ("ResourceProgress", "resourceKey", Text { most: 26, catalogue: Some(M::Key) }),
    // 10,000 characters of four bytes.
    ("ResourceProgress", "notes", most(40_002)),
    ("StudyPlan", "id", ID),
    ("StudyPlan", "key", like(M::Key)),
    ("StudyPlan", "title", like(M::PlanTitle)),
    ("StudyPlan", "description", like(M::PlanDescription)),
    ("StudyPlanInstance", "id", most(76)),
    ("StudyPlanInstance", "externalId", most(26)),
    ("StudyPlanInstance", "title", most(802)),
];

/// Of connections that the catalogue bounds, and not only their page: the type, the field, and how many there are.
const CONNECTIONS: &[(&str, &str, Measure)] = &[
    ("Query", "seasons", M::Seasons),
    ("Query", "games", M::Games),
    ("Query", "collections", M::Collections),
    ("Query", "resources", M::Resources),
    ("Query", "studyPlans", M::Plans),
    ("Game", "achievements", M::Achievements),
    ("GameSummary", "achievements", M::Achievements),
    ("CollectionProgress", "cardsConnection", M::Cards),
    ("User", "games", M::Games),
    ("User", "collections", M::Collections),
];

/// What is read for a field each time it is answered, independent of the selection: the type, the field, an argument
/// without which nothing is read, what is read, and what each of them weighs in the gate's small unit (8 of which stand
/// for a microsecond). The field `*` stands for each object of the type.
const WORK: &[(&str, &str, Option<&str>, Measure, u64)] = &[
    ("Query", "games", None, M::Games, 1),
    ("Query", "games", Some("search"), M::Games, 2),
    ("Query", "resources", None, M::Resources, 1),
    ("Query", "resources", Some("search"), M::Resources, 2),
    ("Query", "collections", None, M::Collections, 2),
    ("Query", "seasons", None, M::Seasons, 4),
    ("Query", "studyPlans", None, M::Plans, 1),
    ("Query", "season", None, M::Seasons, 2),
    ("Query", "currentSeason", None, M::Seasons, 2),
    ("Goal", "season", None, M::Seasons, 2),
    ("Game", "achievements", None, M::Achievements, 1),
    ("GameSummary", "achievements", None, M::Achievements, 16),
    ("CollectionProgress", "cardsConnection", None, M::Cards, 16),
    ("User", "season", None, M::Goals, 16),
    ("User", "goals", None, M::Goals, 16),
    ("User", "collections", None, M::Collections, 16),
    ("User", "overview", None, M::Goals, 16),
    ("User", "overview", None, M::Collections, 16),
    // How far an instance has come follows from its resources, and is known only then.
    ("User", "studyPlanInstances", Some("status"), M::PlanResources, 16_000),
    // Every field of an instance follows from its resources.
    ("StudyPlanInstance", "*", None, M::PlanResources, 16),
    ("Progress", "*", None, M::PlanResources, 16),
    ("Node", "*", None, M::PlanResources, 16),
];

type Named<T> = HashMap<(&'static str, &'static str), T>;

/// How long the list of a field can be.
pub fn list(parent: &str, field: &str) -> Option<Bound> {
    static ALL: OnceLock<Named<Bound>> = OnceLock::new();
    let all = ALL.get_or_init(|| LISTS.iter().map(|(parent, field, bound)| ((*parent, *field), *bound)).collect());
    find(all, parent, field)
}

/// How many bytes a field that is a text can have.
pub fn text(parent: &str, field: &str) -> Option<Text> {
    static ALL: OnceLock<Named<Text>> = OnceLock::new();
    let all = ALL.get_or_init(|| TEXTS.iter().map(|(parent, field, text)| ((*parent, *field), *text)).collect());
    find(all, parent, field)
}

/// How many elements a connection can have that only shows what the catalogue has.
pub fn connection(parent: &str, field: &str) -> Option<Measure> {
    CONNECTIONS.iter().find(|(of, name, _)| *of == parent && *name == field).map(|(.., measure)| *measure)
}

/// What has to be looked at for a field, of those that are done without an argument or with one that is `given`.
pub fn work<'a>(
    parent: &'a str,
    field: &'a str,
    given: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (Measure, u64)> + 'a {
    WORK.iter()
        .filter(move |(of, name, argument, ..)| *of == parent && *name == field && argument.is_none_or(&given))
        .map(|(.., measure, weight)| (*measure, *weight))
}

fn find<'a, T: Copy>(all: &'a HashMap<(&'a str, &'a str), T>, parent: &'a str, field: &'a str) -> Option<T> {
    all.get(&(parent, field)).or_else(|| all.get(&("*", field))).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use apollo_compiler::Schema;
    use apollo_compiler::schema::ExtendedType;

    use super::*;

    /// Every field of the schema: its type, its name, whether it is a list, and what it is one of.
    fn fields() -> Vec<(String, String, bool, String)> {
        let schema = Schema::parse_and_validate(crate::sdl(), "schema.graphql").unwrap();
        let mut all = Vec::new();
        for (name, ty) in &schema.types {
            let fields = match ty {
                ExtendedType::Object(object) => &object.fields,
                ExtendedType::Interface(interface) => &interface.fields,
                _ => continue,
            };
            for (field, definition) in fields.iter().filter(|_| !name.starts_with("__")) {
                let named = definition.ty.inner_named_type().to_string();
                all.push((name.to_string(), field.to_string(), definition.ty.is_list(), named));
            }
        }
        assert!(all.len() > 400, "the fields are found");
        all
    }

    #[test]
    fn every_list_of_the_schema_has_a_stated_bound() {
        let mut stated = BTreeSet::new();
        for (parent, field, is_list, _) in fields() {
            if is_list && !parent.ends_with("Connection") {
                assert!(list(&parent, &field).is_some(), "how long can {parent}.{field} be?");
                let own = LISTS.iter().any(|(of, name, _)| *of == parent && *name == field);
                stated.insert((if own { parent } else { "*".to_owned() }, field));
            }
        }
        let listed: BTreeSet<_> =
            LISTS.iter().map(|(parent, field, _)| ((*parent).to_owned(), (*field).to_owned())).collect();
        assert_eq!(listed, stated, "what is stated is in the schema, and once");
        assert_eq!(listed.len(), LISTS.len());
    }

    #[test]
    fn every_text_of_the_schema_has_a_stated_length() {
        let texts: Vec<_> =
            fields().into_iter().filter(|field| ["ID", "JSON", "String"].contains(&field.3.as_str())).collect();
        for (parent, field, ..) in &texts {
            assert!(text(parent, field).is_some(), "how long can {parent}.{field} be?");
        }
        for (parent, field, _) in TEXTS.iter().filter(|entry| entry.1 != "userErrors") {
            let is_text =
                |one: &(String, String, bool, String)| (*parent == "*" || one.0 == *parent) && one.1 == *field;
            assert!(texts.iter().any(is_text), "{parent}.{field} is no text of the schema");
        }
    }

    #[test]
    fn what_is_named_is_in_the_schema() {
        let all = fields();
        let known =
            |parent: &str, field: &str| all.iter().any(|one| one.0 == parent && (field == "*" || one.1 == field));
        for (parent, field, _) in CONNECTIONS {
            assert!(known(parent, field), "{parent}.{field}");
        }
        for (parent, field, ..) in WORK {
            assert!(known(parent, field), "{parent}.{field}");
        }
    }
}
