//! How the pipeline reads the outcomes of use cases about one user.

use super::pipeline::Items;
use waymark_kinds::collections::write::{CardsChanged, RewardClaim};
use waymark_kinds::credits::write::{Blocked, Changed};
use waymark_kinds::games::write::Unlocked;
use waymark_kinds::learning::write::InstanceOutcome;
use waymark_kinds::seasons::write::{Claim, ClaimStatus, Corrected, Enrolled, StepsOutcome};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{ItemOutcome, Refusal, WriteStatus, refusals};

/// The outcome of a use case about one user.
pub(crate) trait Outcome: Sized {
    /// Returns what was refused, each with its place in the input. `field` is the list whose items are answered one by
    /// one.
    fn refusals(&self, field: &str) -> Vec<Refusal>;

    /// Makes the outcome of a write of which nothing was done for this reason.
    fn refused(refusal: &Refusal, items: &Items<'_>) -> Self;
}

/// Implements [`Outcome`] where a write is done as a whole or refused for one reason.
macro_rules! whole {
    ($($outcome:ty { $read:expr, $make:expr })+) => {
        $(impl Outcome for $outcome {
            fn refusals(&self, _: &str) -> Vec<Refusal> {
                let read: fn(&Self) -> Option<Refusal> = $read;
                read(self).into_iter().collect()
            }

            fn refused(refusal: &Refusal, _: &Items<'_>) -> Self {
                let make: fn(Refusal) -> Self = $make;
                make(refusal.clone())
            }
        })+
    };
}

/// Implements [`Outcome`] where a write has a result for each item of a list.
macro_rules! by_item {
    ($($outcome:ty { |$all:ident| $read:expr, |$items:ident| $make:expr })+) => {
        $(impl Outcome for $outcome {
            fn refusals(&self, field: &str) -> Vec<Refusal> {
                let $all = self;
                refusals(field, $read)
            }

            fn refused(refusal: &Refusal, items: &Items<'_>) -> Self {
                let $items = items.refused(refusal);
                $make
            }
        })+
    };
}

whole! {
    () { |()| None, |_| () }
    Changed {
        |one| one.refusal.clone(),
        |refusal| Self { status: WriteStatus::Refused, micros: 0, missing_micros: 0, lot: None, refusal: Some(refusal) }
    }
    Blocked { |one| one.refusal.clone(), |refusal| Self { blocks: Vec::new(), refusal: Some(refusal) } }
    Corrected {
        |one| one.refusal.clone(),
        |refusal| Self { status: WriteStatus::Refused, refusal: Some(refusal) }
    }
    Enrolled {
        |one| one.refusal.clone().map(|refusal| refusal.at(["seasonId"])),
        |refusal| Self { status: WriteStatus::Refused, season: None, refusal: Some(refusal) }
    }
    ItemOutcome { |one| one.error.clone(), |refusal| Self::refused("".into(), refusal) }
    InstanceOutcome {
        |one| match one {
            Self::Done(_) => None,
            Self::Refused(refusal) => Some(refusal.clone()),
        },
        Self::Refused
    }
    RewardClaim {
        |one| match one {
            Self::Claimed | Self::AlreadyClaimed => None,
            Self::Refused(refusal) => Some(refusal.clone()),
        },
        Self::Refused
    }
}

by_item! {
    Vec<ItemOutcome> { |all| all, |items| items.collect() }
    Vec<StepsOutcome> {
        |all| all.iter().map(|one| &one.item),
        |items| items.map(|item| StepsOutcome { item, recorded: None }).collect()
    }
    Unlocked { |all| &all.results, |items| Self { results: items.collect(), games: Vec::new() } }
    CardsChanged { |all| &all.results, |items| Self { results: items.collect(), collections: Vec::new() } }
}

impl Outcome for Vec<Refusal> {
    fn refusals(&self, _: &str) -> Vec<Refusal> {
        self.clone()
    }

    fn refused(refusal: &Refusal, _: &Items<'_>) -> Self {
        vec![refusal.clone()]
    }
}

impl Outcome for Vec<Claim> {
    fn refusals(&self, field: &str) -> Vec<Refusal> {
        let at = |(place, one): (usize, &Claim)| Some(one.refusal.clone()?.at([field.to_owned(), place.to_string()]));
        self.iter().enumerate().filter_map(at).collect()
    }

    fn refused(refusal: &Refusal, items: &Items<'_>) -> Self {
        let key = |item: &ItemOutcome| Kind::Goal.key_or_all(&item.id);
        let claim = |item| Claim { goal: key(&item), status: ClaimStatus::Refused, micros: None, refusal: item.error };
        items.refused(refusal).map(claim).collect()
    }
}
