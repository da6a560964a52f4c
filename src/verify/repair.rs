//! Mending what does not follow from its source.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::acknowledged::ACTION;
use super::{Acknowledged, Check, Difference, Look, Report, Step, Verifier, Whose, all, names};
use waymark_auth::policy::Operator;
use waymark_kernel::error::Result;
use waymark_write::{Order, Unit, Write, audited};

impl Verifier {
    /// Looks for differences, mends those that can be mended, and tells each lot of users as it goes. Each lot is one
    /// transaction, so that writes for others go on meanwhile.
    ///
    /// # Errors
    /// When the database fails; what was mended by then stays mended.
    pub async fn repair(
        &self,
        operator: Operator,
        whose: Whose,
        order: &Order,
        told: &mut (dyn FnMut(&Step) + Send),
    ) -> Result<Report> {
        self.mend(operator, whose, order, None, told).await
    }

    /// Does the same, and acknowledges for this reason what cannot be mended: it counts as no difference from then on.
    ///
    /// # Errors
    /// Those of [`Verifier::repair`].
    pub async fn acknowledge(
        &self,
        operator: Operator,
        whose: Whose,
        order: &Order,
        reason: String,
        told: &mut (dyn FnMut(&Step) + Send),
    ) -> Result<Report> {
        self.mend(operator, whose, order, Some(reason), told).await
    }

    async fn mend(
        &self,
        operator: Operator,
        whose: Whose,
        order: &Order,
        reason: Option<String>,
        told: &mut (dyn FnMut(&Step) + Send),
    ) -> Result<Report> {
        // Before differences are looked for, which may take minutes.
        self.db.check_writes()?;
        let mut report = Report::new(self.checks);
        let mut pass = self.pass(whose).await?;
        while let Some(lot) = self.next(&mut pass).await? {
            let checks = self.checks;
            let users: BTreeSet<i64> = lot.found.iter().filter_map(|(user, _)| *user).collect();
            let users = users.into_iter().collect();
            let (reason, order) = (reason.clone(), order.clone());
            let repaired = match lot.of_users {
                _ if lot.found.is_empty() => Repaired::default(),
                true => self.writer.run(RepairUsers { operator, users, reason, checks }, order).await?.outcome,
                false => self.writer.run(RepairNobodys { operator, reason, checks }, order).await?.outcome,
            };
            let Repaired { mended, left, acknowledged } = repaired;
            mended.iter().for_each(|difference| report.add(&difference.check, 1, 1));
            left.iter().for_each(|difference| report.add(&difference.check, 1, 0));
            report.acknowledged += acknowledged.len() as u64;
            let total = pass.total.max(pass.done);
            told(&Step { differences: left, mended, acknowledged, done: pass.done, total });
        }
        report.users = pass.done;
        Ok(report)
    }
}

/// The result of repairing the differences of some users.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Repaired {
    mended: Vec<Difference>,
    left: Vec<Difference>,
    acknowledged: Vec<Difference>,
}

/// Mends rows of users.
#[derive(Serialize)]
struct RepairUsers {
    operator: Operator,
    users: Vec<i64>,
    reason: Option<String>,
    #[serde(skip)]
    checks: &'static [&'static [Check]],
}

impl Write for RepairUsers {
    const NAME: &'static str = "repair";

    type Outcome = Repaired;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Repaired> {
        let present = unit.lock_present(self.users.clone()).await?;
        let checks = all(self.checks).filter(Check::is_of_users).collect();
        mend(unit, checks, &self.users, &present, self.reason.as_deref()).await
    }
}

/// Mends rows that belong to no user.
#[derive(Serialize)]
struct RepairNobodys {
    operator: Operator,
    reason: Option<String>,
    #[serde(skip)]
    checks: &'static [&'static [Check]],
}

impl Write for RepairNobodys {
    const NAME: &'static str = "repair";
    const CATALOGUE: bool = true;

    type Outcome = Repaired;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Repaired> {
        unit.lock_catalogue().await?;
        let checks = all(self.checks).filter(|check| !check.is_of_users()).collect();
        mend(unit, checks, &[], &[], self.reason.as_deref()).await
    }
}

/// Mends what these checks find, one after the other: what one of them mends may be the source of another. Of those who
/// are not `present` any more nothing is changed. What is left is acknowledged if there is a reason to.
async fn mend(
    unit: &mut Unit<'_>,
    checks: Vec<Check>,
    users: &[i64],
    present: &[i64],
    reason: Option<&str>,
) -> Result<Repaired> {
    let catalogue = unit.snapshot();
    let transaction = unit.transaction();
    let look = Look { transaction, users, catalogue: &catalogue };
    let names = names(transaction, users.to_vec()).await?;
    let known = Acknowledged::of(&audited(transaction, ACTION).await?);
    let mut repaired = Repaired::default();
    for check in checks {
        let find = async || -> Result<Vec<Difference>> {
            Ok(check.find(look).await?.into_iter().map(|found| found.named(&check, &names)).collect())
        };
        let before = find().await?;
        if before.is_empty() {
            continue;
        }
        let after = if check.can_mend() {
            check.mend(Look { users: present, ..look }).await?;
            find().await?
        } else {
            before.clone()
        };
        let mended: Vec<Difference> = before.into_iter().filter(|one| !after.contains(one)).collect();
        if !mended.is_empty() {
            let whose: BTreeSet<&str> = mended.iter().filter_map(|one| one.user.as_deref()).collect();
            let changes = json!({ "mended": mended.len(), "users": whose });
            unit.audit("repair", ("check", check.name), &changes);
        }
        repaired.mended.extend(mended);
        let (mut acknowledged, mut left): (Vec<_>, Vec<_>) = after.into_iter().partition(|one| known.has(one));
        if let Some(reason) = reason {
            for one in &left {
                let Difference { user, check: name, what, stored, expected } = one;
                let changes = json!({ "user": user, "check": name, "what": what, "stored": stored,
                    "expected": expected, "reason": reason });
                unit.audit(ACTION, ("check", check.name), &changes);
            }
            acknowledged.append(&mut left);
        }
        repaired.left.extend(left);
        repaired.acknowledged.extend(acknowledged);
    }
    Ok(repaired)
}
