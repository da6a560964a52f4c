//! Whether a user is blocked, as the writes of other features ask.

use super::repo::{self, Holding};
use super::rules::{self, Block, BlockedAction};
use waymark_kernel::error::Result;
use waymark_write::Unit;

/// Whether a locked user may not claim rewards at the moment.
pub async fn is_blocked_for_claiming(unit: &Unit<'_>, user: i64) -> Result<bool> {
    let holdings = repo::holdings_of(unit.transaction(), Vec::new(), vec![user]).await?;
    let block = |(_, holding)| match holding {
        Holding::Block(stored) => Some(stored.block),
        Holding::Lot(_) => None,
    };
    let blocks: Vec<Block> = holdings.into_iter().filter_map(block).collect();
    Ok(rules::is_blocked(&blocks, BlockedAction::Claim, unit.now))
}
