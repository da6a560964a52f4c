//! The demo data as a whole: its catalogue, and what each user does with it.

use std::ops::RangeInclusive;

use super::collections::{self, Collections};
use super::dice::Dice;
use super::games::{self, Games};
use super::learning::{self, Learning};
use super::page::Page;
use super::seasons::{self, Season};
use super::{ledger, people};
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::Record;

/// What operators would have defined.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seasons: Vec<Season>,
    pub(super) learning: Learning,
    pub(super) games: Games,
    pub(super) collections: Collections,
}

impl Catalogue {
    /// The catalogue as seen from `day`, for so many users.
    pub(super) fn new(day: Timestamp, users: i64) -> Self {
        Self {
            seasons: seasons::catalogue(day, users),
            learning: learning::catalogue(day),
            games: games::catalogue(day),
            collections: collections::catalogue(day),
        }
    }
}

/// The demo data of one day.
#[derive(Debug)]
pub(super) struct World {
    day: Timestamp,
    catalogue: Catalogue,
}

impl World {
    pub(super) fn new(day: Timestamp, users: i64) -> Self {
        Self { day, catalogue: Catalogue::new(day, users) }
    }

    /// The records of the catalogue.
    pub(super) fn catalogue(&self) -> Vec<Record> {
        let Catalogue { seasons, learning, games, collections } = &self.catalogue;
        let mut records: Vec<Record> = seasons.iter().map(Season::record).chain(collections.records()).collect();
        records.extend(seasons.iter().flat_map(Season::goals));
        records.extend(learning.records().chain(games.records()).chain(collections.cards()));
        records
    }

    /// The records of the users of these numbers.
    pub(super) fn users(&self, numbers: RangeInclusive<i64>) -> Vec<Record> {
        let mut records = Vec::new();
        numbers.for_each(|number| self.user(number, &mut records));
        records
    }

    /// The ULID of user `number`.
    pub(super) fn ulid(&self, number: i64) -> String {
        self.ulid_of(&people::person(number, &self.catalogue, self.day))
    }

    fn ulid_of(&self, person: &people::Person) -> String {
        Dice::new("ulid", person.number).ulid(person.joined_at)
    }

    /// Adds the records of user `number`.
    fn user(&self, number: i64, records: &mut Vec<Record>) {
        let mut person = people::person(number, &self.catalogue, self.day);
        let ulid = self.ulid_of(&person);
        let efforts = person.seasons;
        let plays = std::mem::take(&mut person.plays);
        let collecting = std::mem::take(&mut person.collecting);
        let study = person.study.clone();
        let credits = std::mem::take(&mut person.credits);

        let mut page = Page::open(person, ulid, self.day, records);
        page.operations = credits;
        ledger::block(&mut page);
        let mut dice = Dice::new("seasons", number);
        for (season, effort) in self.catalogue.seasons.iter().zip(efforts) {
            season.take_part(&mut page, effort, &mut dice);
        }
        let mut dice = Dice::new("games", number);
        for play in &plays {
            self.catalogue.games.play(&mut page, play, &mut dice);
        }
        let mut dice = Dice::new("collections", number);
        for collecting in &collecting {
            self.catalogue.collections.collect(&mut page, collecting, &mut dice);
        }
        self.catalogue.learning.learn(&mut page, &study, &mut Dice::new("learning", number));
        page.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use waymark_transfer::records::{CreditEntry, Event, Unlock, User};

    fn records(users: i64) -> Vec<Record> {
        let world = World::new(Timestamp::parse("2026-06-01T00:00:00Z").unwrap(), users);
        let mut records = Vec::new();
        (1..=users).for_each(|number| world.user(number, &mut records));
        records
    }

    /// The records of one kind.
    fn only<R>(records: &[Record], kind: impl Fn(&Record) -> Option<&R>) -> Vec<&R> {
        records.iter().filter_map(kind).collect()
    }

    #[test]
    fn the_same_day_gives_the_same_records() {
        assert_eq!(records(20), records(20));
    }

    #[test]
    fn what_a_user_has_does_not_depend_on_how_many_there_are() {
        assert!(records(30).starts_with(&records(10)));
    }

    #[test]
    fn the_known_games_have_the_known_numbers() {
        let world = World::new(Timestamp::parse("2026-06-01T00:00:00Z").unwrap(), 4);
        let (catalogue, records) = (world.catalogue(), records(4));
        let points: BTreeMap<&str, i32> = catalogue
            .iter()
            .filter_map(|record| match record {
                Record::Achievement(one) if one.published => Some((one.key.as_str(), one.points)),
                _ => None,
            })
            .collect();
        let users = only(&records, |record| if let Record::User(user) = record { Some(user) } else { None });
        let of = |handle: &str, game: &str| {
            let user: &User = users.iter().find(|user| user.handle.as_deref() == Some(handle)).unwrap();
            let unlocks = records.iter().filter_map(|record| match record {
                Record::Unlock(unlock) if Some(&unlock.user) == user.id.as_ref() => Some(unlock),
                _ => None,
            });
            let unlocks = unlocks.filter(|one| one.achievement.rsplit_once('-').unwrap().0 == game);
            let all: Vec<&Unlock> = unlocks.collect();
            let hardcore: Vec<&Unlock> = all.iter().copied().filter(|one| one.hardcore_at.is_some()).collect();
            let score = |unlocks: &[&Unlock]| unlocks.iter().map(|one| points[&*one.achievement]).sum::<i32>();
            (all.len(), score(&all), hardcore.len(), score(&hardcore))
        };
        assert_eq!(of("MaxMilyin", "1"), (23, 251, 23, 251));
        assert_eq!(of("MaxMilyin", "2"), (22, 320, 22, 320));
        assert_eq!(of("MaxMilyin", "3"), (23, 335, 23, 335));
        assert_eq!((of("xelnia", "1"), of("xelnia", "14402")), ((0, 0, 0, 0), (0, 0, 0, 0)));
    }

    #[test]
    fn histories_and_ledgers_are_numbered_without_gaps_in_the_order_of_time() {
        let records = records(60);
        let mut events: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        let mut entries: BTreeMap<&str, Vec<&CreditEntry>> = BTreeMap::new();
        for record in &records {
            match record {
                Record::Event(event) => events.entry(&event.user).or_default().push(event),
                Record::CreditEntry(entry) => entries.entry(&entry.user).or_default().push(entry),
                _ => {}
            }
        }
        for user in only(&records, |record| if let Record::User(user) = record { Some(user) } else { None }) {
            let id = user.id.as_deref().unwrap();
            let events = &events[id];
            assert!(events.iter().zip(1..).all(|(event, number)| event.number == number));
            assert!(events.is_sorted_by_key(|event| event.recorded_at));
            assert!(events.iter().all(|event| Some(event.recorded_at) >= user.created_at));
            let entries = entries.get(id).map_or(&[][..], Vec::as_slice);
            assert!(entries.iter().zip(1..).all(|(entry, number)| entry.number == number));
            assert!(entries.is_sorted_by_key(|entry| entry.at));
        }
    }

    #[test]
    fn ada_has_the_known_instances_with_one_resource_marked_in_one_of_them() {
        let records = records(2);
        let grace = World::new(Timestamp::parse("2026-06-01T00:00:00Z").unwrap(), 2).ulid(1);
        let instances = only(&records, |record| match record {
            Record::StudyPlanInstance(instance) if instance.user != grace => Some(instance),
            _ => None,
        });
        let ids: Vec<_> = instances.iter().filter_map(|instance| instance.external_id.as_deref()).collect();
        assert_eq!(ids, ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"]);
        let marked = instances.iter().flat_map(|instance| {
            let resources = instance.resources.iter().flatten().filter(|resource| resource.marked_at.is_some());
            resources.map(|resource| (instance.number, &*resource.resource))
        });
        assert_eq!(marked.collect::<Vec<_>>(), [(Some(1), "507f1f77bcf86cd799439011")]);
        let complete = only(&records, |record| match record {
            Record::ResourceProgress(progress) if progress.user != grace => Some(progress),
            _ => None,
        });
        let completed_at: Vec<_> = complete.iter().filter_map(|one| Some(one.completed_at?.0.to_string())).collect();
        assert_eq!(completed_at, ["2026-03-15T14:30:00.000Z"]);
    }
}
