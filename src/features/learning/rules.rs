//! What a write does to a resource's completion, and how far a study plan has come.

use async_graphql::Enum;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::text::is_unprintable;

/// The most characters that notes may have.
pub const MAX_NOTES_CHARACTERS: usize = 10_000;

/// The most items that one bulk write may have.
pub const MAX_BULK_ITEMS: usize = 1_000;

/// The most characters that the title of a study plan instance may have.
pub const MAX_TITLE_CHARACTERS: usize = 500;

/// Whether and since when a resource is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredCompletion {
    /// Whether the user has completed it. Independent of the percentage of progress.
    pub completed: bool,
    /// When it was completed; `None` while it is not.
    pub completed_at: Option<Timestamp>,
}

/// The completion after a write at `now`: `stored` is the row before it, if there was one, and `requested` what the
/// write says about it, if anything. Completing again keeps the date.
#[must_use]
pub fn transition(stored: Option<StoredCompletion>, requested: Option<bool>, now: Timestamp) -> StoredCompletion {
    let stored = stored.unwrap_or_default();
    match (stored.completed, requested) {
        (true, None | Some(true)) => stored,
        (false, Some(true)) => StoredCompletion { completed: true, completed_at: Some(now) },
        (_, Some(false)) | (false, None) => StoredCompletion::default(),
    }
}

/// What a write does to the marks (`completedResources`) of the user's study plan instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkChange {
    /// Nothing.
    Keep,
    /// Marks the resource in the instance that the write goes through, also when the resource was complete before.
    Mark,
    /// Removes the mark from every instance of the user.
    UnmarkEverywhere,
}

/// What a write does to the marks. `in_instance` says that it goes through an instance whose plan has the resource;
/// bulk writes go through none.
#[must_use]
pub const fn mark_change(requested: Option<bool>, in_instance: bool) -> MarkChange {
    match requested {
        Some(true) if in_instance => MarkChange::Mark,
        Some(false) => MarkChange::UnmarkEverywhere,
        Some(true) | None => MarkChange::Keep,
    }
}

/// Whether `key` is an id of 24 hexadecimal digits, which progress may be kept for even when the catalogue does not
/// know it.
#[must_use]
pub fn is_external_id(key: &str) -> bool {
    key.len() == 24 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Which part of a progress write is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidProgress {
    /// The percentage is not between 0 and 100.
    Progress,
    /// The time spent is negative or more than can be stored.
    TimeSpent,
    /// The notes have more than [`MAX_NOTES_CHARACTERS`] characters, or one that cannot be stored: NUL.
    Notes,
}

/// Checks the parts of a progress write that are given: percent, minutes and notes.
///
/// # Errors
/// Names the first part that is out of its range.
pub fn check_progress(
    progress: Option<i64>,
    time_spent_minutes: Option<i64>,
    notes: Option<&str>,
) -> Result<(), InvalidProgress> {
    if progress.is_some_and(|percent| !(0..=100).contains(&percent)) {
        return Err(InvalidProgress::Progress);
    }
    if time_spent_minutes.is_some_and(|minutes| !(0..=i64::from(i32::MAX)).contains(&minutes)) {
        return Err(InvalidProgress::TimeSpent);
    }
    if notes.is_some_and(|notes| notes.chars().nth(MAX_NOTES_CHARACTERS).is_some() || notes.contains('\0')) {
        return Err(InvalidProgress::Notes);
    }
    Ok(())
}

/// Whether `title` can be the title of a study plan instance: 1 to [`MAX_TITLE_CHARACTERS`] printable characters, not
/// only spaces.
#[must_use]
pub fn is_title(title: &str) -> bool {
    !title.trim().is_empty() && title.chars().nth(MAX_TITLE_CHARACTERS).is_none() && !title.chars().any(is_unprintable)
}

/// How far a study plan instance has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[graphql(name = "StudyPlanInstanceStatus")]
pub enum InstanceStatus {
    /// No resource is complete.
    NotStarted,
    /// Some resources are complete.
    InProgress,
    /// All resources are complete.
    Completed,
}

/// How far an instance has come whose plan has `total` resources, of which the user has completed `done`.
#[must_use]
pub const fn instance_status(done: u64, total: u64) -> InstanceStatus {
    if done == 0 || total == 0 {
        InstanceStatus::NotStarted
    } else if done < total {
        InstanceStatus::InProgress
    } else {
        InstanceStatus::Completed
    }
}

/// `done` of `total` in percent, rounded down: 100 only when all is done, 0 when there is nothing to do.
#[must_use]
pub fn percent(done: u64, total: u64) -> u8 {
    if total == 0 {
        return 0;
    }
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    u8::try_from(percent).unwrap_or(100)
}

/// The part of a study plan that is done, weighed by estimated minutes, in percent, rounded down. Each item says
/// whether it is done and its estimate; one without weighs nothing, and when nothing weighs anything, all weigh the
/// same. 100 only when every item is done, 0 when there is none.
#[must_use]
pub fn percent_by_minutes(items: impl Iterator<Item = (bool, Option<u32>)>) -> u8 {
    let (mut done, mut total) = (0_u64, 0_u64);
    let (mut done_minutes, mut total_minutes) = (0_u64, 0_u64);
    for (is_done, minutes) in items {
        let minutes = u64::from(minutes.unwrap_or(0));
        total = total.saturating_add(1);
        total_minutes = total_minutes.saturating_add(minutes);
        if is_done {
            done = done.saturating_add(1);
            done_minutes = done_minutes.saturating_add(minutes);
        }
    }
    if total_minutes == 0 || done == total {
        return percent(done, total);
    }
    // What is not done may weigh nothing.
    percent(done_minutes, total_minutes).min(99)
}

/// How long notes may be, in characters.
const LONGEST_NOTES: usize = 10_000;

/// The notes of two people about one resource who are one: both, as far as there is room.
#[must_use]
pub fn joined_notes(own: &str, other: &str) -> String {
    if own.is_empty() || own == other {
        return other.to_owned();
    }
    if other.is_empty() {
        return own.to_owned();
    }
    format!("{own}\n\n{other}").chars().take(LONGEST_NOTES).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: Timestamp = Timestamp::from_millis(1_000);
    const NOW: Timestamp = Timestamp::from_millis(2_000);
    const INCOMPLETE: StoredCompletion = StoredCompletion { completed: false, completed_at: None };

    fn complete(at: Timestamp) -> StoredCompletion {
        StoredCompletion { completed: true, completed_at: Some(at) }
    }

    #[test]
    fn completion_follows_the_table() {
        for (stored, requested, becomes) in [
            (None, Some(true), complete(NOW)),
            (None, Some(false), INCOMPLETE),
            (None, None, INCOMPLETE),
            (Some(INCOMPLETE), Some(true), complete(NOW)),
            (Some(INCOMPLETE), Some(false), INCOMPLETE),
            (Some(INCOMPLETE), None, INCOMPLETE),
            (Some(complete(BEFORE)), Some(true), complete(BEFORE)),
            (Some(complete(BEFORE)), None, complete(BEFORE)),
            (Some(complete(BEFORE)), Some(false), INCOMPLETE),
        ] {
            assert_eq!(transition(stored, requested, NOW), becomes, "{stored:?} {requested:?}");
        }
    }

    #[test]
    fn completing_again_after_taking_it_back_has_a_new_date() {
        let taken_back = transition(Some(complete(BEFORE)), Some(false), NOW);
        assert_eq!(transition(Some(taken_back), Some(true), NOW), complete(NOW));
    }

    #[test]
    fn marks_change_through_an_instance_or_by_taking_back() {
        assert_eq!(mark_change(Some(true), true), MarkChange::Mark);
        assert_eq!(mark_change(Some(true), false), MarkChange::Keep);
        for in_instance in [true, false] {
            assert_eq!(mark_change(Some(false), in_instance), MarkChange::UnmarkEverywhere);
            assert_eq!(mark_change(None, in_instance), MarkChange::Keep);
        }
    }

    #[test]
    fn progress_time_and_notes_have_their_ranges() {
        let longest = "é".repeat(MAX_NOTES_CHARACTERS);
        assert_eq!(check_progress(None, None, None), Ok(()));
        assert_eq!(check_progress(Some(0), Some(0), Some("")), Ok(()));
        assert_eq!(check_progress(Some(100), Some(i32::MAX.into()), Some(&longest)), Ok(()));
        for progress in [-1, 101, i64::MIN, i64::MAX] {
            assert_eq!(check_progress(Some(progress), None, None), Err(InvalidProgress::Progress));
        }
        for minutes in [-1, i64::MIN, i64::MAX] {
            assert_eq!(check_progress(None, Some(minutes), None), Err(InvalidProgress::TimeSpent));
        }
        for notes in [format!("{longest}!"), "a\0b".to_owned()] {
            assert_eq!(check_progress(None, None, Some(&notes)), Err(InvalidProgress::Notes));
        }
    }

    #[test]
    fn a_title_is_printable_and_not_too_long() {
        let longest = "é".repeat(MAX_TITLE_CHARACTERS);
        for title in ["My week", "ß", longest.as_str()] {
            assert!(is_title(title), "{title:?}");
        }
        for title in ["", "  ", "a\nb", "a\0", &format!("{longest}!")] {
            assert!(!is_title(title), "{title:?}");
        }
    }

    #[test]
    fn an_external_id_has_24_hexadecimal_digits() {
        assert!(is_external_id("507f1f77bcf86cd799439011") && is_external_id("507F1F77BCF86CD799439011"));
        for key in ["", "507f1f77bcf86cd79943901", "507f1f77bcf86cd7994390111", "507f1f77bcf86cd79943901g"] {
            assert!(!is_external_id(key), "{key:?}");
        }
    }

    #[test]
    fn an_instance_is_completed_when_all_of_something_is() {
        assert_eq!(instance_status(0, 0), InstanceStatus::NotStarted);
        assert_eq!(instance_status(0, 3), InstanceStatus::NotStarted);
        assert_eq!(instance_status(1, 3), InstanceStatus::InProgress);
        assert_eq!(instance_status(3, 3), InstanceStatus::Completed);
    }

    #[test]
    fn percent_is_rounded_down_and_zero_of_nothing() {
        for (done, total, expected) in
            [(0, 0, 0), (0, 3, 0), (1, 3, 33), (2, 3, 66), (3, 3, 100), (3, 5, 60), (999, 1000, 99), (1, 1000, 0)]
        {
            assert_eq!(percent(done, total), expected, "{done} of {total}");
        }
    }

    #[test]
    fn minutes_weigh_what_is_done() {
        let by_minutes = |items: &[(bool, Option<u32>)]| percent_by_minutes(items.iter().copied());
        assert_eq!(by_minutes(&[(true, Some(30)), (false, Some(60))]), 33);
        assert_eq!(by_minutes(&[(true, Some(30)), (true, Some(60))]), 100);
        assert_eq!(by_minutes(&[]), 0);
    }

    #[test]
    fn a_resource_without_an_estimate_weighs_nothing_but_must_be_done() {
        let by_minutes = |items: &[(bool, Option<u32>)]| percent_by_minutes(items.iter().copied());
        assert_eq!(by_minutes(&[(true, None), (false, Some(60))]), 0);
        assert_eq!(by_minutes(&[(false, None), (true, Some(60))]), 99);
        assert_eq!(by_minutes(&[(true, None), (true, Some(60))]), 100);
    }

    #[test]
    fn without_any_estimate_the_number_counts() {
        assert_eq!(percent_by_minutes([(true, None), (false, None)].into_iter()), 50);
        assert_eq!(percent_by_minutes([(true, Some(0)), (false, None)].into_iter()), 50);
    }

    proptest! {
        #[test]
        fn only_all_is_a_hundred(total in 1_u64.., done: u64) {
            prop_assert_eq!(percent(done, total) == 100, done >= total);
        }

        #[test]
        fn by_minutes_too_only_all_is_a_hundred(
            items in prop::collection::vec((any::<bool>(), prop::option::of(any::<u32>())), 1..20),
        ) {
            let all = items.iter().all(|(done, _)| *done);
            prop_assert_eq!(percent_by_minutes(items.into_iter()) == 100, all);
        }

        #[test]
        fn the_date_stands_exactly_with_the_completion(before: Option<bool>, requested: Option<bool>) {
            let stored = before.map(|done| if done { complete(BEFORE) } else { INCOMPLETE });
            let after = transition(stored, requested, NOW);
            prop_assert_eq!(after.completed, after.completed_at.is_some());
            prop_assert_eq!(transition(Some(after), requested, Timestamp::MAX), after);
        }
    }

    #[test]
    fn the_notes_of_two_who_are_one_stay_as_far_as_there_is_room() {
        assert_eq!(joined_notes("", "b"), "b");
        assert_eq!(joined_notes("a", ""), "a");
        assert_eq!(joined_notes("a", "a"), "a");
        assert_eq!(joined_notes("a", "b"), "a\n\nb");
        assert_eq!(joined_notes(&"ä".repeat(9_999), "bcd").chars().count(), 10_000);
    }
}
