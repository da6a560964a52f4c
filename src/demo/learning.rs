//! Demo resources and study plans, and how users learn with them.

use std::collections::BTreeSet;

use serde_json::json;

use super::dice::Dice;
use super::page::{Actor, Page};
use super::{at, days};
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::{InstanceResource, Record, Resource, ResourceProgress, StudyPlan, StudyPlanInstance};
use waymark_vocabulary::HistoryKind;

/// The resources that existing clients know, and the plan that holds them.
const KNOWN_KEYS: [&str; 3] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"];
const KNOWN_PLAN: &str = "algorithms-in-a-week";
const KNOWN_INSTANCES: [&str; 2] = ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"];
/// When `ada` completed the first of them: 2026-03-15T14:30:00Z.
pub(super) const KNOWN_COMPLETION: Timestamp = Timestamp::from_millis(1_773_585_000_000);

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
    resources: Vec<Resource>,
    plans: Vec<StudyPlan>,
}

/// The resources and study plans as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Learning {
    let made_at = days(day, -450);
    let mut dice = Dice::new("learning", 0);
    let mut sections: Vec<Vec<String>> = Vec::new();
    let mut resources = Vec::new();
    for (section, titles) in SECTIONS {
        let mut keys = Vec::new();
        for (title, hours) in titles {
            let key = KNOWN_KEYS.get(resources.len()).map_or_else(|| dice.hex24(made_at), |key| (*key).to_owned());
            keys.push(key.clone());
            resources.push(Resource {
                retired_at: None,
                external_id: Some(key.clone()),
                key,
                title: (*title).to_owned(),
                kind: if *hours < 10 { "lesson" } else { "course" }.to_owned(),
                section: Some(section.to_owned()),
                url: None,
                description: String::new(),
                estimated_minutes: Some(hours * 60),
                catalogued: true,
                created_at: at(made_at),
                updated_at: at(made_at),
            });
        }
        sections.push(keys);
    }
    let plans = PLANS.iter().map(|(key, title, description, whole, borrowed)| {
        let borrowed = borrowed.iter().map(|(section, place)| &sections[*section][*place]);
        let whole = whole.iter().flat_map(|section| &sections[*section]);
        StudyPlan {
            retired_at: None,
            key: (*key).to_owned(),
            title: (*title).to_owned(),
            description: (*description).to_owned(),
            resources: borrowed.chain(whole).cloned().collect(),
            created_at: at(made_at),
            updated_at: at(made_at),
        }
    });
    Learning { plans: plans.collect(), resources }
}

impl Learning {
    /// The records of the resources and plans.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let resources = self.resources.iter().cloned().map(Record::Resource);
        resources.chain(self.plans.iter().cloned().map(Record::StudyPlan))
    }

    /// How many plans there are.
    pub(super) const fn len(&self) -> usize {
        self.plans.len()
    }

    /// The place of the plan with this key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.plans.iter().position(|plan| plan.key == key)
    }

    /// Lets the user of `page` learn.
    pub(super) fn learn(&self, page: &mut Page<'_>, study: &Study, dice: &mut Dice) {
        match study {
            Study::Known => self.learn_what_is_known(page, dice),
            Study::Plans(plans) => {
                let mut touched = BTreeSet::new();
                for ((place, done), number) in plans.iter().zip(1..) {
                    self.follow(page, *place, *done, number, &mut touched, dice);
                }
            }
        }
    }

    fn learn_what_is_known(&self, page: &mut Page<'_>, dice: &mut Dice) {
        let Some(plan) = self.plans.first() else { return };
        for ((external_id, number), days_before) in KNOWN_INSTANCES.into_iter().zip(1..).zip([14, 7]) {
            let created_at = days(KNOWN_COMPLETION, -days_before);
            let mut instance = begin(page, plan, number, external_id.to_owned(), created_at);
            if let (1, Some(resource)) = (number, instance.resources.iter_mut().flatten().next()) {
                resource.marked_at = at(KNOWN_COMPLETION);
            }
            page.records.push(Record::StudyPlanInstance(instance));
        }
        if let Some(resource) = plan.resources.first() {
            complete(page, resource, KNOWN_COMPLETION, Some(1), (95, ""), dice);
        }
    }

    /// Begins an instance of a plan and does a part of it. Resources in `touched` have progress from another instance.
    fn follow<'a>(
        &'a self,
        page: &mut Page<'_>,
        place: usize,
        percent: i64,
        number: i64,
        touched: &mut BTreeSet<&'a str>,
        dice: &mut Dice,
    ) {
        let Some(plan) = self.plans.get(place) else { return };
        let joined = page.person.joined_at.plus_seconds(3600);
        let created_at = joined.plus_millis(dice.below(page.day.millis_since(joined) / 2));
        let mut instance = begin(page, plan, number, dice.hex24(created_at), created_at);

        let done = plan.resources.len() * usize::try_from(percent.clamp(0, 100)).unwrap_or_default() / 100;
        let times = dice.instants(plan.resources.len(), created_at.plus_millis(1), page.day);
        for ((resource, now), position) in plan.resources.iter().zip(times).zip(0..) {
            if !touched.insert(resource) {
                continue;
            }
            if position < done {
                // Most are completed through the instance, some without one.
                let through = dice.chance(85).then_some(number);
                let minutes = dice.between(30, 2000);
                let notes = if dice.chance(15) { dice.pick(&NOTES) } else { "" };
                complete(page, resource, now, through, (minutes, notes), dice);
                let own = instance.resources.iter_mut().flatten().nth(position);
                if let (Some(_), Some(own)) = (through, own) {
                    own.marked_at = at(now);
                    instance.updated_at = at(now);
                }
            } else if position == done || dice.chance(10) {
                work_on(page, resource, now, dice);
            }
        }
        page.records.push(Record::StudyPlanInstance(instance));
    }
}

/// An instance with nothing marked.
fn begin(
    page: &mut Page<'_>,
    plan: &StudyPlan,
    number: i64,
    external_id: String,
    created_at: Timestamp,
) -> StudyPlanInstance {
    let changes = json!({ "instance": number, "resources": plan.resources.len() });
    page.tell(created_at, HistoryKind::InstanceCreated, Actor::Themselves, "study_plan", &plan.key, changes);
    let resources = plan.resources.iter().map(|key| InstanceResource { resource: key.clone(), marked_at: None });
    StudyPlanInstance {
        user: page.ulid.clone(),
        number: Some(number),
        external_id: Some(external_id),
        plan: plan.key.clone(),
        title: Some(plan.title.clone()),
        resources: Some(resources.collect()),
        created_at: at(created_at),
        updated_at: at(created_at),
    }
}

fn complete(
    page: &mut Page<'_>,
    resource: &str,
    now: Timestamp,
    through: Option<i64>,
    (minutes, notes): (i64, &str),
    dice: &mut Dice,
) {
    let changes = through.map_or_else(|| json!({}), |instance| json!({ "instance": instance }));
    page.tell(now, HistoryKind::ResourceCompleted, Actor::Themselves, "resource", resource, changes);
    let done =
        ResourceProgress { completed: true, completed_at: at(now), notes: notes.to_owned(), ..progress(100, minutes) };
    add(page, resource, now, done, dice);
}

fn work_on(page: &mut Page<'_>, resource: &str, now: Timestamp, dice: &mut Dice) {
    let percent = dice.between(5, 95);
    let minutes = dice.between(10, 600);
    let changes = json!({ "progress": percent, "timeSpentMinutes": minutes });
    page.tell(now, HistoryKind::ResourceProgress, Actor::Themselves, "resource", resource, changes);
    add(page, resource, now, progress(percent, minutes), dice);
}

/// How far somebody is with a resource; who, with which and when is still to be said.
fn progress(percent: i64, minutes: i64) -> ResourceProgress {
    ResourceProgress {
        user: String::new(),
        resource: String::new(),
        external_id: None,
        completed: false,
        progress: i16::try_from(percent).unwrap_or_default(),
        time_spent_minutes: i32::try_from(minutes).unwrap_or(i32::MAX),
        notes: String::new(),
        completed_at: None,
        last_accessed_at: None,
        created_at: None,
        updated_at: None,
    }
}

/// Adds what was done with a resource at `now`.
fn add(page: &mut Page<'_>, resource: &str, now: Timestamp, done: ResourceProgress, dice: &mut Dice) {
    page.records.push(Record::ResourceProgress(ResourceProgress {
        user: page.ulid.clone(),
        resource: resource.to_owned(),
        external_id: Some(dice.hex24(now)),
        last_accessed_at: at(now),
        created_at: at(now),
        updated_at: at(now),
        ..done
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_plans_share_resources_and_hold_none_twice() {
        let learning = catalogue(Timestamp::from_millis(1_780_000_000_000));
        assert_eq!(learning.len(), 12);
        let total: usize = learning.plans.iter().map(|plan| plan.resources.len()).sum();
        let distinct: BTreeSet<_> = learning.plans.iter().flat_map(|plan| &plan.resources).collect();
        assert!(distinct.len() < total && distinct.len() == learning.resources.len());
        for plan in &learning.plans {
            assert_eq!(plan.resources.iter().collect::<BTreeSet<_>>().len(), plan.resources.len(), "{}", plan.key);
        }
    }

    #[test]
    fn the_known_plan_holds_the_known_resources() {
        let learning = catalogue(Timestamp::from_millis(1_780_000_000_000));
        assert_eq!(learning.plans[learning.place(KNOWN_PLAN).unwrap()].resources, KNOWN_KEYS);
        assert_eq!(KNOWN_COMPLETION.to_string(), "2026-03-15T14:30:00.000Z");
    }
}
