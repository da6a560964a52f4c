//! The demo data as a whole: its catalogue, and what each user does with it.

use super::collections::{self, Collections};
use super::dice::Dice;
use super::games::{self, Games};
use super::learning::{self, Learning};
use super::page::Page;
use super::rows::Rows;
use super::seasons::{self, Season};
use super::{ledger, people};
use waymark_kernel::clock::Timestamp;

/// What operators would have defined.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seasons: Vec<Season>,
    pub(super) learning: Learning,
    pub(super) games: Games,
    pub(super) collections: Collections,
}

impl Catalogue {
    /// The catalogue as seen from `day`.
    pub(super) fn new(day: Timestamp) -> Self {
        Self {
            seasons: seasons::catalogue(day),
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
    pub(super) fn new(day: Timestamp) -> Self {
        Self { day, catalogue: Catalogue::new(day) }
    }

    /// The rows of the catalogue.
    pub(super) fn catalogue(&self) -> Rows {
        let mut rows = Rows::default();
        self.catalogue.seasons.iter().for_each(|season| season.insert(&mut rows));
        self.catalogue.learning.insert(&mut rows);
        self.catalogue.games.insert(&mut rows);
        self.catalogue.collections.insert(&mut rows);
        rows
    }

    /// The ULID of user `number`.
    pub(super) fn ulid(&self, number: i64) -> String {
        self.ulid_of(&people::person(number, &self.catalogue, self.day))
    }

    fn ulid_of(&self, person: &people::Person) -> String {
        Dice::new("ulid", person.number).ulid(person.joined_at)
    }

    /// Adds the rows of user `number`.
    pub(super) fn user(&self, number: i64, rows: &mut Rows) {
        let mut person = people::person(number, &self.catalogue, self.day);
        let ulid = self.ulid_of(&person);
        let efforts = person.seasons;
        let plays = std::mem::take(&mut person.plays);
        let collecting = std::mem::take(&mut person.collecting);
        let study = person.study.clone();
        let credits = std::mem::take(&mut person.credits);

        let mut page = Page::open(person, ulid, self.day, rows);
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
    use waymark_games::entity::summary;

    fn rows(users: i64) -> Rows {
        let world = World::new(Timestamp::parse("2026-06-01T00:00:00Z").unwrap());
        let mut rows = world.catalogue();
        (1..=users).for_each(|number| world.user(number, &mut rows));
        rows
    }

    #[test]
    fn the_same_day_gives_the_same_rows() {
        assert_eq!(format!("{:?}", rows(20)), format!("{:?}", rows(20)));
    }

    #[test]
    fn what_a_user_has_does_not_depend_on_how_many_there_are() {
        let (few, many) = (rows(10), rows(30));
        assert!(many.events.starts_with(&few.events) && many.unlocks.starts_with(&few.unlocks));
    }

    #[test]
    fn the_known_games_have_the_known_numbers() {
        let rows = rows(4);
        let of = |handle: &str, game: i64| {
            let user = rows.users.iter().find(|user| user.handle == handle).unwrap().id;
            rows.game_summaries.iter().find(|summary| summary.user_id == user && summary.game_id == game)
        };
        let numbers = |summary: &summary::Model| {
            [
                summary.num_achieved,
                summary.score_achieved,
                summary.num_achieved_hardcore,
                summary.score_achieved_hardcore,
            ]
        };
        assert_eq!(of("MaxMilyin", 1).map(numbers), Some([23, 251, 23, 251]));
        assert_eq!(of("MaxMilyin", 2).map(numbers), Some([22, 320, 22, 320]));
        assert_eq!(of("MaxMilyin", 3).map(numbers), Some([23, 335, 23, 335]));
        assert_eq!((of("xelnia", 1), of("xelnia", 4)), (None, None));
    }

    #[test]
    fn histories_and_ledgers_are_numbered_without_gaps_in_the_order_of_time() {
        let rows = rows(60);
        for user in &rows.users {
            let events: Vec<_> = rows.events.iter().filter(|event| event.user_id == user.id).collect();
            assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
            assert_eq!(events.last().map_or(0, |event| event.seq), user.history_seq);
            assert!(events.is_sorted_by_key(|event| event.recorded_at));
            assert!(events.iter().all(|event| event.recorded_at >= user.created_at));

            let entries: Vec<_> = rows.entries.iter().filter(|entry| entry.user_id == user.id).collect();
            assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
            assert_eq!(entries.last().map_or(0, |entry| entry.seq), user.ledger_seq);
            assert!(entries.is_sorted_by_key(|entry| entry.recorded_at));
        }
    }

    #[test]
    fn ada_has_the_known_instances_with_one_resource_marked_in_one_of_them() {
        let rows = rows(2);
        let instances: Vec<_> = rows
            .instances
            .iter()
            .filter(|instance| instance.user_id == 2)
            .map(|instance| &*instance.external_id)
            .collect();
        assert_eq!(instances, ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"]);
        let marked: Vec<_> = rows
            .instance_resources
            .iter()
            .filter(|resource| resource.user_id == 2 && resource.marked_at.is_some())
            .map(|resource| (resource.instance_seq, resource.resource_id))
            .collect();
        assert_eq!(marked, [(1, 1)]);
        let complete: Vec<_> = rows.resource_progress.iter().filter(|progress| progress.user_id == 2).collect();
        assert_eq!(complete.len(), 1);
        assert_eq!(complete[0].completed_at.unwrap().to_string(), "2026-03-15T14:30:00.000Z");
    }
}
