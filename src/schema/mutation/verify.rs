//! Looking for what does not follow from its source, and mending it.

use async_graphql::{ID, InputObject, SimpleObject};

use super::pipeline::subject;
use waymark_auth::policy;
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_kinds::users::graphql::UserBy;
use waymark_request::Request;
use waymark_verify::{Difference as Found, Report, Step, Whose};
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

/// What was found: part of the payloads of `verify` and `repair`.
#[derive(Debug, Default, SimpleObject)]
pub(crate) struct Findings {
    /// How many users were looked at.
    users_checked: i32,
    /// How many differences were not mended: all, or those whose source is wrong itself; 0 when everything is right.
    difference_count: i32,
    /// Every check with what it found and mended.
    checks: List<CheckCount>,
    /// The first 100 differences that were not mended.
    differences: List<Difference>,
    /// Whether there are more differences, mended or left, than are named here.
    truncated: bool,
    /// What was refused: `UNKNOWN_USER` when there is no such user. Everything else is answered with an error.
    user_errors: List<Refusal>,
}

/// Payload of `verify`.
#[derive(Debug, Default, SimpleObject)]
pub(crate) struct VerifyPayload {
    #[graphql(flatten)]
    found: Findings,
}

/// Payload of `repair`.
#[derive(Debug, Default, SimpleObject)]
pub(crate) struct RepairPayload {
    #[graphql(flatten)]
    found: Findings,
    /// How many differences were mended.
    mended_count: i32,
    /// The first 100 differences that were mended, as they were before.
    mended: List<Difference>,
}

mutations! {
    /// Verifying and repairing.
    VerifyMutation;

    /// Checks whether every summary, balance and counter follows from its source, and lists the differences. Changes
    /// nothing, and may run while others write. A large database takes longer than a request may: `waymark verify` has
    /// no time limit. For API keys with the scope admin. Null with an error when it failed.
    verify: by_itself(VerifyInput, "What is checked.") -> VerifyPayload;

    /// Mends what `verify` finds, as far as it follows from a source: summaries, counts, budgets, what is left of lots,
    /// dates of completions, missing awards. Unlocks, entries of the ledger and events are sources and are never
    /// changed. Doing it again is harmless. For API keys with the scope admin; what was mended stands in the audit log.
    /// Null with an error when it failed; what was mended by then stays mended.
    repair: by_itself(RepairInput, "What is checked and mended.") -> RepairPayload;
}

impl VerifyInput {
    async fn answer(self, request: &Request) -> Result<VerifyPayload> {
        policy::operate(&request.caller)?;
        let Some(whose) = whose(request, self.user).await? else {
            return Ok(VerifyPayload { found: Findings::nobody() });
        };
        let mut left = Vec::new();
        let mut note = |step: &Step| keep(&step.differences, &mut left);
        let report = request.verifier.verify(whose, request.now(), &mut note).await?;
        Ok(VerifyPayload { found: Findings::of(&report, 0, left) })
    }
}

impl RepairInput {
    async fn answer(self, request: &Request) -> Result<RepairPayload> {
        let operator = policy::operate(&request.caller)?;
        let Some(whose) = whose(request, self.user).await? else {
            return Ok(RepairPayload { found: Findings::nobody(), ..RepairPayload::default() });
        };
        let (mut mended, mut left) = (Vec::new(), Vec::new());
        let mut note = |step: &Step| {
            keep(&step.mended, &mut mended);
            keep(&step.differences, &mut left);
        };
        let report = request.verifier.repair(operator, whose, &request.order(None), &mut note).await?;
        let found = Findings::of(&report, mended.len(), left);
        Ok(RepairPayload { found, mended_count: int(report.mended()), mended: mended.into() })
    }
}

/// Returns whose data is looked at; `None` when there is no such user.
async fn whose(request: &Request, by: Option<UserBy>) -> Result<Option<Whose>> {
    if by.is_none() {
        return Ok(Some(Whose::All));
    }
    Ok(subject(request, by).await?.map(|user| Whose::User(user.subject.id.0)))
}

impl Findings {
    /// Of a report, with the differences that are left; others were mended and are named elsewhere.
    fn of(report: &Report, mended: usize, left: Vec<Difference>) -> Self {
        Self {
            users_checked: int(report.users),
            difference_count: int(report.found() - report.mended()),
            checks: counts(report).into(),
            truncated: report.found() > (mended + left.len()) as u64,
            differences: left.into(),
            user_errors: List::default(),
        }
    }

    /// Of a user who does not exist.
    fn nobody() -> Self {
        Self { user_errors: vec![Refusal::unknown_user("user")].into(), ..Self::default() }
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
