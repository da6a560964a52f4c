//! What the server does when it is attacked, or what it stands on breaks.

pub(crate) mod answers;
pub(crate) mod clocks;
pub(crate) mod disk;
pub(crate) mod hang_ups;
pub(crate) mod outages;
pub(crate) mod places;
pub(crate) mod ranges;
pub(crate) mod refused;
pub(crate) mod stored;
pub(crate) mod strangers;
pub(crate) mod texts;
pub(crate) mod worst;
