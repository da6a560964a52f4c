//! What taking the records of the catalogue has in common. A record says all there is to say of its thing: what it
//! leaves out is set to its default.

use crate::records::At;
use waymark_auth::policy::Operator;
use waymark_write::{Origin, Retire, Telling};

/// Takes the records of one kind by what a feature does with them.
macro_rules! take {
    ($work:ident, $kind:ident, $take:ident, $told:expr) => {
        let records = $work.records($crate::import::only!($kind));
        if !records.is_empty() {
            let told: Vec<_> = records.iter().map(|(_, record, has_history)| $told(*record, *has_history)).collect();
            let taken = $take(&mut $work.unit, &told).await?;
            $work.note(records.iter().map(|(at, ..)| *at).zip(taken));
        }
    };
}
pub(crate) use take;

/// Whoever imports.
pub(crate) const OPERATOR: Operator = Operator::at_the_command_line();

/// Returns how a thing is told.
pub(crate) fn telling(has_history: bool, created_at: Option<At>, updated_at: Option<At>) -> Telling {
    let origin = if has_history { Origin::Restored } else { Origin::Told };
    Telling { origin, created_at: created_at.map(|at| at.0), updated_at: updated_at.map(|at| at.0) }
}

/// Returns since when a thing is retired.
pub(crate) fn retired(retired_at: Option<At>) -> Option<Retire> {
    Some(Retire::since(retired_at.map(|at| at.0)))
}
