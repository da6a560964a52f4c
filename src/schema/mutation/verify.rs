//! Looking for what does not follow from its source, and mending it.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::subject;
use waymark_auth::policy;
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users::graphql::UserBy;
use waymark_verify::{Difference as Found, Report, Whose};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;

/// How many differences an answer names.
const MOST_NAMED: usize = 100;

/// Input of `verify`.
#[derive(Debug, InputObject)]
pub(crate) struct VerifyInput {
    /// Only what belongs to this user; by default everything.
    user: Option<UserBy>,
}

/// Input of `repair`.
#[derive(Debug, InputObject)]
pub(crate) struct RepairInput {
    /// Only what belongs to this user; by default everything.
    user: Option<UserBy>,
}

/// A stored value that does not follow from its source.
#[derive(Debug, SimpleObject)]
pub(crate) struct Difference {
    /// The global id of the user it belongs to. Null when it belongs to no user, such as a budget.
    user_id: Option<ID>,
    /// The name of the check that found it, such as `credits.remaining`.
    check: String,
    /// What differs, for people.
    what: String,
    /// What is stored, for people.
    stored: String,
    /// What follows from the source, for people.
    expected: String,
}

/// The result of one check.
#[derive(Debug, SimpleObject)]
pub(crate) struct CheckCount {
    /// The name of the check, such as `credits.remaining`.
    check: String,
    /// How many differences it found.
    found: i32,
    /// How many of them were mended; 0 when nothing was to be mended.
    mended: i32,
}

/// Payload of `verify`.
#[derive(Debug, SimpleObject)]
pub(crate) struct VerifyPayload {
    /// How many users were looked at.
    users_checked: i32,
    /// How many differences there are; 0 when everything is right.
    difference_count: i32,
    /// Every check with what it found.
    checks: List<CheckCount>,
    /// The first 100 differences.
    differences: List<Difference>,
    /// Whether there are more differences than are named here.
    truncated: bool,
    /// Always empty: `verify` refuses nothing, and fails with an error.
    user_errors: List<Refusal>,
}

/// Payload of `repair`.
#[derive(Debug, SimpleObject)]
pub(crate) struct RepairPayload {
    /// How many users were looked at.
    users_checked: i32,
    /// How many differences were mended.
    mended_count: i32,
    /// How many differences are left, because their source is wrong itself.
    difference_count: i32,
    /// Every check with what it found and mended.
    checks: List<CheckCount>,
    /// The first 100 differences that were mended, as they were before.
    mended: List<Difference>,
    /// The first 100 differences that are left.
    differences: List<Difference>,
    /// Whether there are more differences, mended or left, than are named here.
    truncated: bool,
    /// Always empty: `repair` refuses nothing, and fails with an error.
    user_errors: List<Refusal>,
}

/// Verifying and repairing.
#[derive(Debug, Default)]
pub(crate) struct VerifyMutation;

#[Object]
impl VerifyMutation {
    /// Checks whether every summary, balance and counter follows from its source, and lists the differences. Changes
    /// nothing, and may run while others write. A large database takes longer than a request may: `waymark verify` has
    /// no time limit. For API keys with the scope admin. Null with an error when it failed.
    async fn verify(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What is checked.")] input: VerifyInput,
    ) -> Nullable<VerifyPayload> {
        present(async {
            let request = context.ask()?;
            policy::operate(&request.caller)?;
            let whose = whose(request, input.user).await?;
            let mut differences = Vec::new();
            let report = request
                .verifier
                .verify(whose, request.now(), &mut |step| keep(&step.differences, &mut differences))
                .await?;
            Ok(VerifyPayload {
                users_checked: int(report.users),
                difference_count: int(report.found()),
                checks: counts(&report).into(),
                truncated: report.found() > differences.len() as u64,
                differences: differences.into(),
                user_errors: List::default(),
            })
        })
        .await
    }

    /// Mends what `verify` finds, as far as it follows from a source: summaries, counts, budgets, what is left of lots,
    /// dates of completions, missing awards. Unlocks, entries of the ledger and events are sources and are never
    /// changed. Doing it again is harmless. For API keys with the scope admin; what was mended stands in the audit log.
    /// Null with an error when it failed; what was mended by then stays mended.
    async fn repair(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What is checked and mended.")] input: RepairInput,
    ) -> Nullable<RepairPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let whose = whose(request, input.user).await?;
            let (mut mended, mut differences) = (Vec::new(), Vec::new());
            let report = request
                .verifier
                .repair(operator, whose, &request.order(None), &mut |step| {
                    keep(&step.mended, &mut mended);
                    keep(&step.differences, &mut differences);
                })
                .await?;
            Ok(RepairPayload {
                users_checked: int(report.users),
                mended_count: int(report.mended()),
                difference_count: int(report.found() - report.mended()),
                checks: counts(&report).into(),
                truncated: report.found() > (mended.len() + differences.len()) as u64,
                mended: mended.into(),
                differences: differences.into(),
                user_errors: List::default(),
            })
        })
        .await
    }
}

async fn whose(request: &Request, by: Option<UserBy>) -> Result<Whose> {
    match by {
        Some(by) => Ok(Whose::User(subject(request, Some(by)).await?.subject.id.0)),
        None => Ok(Whose::All),
    }
}

/// Adds what there is room for.
fn keep(found: &[Found], kept: &mut Vec<Difference>) {
    let room = MOST_NAMED - kept.len();
    kept.extend(found.iter().take(room).map(|found| Difference {
        user_id: found.user.as_deref().map(|ulid| Kind::User.id(ulid)),
        check: found.check.clone(),
        what: found.what.clone(),
        stored: found.stored.clone(),
        expected: found.expected.clone(),
    }));
}

fn counts(report: &Report) -> Vec<CheckCount> {
    let counts = report.counts.iter().map(|count| CheckCount {
        check: count.check.to_owned(),
        found: int(count.found),
        mended: int(count.mended),
    });
    counts.collect()
}

fn int(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
