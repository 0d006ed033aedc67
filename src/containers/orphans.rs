//! Containers that an earlier panel left behind: which of them go on, which go.

use crate::{ContainerError, ContainerSpec, Engine, Owned, Standing, Suffix, raw};
use serde::Deserialize;
use std::time::Duration;

/// A container of this studio, as it is found.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// What it is.
    pub container: Owned,
    /// Which of its tool's; none: it has a name that no panel gives.
    pub suffix: Option<Suffix>,
    /// How it stands; also its port and its variables, of which a new panel knows nothing.
    pub standing: Standing,
}

/// What is read of a list; the rest comes by a look at each.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what is wanted, and goes on.
    Adopt,
    /// It goes; says why.
    Remove(&'static str),
}

/// What becomes of a container that was found. `wanted`: what its tool would be started as now; none where it would not.
pub fn decide(orphan: &Orphan, wanted: Option<&ContainerSpec>) -> Verdict {
    let Some(wanted) = wanted.filter(|wanted| wanted.tool == orphan.container.tool()) else {
        return Verdict::Remove("its tool is not wanted any more");
    };
    if !orphan.standing.running {
        return Verdict::Remove("it has ended");
    }
    if orphan.suffix != Some(Suffix::None) {
        return Verdict::Remove("it is left from an update");
    }
    if orphan.container.spec_hash() != wanted.hash() {
        return Verdict::Remove("it was made from something else than what is wanted now");
    }
    Verdict::Adopt
}

impl Engine {
    /// Every container of this studio.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, ContainerError> {
        let path = self.path(&format!("/containers/json?all=1&filters={}", self.0.studio.filter()));
        let listed: Vec<Listed> = raw::get(self.socket(), &path, "listing containers").await?;
        let mut orphans = Vec::new();
        for Listed { id } in listed {
            let told = match self.inspect(&id).await {
                Ok(told) => told,
                // It went in between.
                Err(ContainerError::Gone { .. }) => continue,
                Err(e) => return Err(e),
            };
            // Engines match labels by themselves; this looks again, as everywhere.
            if let Some(container) = self.owned(&told) {
                let name = told.name.as_deref().unwrap_or_default().trim_start_matches('/');
                let suffix = self.0.studio.suffix_of(name, container.tool());
                orphans.push(Orphan { suffix, standing: Standing::of(&told), container });
            }
        }
        Ok(orphans)
    }

    /// Asks a container to end, and removes it.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn clear(&self, container: &Owned, grace: Duration) -> Result<(), ContainerError> {
        self.stop(container, grace).await?;
        self.remove(container).await
    }
}
