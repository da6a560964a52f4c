//! Demo resources and study plans, and how users learn with them.

use std::collections::BTreeSet;

use serde_json::json;

use super::days;
use super::dice::Dice;
use super::page::{Actor, Page};
use super::rows::Rows;
use waymark_kernel::clock::Timestamp;
use waymark_learning::entity::{instance, instance_resource, plan, plan_resource, progress, resource};
use waymark_write::HistoryKind;

/// The resources that existing clients know, and the plan that holds them.
const KNOWN_KEYS: [&str; 3] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"];
const KNOWN_PLAN: &str = "algorithms-in-a-week";
const KNOWN_INSTANCES: [&str; 2] = ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"];
/// When `ada` completed the first of them: 2026-03-15T14:30:00Z.
const KNOWN_COMPLETION: Timestamp = Timestamp::from_millis(1_773_585_000_000);

/// Heading, and under it titles with the hours that they take.
type Section = (&'static str, &'static [(&'static str, i32)]);

const SECTIONS: [Section; 12] = [
    ("Algorithms in a Week", &[("Sorting and Searching", 3), ("Quicksort in Depth", 2), ("Walking Graphs", 4)]),
    (
        "Programming",
        &[
            ("Introduction to Programming", 80),
            ("Systematic Program Design", 110),
            ("Object-Oriented Design", 90),
            ("Functional Programming", 70),
            ("Programming Languages", 66),
            ("Testing and Debugging", 24),
        ],
    ),
    (
        "Mathematics",
        &[
            ("Calculus I", 90),
            ("Calculus II", 90),
            ("Linear Algebra", 75),
            ("Discrete Mathematics", 65),
            ("Probability", 80),
            ("Statistics for Engineers", 48),
        ],
    ),
    (
        "Tools",
        &[
            ("The Command Line", 12),
            ("Version Control", 8),
            ("Editors and Debuggers", 10),
            ("Build Systems", 14),
            ("Writing for Engineers", 9),
        ],
    ),
    (
        "Systems",
        &[
            ("Computer Organization", 70),
            ("From Gates to a Computer", 60),
            ("Operating Systems", 100),
            ("Computer Networks", 64),
            ("Compilers", 90),
            ("Performance Engineering", 40),
        ],
    ),
    (
        "Theory",
        &[
            ("Divide and Conquer", 24),
            ("Graph Search and Shortest Paths", 24),
            ("Greedy Algorithms and Dynamic Programming", 24),
            ("Computability and Complexity", 55),
            ("Formal Languages", 38),
        ],
    ),
    (
        "Security",
        &[
            ("Foundations of Security", 20),
            ("Cryptography I", 42),
            ("Secure Coding Practices", 28),
            ("Threat Modelling", 12),
        ],
    ),
    (
        "Data",
        &[
            ("Relational Databases", 45),
            ("Query Optimization", 30),
            ("Data Modelling", 22),
            ("Streams and Queues", 26),
            ("Information Retrieval", 34),
        ],
    ),
    (
        "Machine Learning",
        &[
            ("Learning from Data", 60),
            ("Neural Networks", 50),
            ("Natural Language Processing", 54),
            ("Computer Vision", 54),
        ],
    ),
    (
        "The Web",
        &[
            ("How the Web Works", 16),
            ("Web Accessibility", 12),
            ("Interfaces with Types", 20),
            ("APIs with GraphQL", 14),
            ("Service Operations", 28),
        ],
    ),
    (
        "Graphics and Games",
        &[("Computer Graphics", 60), ("Real-Time Rendering", 48), ("Game Physics", 30), ("Level Design", 18)],
    ),
    (
        "Practice",
        &[
            ("Software Architecture", 20),
            ("Code Review", 6),
            ("Open-Source Contribution", 30),
            ("Ethics of Software", 14),
            ("Capstone Project", 160),
        ],
    ),
];

/// Key, title, description; the sections it takes whole, and places within other sections that it borrows.
type Plan = (&'static str, &'static str, &'static str, &'static [usize], &'static [(usize, usize)]);

const PLANS: [Plan; 12] = [
    (KNOWN_PLAN, "Algorithms in a Week", "Three lessons, one week.", &[0], &[]),
    (
        "first-steps",
        "First Steps in Programming",
        "From the first line to small programs.",
        &[3],
        &[(1, 0), (1, 1), (1, 5)],
    ),
    ("core-computing", "Core Computing", "What every programmer should have seen once.", &[1, 4], &[(2, 3), (5, 0)]),
    ("mathematics", "Mathematics for Computing", "From limits to estimators.", &[2], &[]),
    ("algorithms", "Algorithms", "Design, analysis, limits.", &[5], &[(2, 3), (0, 1)]),
    (
        "systems-engineer",
        "Systems Engineer",
        "From gates to networks, and how to make them fast.",
        &[4],
        &[(3, 0), (3, 3), (7, 3)],
    ),
    ("security-basics", "Security Basics", "Think like those you defend against.", &[6], &[(4, 3), (1, 5)]),
    ("data-engineer", "Data Engineer", "Store it, find it, move it.", &[7], &[(2, 4), (3, 1), (5, 1)]),
    (
        "machine-learning",
        "Machine Learning",
        "Models, and the mathematics under them.",
        &[8],
        &[(2, 2), (2, 4), (2, 5), (1, 0)],
    ),
    ("web-developer", "Web Developer", "Interfaces that everybody can use.", &[9], &[(3, 1), (7, 0), (6, 2)]),
    ("game-developer", "Game Developer", "Pictures, motion, fun.", &[10], &[(2, 2), (1, 2), (4, 5)]),
    ("finishing", "Finishing", "The last year: judgement and a project of your own.", &[11], &[(3, 4), (9, 4)]),
];

const NOTES: [&str; 6] = [
    "Great explanation of quicksort!",
    "Do the exercises before watching the second half.",
    "Came back to this after the project; it made more sense then.",
    "Skip chapter 4 at first.",
    "The problem set is worth the time.",
    "Ask about the proof of the last lemma.",
];

/// How a user learns.
#[derive(Debug, Clone)]
pub(super) enum Study {
    /// Two instances of one plan, one resource complete: what existing clients' examples tell of.
    Known,
    /// Instances of these plans (places in the catalogue), with how much of each is done, in percent.
    Plans(Vec<(usize, i64)>),
}

/// The resources and study plans of the demo catalogue.
#[derive(Debug)]
pub(super) struct Learning {
    resources: Vec<resource::Model>,
    plans: Vec<(plan::Model, Vec<i64>)>,
}

/// The resources and study plans as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Learning {
    let at = days(day, -450);
    let mut dice = Dice::new("learning", 0);
    let mut sections: Vec<Vec<i64>> = Vec::new();
    let mut resources = Vec::new();
    for (section, titles) in SECTIONS {
        let mut ids = Vec::new();
        for (title, hours) in titles {
            let id = number(resources.len()) + 1;
            let key = KNOWN_KEYS.get(resources.len()).map_or_else(|| dice.hex24(at), |key| (*key).to_owned());
            ids.push(id);
            resources.push(resource::Model {
                id,
                external_id: key.clone(),
                key,
                title: (*title).to_owned(),
                kind: if *hours < 10 { "lesson" } else { "course" }.to_owned(),
                section: Some(section.to_owned()),
                url: None,
                description: String::new(),
                estimated_minutes: Some(hours * 60),
                catalogued: true,
                created_at: at,
                updated_at: at,
                retired_at: None,
            });
        }
        sections.push(ids);
    }
    let plans = PLANS.iter().zip(1..).map(|((key, title, description, whole, borrowed), id)| {
        let row = plan::Model {
            id,
            key: (*key).to_owned(),
            title: (*title).to_owned(),
            description: (*description).to_owned(),
            created_at: at,
            updated_at: at,
            retired_at: None,
        };
        let borrowed = borrowed.iter().map(|(section, place)| sections[*section][*place]);
        let whole = whole.iter().flat_map(|section| sections[*section].iter().copied());
        (row, borrowed.chain(whole).collect())
    });
    Learning { plans: plans.collect(), resources }
}

impl Learning {
    /// Adds the resources and plans to the catalogue's rows.
    pub(super) fn insert(&self, rows: &mut Rows) {
        rows.resources.extend(self.resources.iter().cloned());
        for (plan, resources) in &self.plans {
            rows.plans.push(plan.clone());
            rows.plan_resources.extend(resources.iter().zip(1..).map(|(resource_id, position)| plan_resource::Model {
                plan_id: plan.id,
                position,
                resource_id: *resource_id,
            }));
        }
    }

    /// How many plans there are.
    pub(super) const fn len(&self) -> usize {
        self.plans.len()
    }

    /// The place of the plan with this key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.plans.iter().position(|(plan, _)| plan.key == key)
    }

    /// Lets the user of `page` learn.
    pub(super) fn learn(&self, page: &mut Page<'_>, study: &Study, dice: &mut Dice) {
        match study {
            Study::Known => self.learn_what_is_known(page, dice),
            Study::Plans(plans) => {
                let mut touched = BTreeSet::new();
                for ((place, done), seq) in plans.iter().zip(1..) {
                    self.follow(page, *place, *done, seq, &mut touched, dice);
                }
            }
        }
    }

    fn learn_what_is_known(&self, page: &mut Page<'_>, dice: &mut Dice) {
        let Some((plan, resources)) = self.plans.first() else { return };
        for ((external_id, seq), days_before) in KNOWN_INSTANCES.into_iter().zip(1..).zip([14, 7]) {
            let created_at = days(KNOWN_COMPLETION, -days_before);
            self.begin(page, plan, resources, seq, external_id.to_owned(), created_at);
        }
        let completed = resources.first().copied();
        let mut own = page.rows.instance_resources.iter_mut().rev().take(2 * resources.len());
        if let Some(resource) = own.find(|row| row.instance_seq == 1 && Some(row.resource_id) == completed) {
            resource.marked_at = Some(KNOWN_COMPLETION);
        }
        if let Some(resource_id) = completed {
            self.complete(page, resource_id, KNOWN_COMPLETION, Some(1), (95, ""), dice);
        }
    }

    /// Adds an instance with nothing marked.
    fn begin(
        &self,
        page: &mut Page<'_>,
        plan: &plan::Model,
        resources: &[i64],
        seq: i64,
        external_id: String,
        created_at: Timestamp,
    ) {
        let user_id = page.id();
        page.rows.instances.push(instance::Model {
            user_id,
            seq,
            external_id,
            plan_id: plan.id,
            title: plan.title.clone(),
            created_at,
            updated_at: created_at,
        });
        page.rows.instance_resources.extend(resources.iter().zip(1..).map(|(resource_id, position)| {
            instance_resource::Model {
                user_id,
                instance_seq: seq,
                position,
                resource_id: *resource_id,
                marked_at: None,
            }
        }));
        let changes = json!({ "instance": seq, "resources": resources.len() });
        page.tell(created_at, HistoryKind::InstanceCreated, Actor::Themselves, "study_plan", &plan.key, changes);
    }

    /// Begins an instance of a plan and does a part of it. Resources in `touched` have progress from another instance.
    fn follow(
        &self,
        page: &mut Page<'_>,
        place: usize,
        percent: i64,
        seq: i64,
        touched: &mut BTreeSet<i64>,
        dice: &mut Dice,
    ) {
        let Some((plan, resources)) = self.plans.get(place) else { return };
        let joined = page.person.joined_at.plus_seconds(3600);
        let created_at = joined.plus_millis(dice.below(page.day.millis_since(joined) / 2));
        let first_row = page.rows.instance_resources.len();
        self.begin(page, plan, resources, seq, dice.hex24(created_at), created_at);

        let done = resources.len() * usize::try_from(percent.clamp(0, 100)).unwrap_or_default() / 100;
        let times = dice.instants(resources.len(), created_at.plus_millis(1), page.day);
        let mut updated_at = created_at;
        for ((resource_id, at), position) in resources.iter().zip(times).zip(0..) {
            if !touched.insert(*resource_id) {
                continue;
            }
            if position < done {
                // Most are completed through the instance, some without one.
                let through = dice.chance(85).then_some(seq);
                let minutes = dice.between(30, 2000);
                let notes = if dice.chance(15) { dice.pick(&NOTES) } else { "" };
                self.complete(page, *resource_id, at, through, (minutes, notes), dice);
                if through.is_some() {
                    page.rows.instance_resources[first_row + position].marked_at = Some(at);
                    updated_at = at;
                }
            } else if position == done || dice.chance(10) {
                self.work_on(page, *resource_id, at, dice);
            }
        }
        if let Some(instance) = page.rows.instances.last_mut() {
            instance.updated_at = updated_at;
        }
    }

    fn complete(
        &self,
        page: &mut Page<'_>,
        resource_id: i64,
        at: Timestamp,
        through: Option<i64>,
        (minutes, notes): (i64, &str),
        dice: &mut Dice,
    ) {
        let changes = through.map_or_else(|| json!({}), |instance| json!({ "instance": instance }));
        self.tell(page, resource_id, at, HistoryKind::ResourceCompleted, changes);
        page.rows.resource_progress.push(progress::Model {
            user_id: page.id(),
            resource_id,
            external_id: dice.hex24(at),
            completed: true,
            progress: 100,
            time_spent_minutes: i32::try_from(minutes).unwrap_or(i32::MAX),
            notes: notes.to_owned(),
            completed_at: Some(at),
            last_accessed_at: at,
            created_at: at,
            updated_at: at,
        });
    }

    fn work_on(&self, page: &mut Page<'_>, resource_id: i64, at: Timestamp, dice: &mut Dice) {
        let progress = dice.between(5, 95);
        let minutes = dice.between(10, 600);
        let changes = json!({ "progress": progress, "timeSpentMinutes": minutes });
        self.tell(page, resource_id, at, HistoryKind::ResourceProgress, changes);
        page.rows.resource_progress.push(progress::Model {
            user_id: page.id(),
            resource_id,
            external_id: dice.hex24(at),
            completed: false,
            progress: i16::try_from(progress).unwrap_or_default(),
            time_spent_minutes: i32::try_from(minutes).unwrap_or_default(),
            notes: String::new(),
            completed_at: None,
            last_accessed_at: at,
            created_at: at,
            updated_at: at,
        });
    }

    fn tell(&self, page: &mut Page<'_>, resource: i64, at: Timestamp, kind: HistoryKind, changes: serde_json::Value) {
        let place = usize::try_from(resource - 1).unwrap_or_default();
        if let Some(resource) = self.resources.get(place) {
            page.tell(at, kind, Actor::Themselves, "resource", &resource.key, changes);
        }
    }
}

fn number(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_plans_share_resources_and_hold_none_twice() {
        let learning = catalogue(Timestamp::from_millis(1_780_000_000_000));
        assert_eq!(learning.len(), 12);
        let total: usize = learning.plans.iter().map(|(_, resources)| resources.len()).sum();
        let distinct: BTreeSet<_> = learning.plans.iter().flat_map(|(_, resources)| resources).collect();
        assert!(distinct.len() < total && distinct.len() == learning.resources.len());
        for (plan, resources) in &learning.plans {
            assert_eq!(resources.iter().collect::<BTreeSet<_>>().len(), resources.len(), "{}", plan.key);
        }
    }

    #[test]
    fn the_known_plan_holds_the_known_resources() {
        let learning = catalogue(Timestamp::from_millis(1_780_000_000_000));
        let (_, resources) = &learning.plans[learning.place(KNOWN_PLAN).unwrap()];
        let keys: Vec<_> = learning
            .resources
            .iter()
            .filter(|resource| resources.contains(&resource.id))
            .map(|resource| &resource.key)
            .collect();
        assert_eq!(keys, KNOWN_KEYS.iter().collect::<Vec<_>>());
        assert_eq!(KNOWN_COMPLETION.to_string(), "2026-03-15T14:30:00.000Z");
    }
}
