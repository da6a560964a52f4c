//! The seam between use cases and what carries them out.
//!
//! Outside, a use case is a type with an outcome of its own. Inside, it is an object: transactions, retries,
//! idempotency keys and groups are compiled once, and not once for each of some forty use cases.

use std::any::{Any, TypeId};

use futures_util::future::BoxFuture;
use serde_json::value::{RawValue, to_raw_value};

use super::{Unit, Write, Written};
use waymark_kernel::error::{Error, Result};

/// The outcome of a use case whose type is not named.
pub(super) type Outcome = Box<dyn Any + Send>;

/// What is the same for all writes of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// The name of the mutation.
    pub(super) name: &'static str,
    /// Whether it changes the catalogue.
    pub(super) catalogue: bool,
    /// Whether it changes credentials.
    pub(super) credentials: bool,
    /// Whether it changes what users are found by.
    pub(super) identity: bool,
    /// Tells writes of this kind from others.
    pub(super) kind: TypeId,
}

/// A use case whose type is not named. See [`Write`] for what each part means.
pub(super) trait UseCase: Any + Send + Sync {
    fn traits(&self) -> Traits;
    fn may_be_abandoned(&self) -> bool;
    fn joins(&self) -> Option<i64>;
    fn concerns(&self) -> Option<i64>;
    fn size(&self) -> usize;
    /// Returns its input as JSON.
    fn input(&self) -> Result<Vec<u8>>;
    fn perform<'a>(&'a self, unit: &'a mut Unit<'_>) -> BoxFuture<'a, Result<Outcome>>;
    /// Carries out `writes`, all of the same kind as this one.
    fn perform_together<'a>(
        &'a self,
        writes: &'a [&'a dyn UseCase],
        unit: &'a mut Unit<'_>,
    ) -> BoxFuture<'a, Result<Vec<Outcome>>>;
    /// Writes an outcome of this kind as JSON.
    fn to_json(&self, outcome: &Outcome) -> Result<Box<RawValue>>;
    /// Reads what [`UseCase::to_json`] wrote.
    fn read(&self, json: &RawValue) -> Result<Outcome>;
}

/// A use case at the seam.
pub(super) struct Erased<W>(pub(super) W);

impl<W: Write> UseCase for Erased<W> {
    fn traits(&self) -> Traits {
        Traits {
            name: W::NAME,
            catalogue: W::CATALOGUE,
            credentials: W::CREDENTIALS,
            identity: W::IDENTITY,
            kind: TypeId::of::<W>(),
        }
    }

    fn may_be_abandoned(&self) -> bool {
        self.0.may_be_abandoned()
    }

    fn joins(&self) -> Option<i64> {
        self.0.joins()
    }

    fn concerns(&self) -> Option<i64> {
        self.0.concerns()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn input(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.0).map_err(Error::internal)
    }

    fn perform<'a>(&'a self, unit: &'a mut Unit<'_>) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move { Ok(Box::new(self.0.perform(unit).await?) as Outcome) })
    }

    fn perform_together<'a>(
        &'a self,
        writes: &'a [&'a dyn UseCase],
        unit: &'a mut Unit<'_>,
    ) -> BoxFuture<'a, Result<Vec<Outcome>>> {
        Box::pin(async move {
            let own = writes.iter().map(|write| {
                let write: &dyn Any = *write;
                write.downcast_ref::<Self>().map(|write| &write.0)
            });
            let own: Option<Vec<&W>> = own.collect();
            let own = own.ok_or_else(|| Error::internal("writes of different kinds in one batch"))?;
            let outcomes = W::perform_together(&own, unit).await?;
            Ok(outcomes.into_iter().map(|outcome| Box::new(outcome) as Outcome).collect())
        })
    }

    fn to_json(&self, outcome: &Outcome) -> Result<Box<RawValue>> {
        let outcome = outcome.downcast_ref::<W::Outcome>().ok_or_else(another_kind)?;
        to_raw_value(outcome).map_err(Error::internal)
    }

    fn read(&self, json: &RawValue) -> Result<Outcome> {
        let outcome: W::Outcome = serde_json::from_str(json.get()).map_err(Error::internal)?;
        Ok(Box::new(outcome))
    }
}

impl Written<Outcome> {
    /// Returns the same with the outcome as the type that it is of.
    pub(super) fn named<O: 'static>(self) -> Result<Written<O>> {
        let outcome = self.outcome.downcast::<O>().map_err(|_| another_kind())?;
        Ok(Written { outcome: *outcome, events: self.events, at: self.at })
    }
}

fn another_kind() -> Error {
    Error::internal("an outcome is of another kind than its write")
}
