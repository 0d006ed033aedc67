//! Tools as what jobs ask for room on the graphics cards. Knows no card.

use crate::{jobs::Room, tools::Tools};
use futures_util::future::BoxFuture;

/// The tools that run, of which some give their memory back when they are asked to.
#[derive(Debug)]
pub(super) struct OfTools(pub(super) Tools);

impl Room for OfTools {
    fn make(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.have_tools_let_go())
    }

    fn holders(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.0.holders())
    }
}
