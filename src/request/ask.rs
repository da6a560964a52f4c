//! How a resolver reaches its request.

use async_graphql::Context;
use waymark_kernel::error::{Error, Result};

use crate::Request;

/// Reaches the request from a resolver.
pub trait Ask {
    /// The request that is being answered.
    fn ask(&self) -> Result<&Request>;
}

impl Ask for Context<'_> {
    fn ask(&self) -> Result<&Request> {
        self.data::<Request>().map_err(|error| Error::internal(error.message))
    }
}
