//! The people of the demo data: a few who are told of by name, and as many others as are wanted.

use super::collections::{Collecting, OPEN_TO_ALL};
use super::days;
use super::dice::Dice;
use super::games::Play;
use super::learning::Study;
use super::ledger::{Blocked, Change, Operation};
use super::seasons::Effort;
use super::world::Catalogue;
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::{BlockScope, LotSource};

/// Somebody in the demo data whom it is worth looking at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoPerson {
    /// The handle of the user.
    pub handle: &'static str,
    /// What is to be seen there, in one line.
    pub about: &'static str,
}

/// The people worth looking at, the most interesting first; also the first users of the database, in this order.
pub(super) const PEOPLE: [DemoPerson; 8] = [
    DemoPerson {
        handle: "grace",
        about: "goals in every state, credits in several lots, games with awards of every kind, collections, study plans",
    },
    DemoPerson { handle: "ada", about: "a profile for whoever is signed in, with two instances of one study plan" },
    DemoPerson { handle: "MaxMilyin", about: "mastered the games 1, 2 and 3" },
    DemoPerson { handle: "xelnia", about: "plays, but has nothing yet in the games 1 and 14402" },
    DemoPerson {
        handle: "snowfall",
        about: "owns 3 of the 10 cards of the Winter Challenge, known by a Discord account",
    },
    DemoPerson { handle: "mallory", about: "blocked from claiming, with rewards waiting" },
    DemoPerson { handle: "cleo", about: "has reached and claimed everything there is" },
    DemoPerson { handle: "newton", about: "joined yesterday and has done nothing yet" },
];

const ADJECTIVES: [&str; 24] = [
    "Amber", "Brisk", "Calm", "Daring", "Eager", "Fuzzy", "Gentle", "Happy", "Icy", "Jolly", "Keen", "Lucky", "Mellow",
    "Nimble", "Odd", "Plucky", "Quiet", "Rusty", "Sunny", "Tidy", "Upbeat", "Vivid", "Witty", "Zesty",
];
const ANIMALS: [&str; 25] = [
    "Otter", "Badger", "Crane", "Dingo", "Egret", "Falcon", "Gecko", "Heron", "Ibis", "Jackal", "Koala", "Lemur",
    "Marten", "Newt", "Ocelot", "Puffin", "Quail", "Raven", "Stoat", "Tapir", "Urchin", "Viper", "Walrus", "Yak",
    "Zebra",
];

/// Rewards of which there are only so many go to users up to this number, so that there are always enough.
const FIRST_COMERS: i64 = 200;
const CREDIT: i64 = 1_000_000;

/// A user to be made: who they are, and what they do.
#[derive(Debug)]
pub(super) struct Person {
    /// The user's place among all, from 1.
    pub(super) number: i64,
    pub(super) handle: String,
    pub(super) display_name: Option<String>,
    pub(super) public: bool,
    pub(super) joined_at: Timestamp,
    /// Provider and id.
    pub(super) accounts: Vec<(String, String)>,
    pub(super) blocks: Vec<Blocked>,
    /// What they do in the season that is over and in the one that runs.
    pub(super) seasons: [Effort; 2],
    pub(super) plays: Vec<Play>,
    pub(super) collecting: Vec<Collecting>,
    pub(super) study: Study,
    /// What happens to their credits besides claims of goals.
    pub(super) credits: Vec<Operation>,
}

/// User `number`, counted from 1.
pub(super) fn person(number: i64, catalogue: &Catalogue, day: Timestamp) -> Person {
    let place = usize::try_from(number - 1).unwrap_or_default();
    match PEOPLE.get(place) {
        Some(person) => named(number, person.handle, catalogue, day),
        None => somebody(number, catalogue, day),
    }
}

fn named(number: i64, handle: &'static str, catalogue: &Catalogue, day: Timestamp) -> Person {
    let play = |(key, unlocked, hardcore): (&str, i64, i64)| {
        let game = catalogue.games.place(key)?;
        Some(Play { game, unlocked, hardcore, skips: false })
    };
    let plan = |(key, done): (&str, i64)| Some((catalogue.learning.place(key)?, done));
    let cards = |(collection, cards, claims)| Collecting { collection, cards, claims };
    let account = |(provider, id): (&str, &str)| (provider.to_owned(), id.to_owned());
    let mut person = Person {
        number,
        handle: handle.to_owned(),
        display_name: None,
        public: true,
        joined_at: days(day, -300).plus_seconds(9 * 3600),
        accounts: vec![("jwt".to_owned(), format!("|{}", handle.to_ascii_lowercase()))],
        blocks: Vec::new(),
        seasons: [Effort::Absent; 2],
        plays: Vec::new(),
        collecting: Vec::new(),
        study: Study::Plans(Vec::new()),
        credits: Vec::new(),
    };
    match handle {
        "grace" => {
            person.display_name = Some("Grace".to_owned());
            person.accounts.extend(
                [("ethereum", "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5"), ("discord", "800000000000000001")]
                    .map(account),
            );
            person.seasons = [Effort::Some(80), Effort::EveryState];
            // Mastered, completed, beaten in hardcore mode, beaten, under way, begun.
            let plays = [
                ("1", 100, 100),
                ("2", 100, 40),
                ("3", 70, 70),
                ("14402", 70, 20),
                ("lantern-keepers", 45, 0),
                ("101", 30, 10),
                ("echo-lake", 4, 4),
            ];
            person.plays = plays.into_iter().filter_map(play).collect();
            // In progress, complete, complete but out of stock, complete and over, to come, over and hidden.
            person.collecting = [
                ("program_123", 7, false),
                ("founders", 6, true),
                ("polar-lights", 15, false),
                ("harvest-fair", 12, true),
                ("starlight", 1, false),
                ("lost-archive", 2, false),
            ]
            .map(cards)
            .to_vec();
            let plans = [("core-computing", 60), ("algorithms", 40), ("web-developer", 100), ("security-basics", 0)];
            person.study = Study::Plans(plans.into_iter().filter_map(plan).collect());
            person.credits = vec![
                grant(day, -90 * 24, 10_000_000, None, LotSource::Import, "Balance brought along"),
                grant(day, -60 * 24, 5_000_000, Some(-20 * 24), LotSource::Grant, "Spring raffle"),
                grant(day, -10 * 24, 3_000_000, Some(25), LotSource::Grant, "Bug report"),
                grant(day, -5 * 24, 1_500_000, Some(30), LotSource::Grant, "Event host"),
                grant(day, -3 * 24, 2_750_000, Some(14 * 24), LotSource::Grant, "Community prize"),
                spend(day, -30 * 24, 4_000_000, "Wearable: rain coat"),
                spend(day, -2 * 24, 2_250_000, "Emote: slow clap"),
                Operation { at: hours(day, -20), change: Change::Revoke { micros: 500_000, reason: "Granted twice" } },
            ];
        }
        "ada" => {
            person.display_name = Some("Ada".to_owned());
            person.public = false;
            // Before everything that her study plan's examples tell of.
            person.joined_at = person.joined_at.min(days(Timestamp::from_millis(1_773_585_000_000), -60));
            person.accounts.extend([("discord", "800000000000000002")].map(account));
            person.seasons = [Effort::Absent, Effort::Some(40)];
            person.plays = [("105", 60, 0), ("108", 20, 20)].into_iter().filter_map(play).collect();
            person.collecting = vec![cards(("founders", 2, false))];
            person.study = Study::Known;
        }
        "MaxMilyin" => {
            person.accounts.extend([("discord", "800000000000000003")].map(account));
            person.seasons = [Effort::Some(50), Effort::Some(70)];
            person.plays = [("1", 100, 100), ("2", 100, 100), ("3", 100, 100), ("110", 35, 35)]
                .into_iter()
                .filter_map(play)
                .collect();
            person.collecting = vec![cards(("polar-lights", 15, true))];
        }
        "xelnia" => {
            person.accounts.extend([("roblox", "900000004")].map(account));
            person.seasons = [Effort::Some(20), Effort::Absent];
            person.plays = [("2", 50, 50), ("101", 80, 80), ("102", 40, 10)].into_iter().filter_map(play).collect();
        }
        "snowfall" => {
            person.accounts.extend([("discord", "123456789012345678"), ("roblox", "900000005")].map(account));
            person.seasons = [Effort::Absent, Effort::Some(30)];
            person.collecting = vec![cards(("program_123", 3, false))];
        }
        "mallory" => {
            person.accounts.extend([("ethereum", "0x00000000000000000000000000000000000bad06")].map(account));
            person.seasons = [Effort::Some(60), Effort::All];
            person.collecting = vec![cards(("founders", 3, false))];
            person.credits = vec![grant(day, -40 * 24, 6_000_000, Some(60 * 24), LotSource::Grant, "Spring raffle")];
            person.blocks = vec![
                Blocked {
                    scope: BlockScope::Spend,
                    reason: "Disputed purchase",
                    from: days(day, -80),
                    lifted_at: Some(days(day, -75)),
                },
                Blocked {
                    scope: BlockScope::Claim,
                    reason: "Reported by several players",
                    from: days(day, -10),
                    lifted_at: None,
                },
            ];
        }
        "cleo" => {
            person.display_name = Some("Cleo".to_owned());
            person.accounts.extend(
                [("ethereum", "0x00000000000000000000000000000000000c1e07"), ("discord", "800000000000000007")]
                    .map(account),
            );
            person.seasons = [Effort::All; 2];
            person.plays = (0..catalogue.games.len())
                .map(|game| Play { game, unlocked: 100, hardcore: 100, skips: false })
                .collect();
            person.collecting = OPEN_TO_ALL.map(|collection| cards((collection, usize::MAX, true))).to_vec();
            person.study = Study::Plans((0..catalogue.learning.len()).map(|plan| (plan, 100)).collect());
        }
        // newton
        _ => {
            person.public = false;
            person.joined_at = days(day, -1).plus_seconds(9 * 3600);
        }
    }
    person
}

fn somebody(number: i64, catalogue: &Catalogue, day: Timestamp) -> Person {
    let mut dice = Dice::new("person", number);
    let place = usize::try_from(number).unwrap_or_default();
    let (adjective, animal) = (ADJECTIVES[place % ADJECTIVES.len()], ANIMALS[place % ANIMALS.len()]);
    let round = place / (ADJECTIVES.len() * ANIMALS.len());
    let suffix = if round == 0 { String::new() } else { round.to_string() };
    let joined_at = days(day, -dice.between(1, 400)).plus_seconds(dice.below(20 * 3600));

    let mut accounts = Vec::new();
    if dice.chance(60) {
        accounts.push(("ethereum".to_owned(), dice.address()));
    }
    if dice.chance(50) {
        accounts
            .push(("discord".to_owned(), dice.between(100_000_000_000_000_000, 999_999_999_999_999_999).to_string()));
    }
    if dice.chance(20) {
        accounts.push(("roblox".to_owned(), dice.between(10_000_000, 899_999_999).to_string()));
    }

    let effort = |dice: &mut Dice| if dice.chance(70) { Effort::Some(dice.between(10, 90)) } else { Effort::Absent };
    let seasons = [effort(&mut dice), effort(&mut dice)];

    let games = usize::try_from(dice.below(11)).unwrap_or_default();
    let plays = dice.places(games, catalogue.games.len()).into_iter().map(|game| {
        let unlocked = if dice.chance(12) { 100 } else { dice.between(5, 95) };
        let hardcore = match dice.below(3) {
            0 => 0,
            1 => unlocked,
            _ => dice.between(0, unlocked),
        };
        Play { game, unlocked, hardcore, skips: unlocked < 100 }
    });
    let plays = plays.collect();

    let mut collecting = Vec::new();
    for collection in OPEN_TO_ALL {
        if dice.chance(45) {
            let size = catalogue.collections.size(collection);
            let cards = if dice.chance(15) { size } else { 1 + dice.index(size.saturating_sub(1)) };
            // The two coats of polar-lights belong to people with names.
            let left = number <= FIRST_COMERS || collection != "founders";
            let claims = left && collection != "polar-lights" && dice.chance(60);
            collecting.push(Collecting { collection, cards, claims });
        }
    }

    let plans = usize::try_from(dice.below(4)).unwrap_or_default();
    let plans = dice.places(plans, catalogue.learning.len()).into_iter().map(|plan| (plan, dice.between(0, 100)));
    let study = Study::Plans(plans.collect());

    let mut credits = Vec::new();
    let age_hours = day.millis_since(joined_at) / 3_600_000;
    for _ in 0..dice.below(4) {
        let granted = -dice.between(1, age_hours.max(1));
        let micros = dice.between(1, 40) * CREDIT / 4;
        let expires = match dice.below(10) {
            0 | 1 => Some(dice.between(25, 72)),
            2..=4 => Some(dice.between(4, 30) * 24),
            5 | 6 => Some((granted + 24 * 14).max(granted / 2)),
            _ => None,
        };
        let reason = dice.pick(&["Spring raffle", "Bug report", "Event host", "Community prize"]);
        credits.push(grant(day, granted.max(1 - age_hours), micros, expires, LotSource::Grant, reason));
    }
    for _ in 0..dice.below(3) {
        let reason = dice.pick(&["Wearable: rain coat", "Emote: slow clap", "Wearable: straw hat", "Name change"]);
        credits.push(spend(day, -dice.between(1, age_hours.max(1)), dice.between(1, 12) * CREDIT / 4, reason));
    }

    Person {
        number,
        handle: format!("{adjective}{animal}{suffix}").to_ascii_lowercase(),
        display_name: dice.chance(30).then(|| format!("{adjective} {animal}")),
        public: dice.chance(50),
        joined_at,
        accounts,
        blocks: Vec::new(),
        seasons,
        plays,
        collecting,
        study,
        credits,
    }
}

fn grant(
    day: Timestamp,
    at_hours: i64,
    micros: i64,
    expires_hours: Option<i64>,
    source: LotSource,
    reason: &'static str,
) -> Operation {
    let expires_at = expires_hours.map(|expires| hours(day, expires));
    Operation { at: hours(day, at_hours), change: Change::Grant { micros, expires_at, source, reason } }
}

fn spend(day: Timestamp, at_hours: i64, micros: i64, reason: &'static str) -> Operation {
    // A little later than a grant of the same hour.
    Operation { at: hours(day, at_hours).plus_seconds(60), change: Change::Spend { micros, reason } }
}

const fn hours(day: Timestamp, hours: i64) -> Timestamp {
    day.plus_seconds(hours * 3600)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn people(count: i64) -> Vec<Person> {
        let day = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        let catalogue = Catalogue::new(day, count);
        (1..=count).map(|number| person(number, &catalogue, day)).collect()
    }

    #[test]
    fn handles_and_accounts_are_unique_and_well_formed() {
        let people = people(3000);
        let handles: HashSet<_> = people.iter().map(|person| person.handle.to_ascii_lowercase()).collect();
        assert_eq!(handles.len(), people.len());
        for handle in &handles {
            assert!(
                (2..=20).contains(&handle.len()) && handle.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{handle}"
            );
        }
        let accounts: Vec<_> = people.iter().flat_map(|person| &person.accounts).collect();
        assert_eq!(accounts.iter().collect::<HashSet<_>>().len(), accounts.len());
    }

    #[test]
    fn everything_happens_after_somebody_joined_and_before_the_day() {
        let day = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        for person in people(300) {
            assert!(person.joined_at.plus_seconds(2 * 3600) < day, "{}", person.handle);
            for operation in &person.credits {
                assert!(person.joined_at < operation.at && operation.at < day, "{} {operation:?}", person.handle);
            }
        }
    }
}
