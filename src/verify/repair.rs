//! Mending what does not follow from its source.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Check, Difference, Look, Report, Step, Verifier, Whose, all, names};
use waymark_auth::policy::Operator;
use waymark_kernel::error::Result;
use waymark_write::{Order, Unit, Write};

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
        let mut report = Report::new(self.checks);
        let mut pass = self.pass(whose).await?;
        while let Some(lot) = self.next(&mut pass).await? {
            let checks = self.checks;
            let users: BTreeSet<i64> = lot.found.iter().filter_map(|(user, _)| *user).collect();
            let users = users.into_iter().collect();
            let repaired = match lot.of_users {
                _ if lot.found.is_empty() => Repaired::default(),
                true => self.writer.run(RepairUsers { operator, users, checks }, order.clone()).await?.outcome,
                false => self.writer.run(RepairNobodys { operator, checks }, order.clone()).await?.outcome,
            };
            let Repaired { mended, left } = repaired;
            mended.iter().for_each(|difference| report.add(&difference.check, 1, 1));
            left.iter().for_each(|difference| report.add(&difference.check, 1, 0));
            told(&Step { differences: left, mended, done: pass.done, total: pass.total.max(pass.done) });
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
}

/// Mends rows of users.
#[derive(Serialize)]
struct RepairUsers {
    operator: Operator,
    users: Vec<i64>,
    #[serde(skip)]
    checks: &'static [&'static [Check]],
}

impl Write for RepairUsers {
    const NAME: &'static str = "repair";

    type Outcome = Repaired;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Repaired> {
        let present = unit.lock_present(self.users.clone()).await?;
        let checks = all(self.checks).filter(Check::is_of_users).collect();
        mend(unit, checks, &self.users, &present).await
    }
}

/// Mends rows that belong to no user.
#[derive(Serialize)]
struct RepairNobodys {
    operator: Operator,
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
        mend(unit, checks, &[], &[]).await
    }
}

/// Mends what these checks find, one after the other: what one of them mends may be the source of another. Of those who
/// are not `present` any more nothing is changed.
async fn mend(unit: &mut Unit<'_>, checks: Vec<Check>, users: &[i64], present: &[i64]) -> Result<Repaired> {
    let catalogue = unit.snapshot();
    let transaction = unit.transaction();
    let look = Look { transaction, users, catalogue: &catalogue };
    let names = names(transaction, users.to_vec()).await?;
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
        repaired.left.extend(after);
    }
    Ok(repaired)
}
