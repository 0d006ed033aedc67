//! The audit trail: who changed what, and what was refused. Lines are only ever added; the store itself
//! refuses everything else. Knows no HTTP.

use crate::{
    clock::Clock,
    store::{self, Store, StoreError},
};

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Admin mode was turned on or off, or its password was wrong.
    AdminMode,
    /// A profile: made, changed, disabled; its PIN, password, role, links and tokens.
    Profile,
    /// The studio key.
    Key,
    /// A model was brought or removed, or the vision model set.
    Model,
    /// Somebody else's job.
    Job,
    /// A tool was installed, changed, started or stopped.
    Tool,
    /// The studio itself: its repository, its pod.
    Studio,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [Kind::AdminMode, Kind::Profile, Kind::Key, Kind::Model, Kind::Job, Kind::Tool, Kind::Studio];

    /// As the store and the API write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::AdminMode => "admin-mode",
            Kind::Profile => "profile",
            Kind::Key => "key",
            Kind::Model => "model",
            Kind::Job => "job",
            Kind::Tool => "tool",
            Kind::Studio => "studio",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Something that was done, or tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// A profile's id, "command line", "users.toml".
    pub who: String,
    /// What it is about.
    pub kind: Kind,
    /// A few words, never with a secret in them.
    pub what: String,
    /// It was tried and did not happen.
    pub refused: bool,
}

impl Deed {
    /// It was done.
    pub fn done(who: &str, kind: Kind, what: impl Into<String>) -> Deed {
        Deed { who: who.into(), kind, what: what.into(), refused: false }
    }

    /// It was tried and refused.
    pub fn refused(who: &str, kind: Kind, what: impl Into<String>) -> Deed {
        Deed { refused: true, ..Deed::done(who, kind, what) }
    }
}

/// A line of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number; grows.
    pub seq: i64,
    /// When, ms since 1970.
    pub at: i64,
    /// What.
    pub deed: Deed,
}

/// Which lines.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only by this profile, or by "command line", "users.toml".
    pub who: Option<String>,
    /// Only what was refused, or only what was not.
    pub refused: Option<bool>,
    /// Only lines with this text, in any case.
    pub text: Option<String>,
}

/// The handle.
#[derive(Clone, Debug)]
pub struct Audit {
    store: Store,
    clock: Clock,
}

impl Audit {
    /// The trail of this store.
    pub fn new(store: Store, clock: Clock) -> Audit {
        Audit { store, clock }
    }

    /// Writes down what was done outside a transaction of the store.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn write(&self, deed: Deed) -> Result<(), StoreError> {
        let now = self.clock.ms();
        self.store.run(move |c| store::audit::insert(c, now, &deed)).await
    }

    /// Lines before a number, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, filter: Filter, before: Option<i64>, limit: u32) -> Result<Vec<Line>, StoreError> {
        self.store.read(move |c| store::audit::page(c, &filter, before, limit)).await
    }

    /// Everybody who stands in it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn people(&self) -> Result<Vec<String>, StoreError> {
        self.store.read(|c| store::audit::people(c)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_found_again_and_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let audit = Audit::new(store.clone(), Clock::real());
        audit.write(Deed::done("ada", Kind::Profile, "disabled: zoe")).await.unwrap();
        audit.write(Deed::refused("ada", Kind::AdminMode, "wrong password")).await.unwrap();
        audit.write(Deed::done("command line", Kind::Key, "reset the studio key")).await.unwrap();
        let find = async |filter: Filter| {
            audit.page(filter, None, 10).await.unwrap().into_iter().map(|l| l.deed.what).collect::<Vec<_>>()
        };
        assert_eq!(find(Filter::default()).await, ["reset the studio key", "wrong password", "disabled: zoe"]);
        assert_eq!(find(Filter { kind: Some(Kind::Profile), ..Filter::default() }).await, ["disabled: zoe"]);
        assert_eq!(find(Filter { refused: Some(true), ..Filter::default() }).await, ["wrong password"]);
        assert_eq!(find(Filter { text: Some("ZOE".into()), ..Filter::default() }).await, ["disabled: zoe"]);
        let who = Filter { who: Some("command line".into()), ..Filter::default() };
        assert_eq!(find(who).await.len(), 1);
        let newest = audit.page(Filter::default(), None, 1).await.unwrap()[0].seq;
        assert_eq!(audit.page(Filter::default(), Some(newest), 10).await.unwrap().len(), 2, "the next page");
        assert_eq!(audit.people().await.unwrap(), ["ada", "command line"]);
        for change in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
            let refused = store.run(move |c| Ok(c.execute(change, [])?)).await;
            assert!(refused.unwrap_err().to_string().contains("append-only"), "{change}");
        }
        assert_eq!(find(Filter::default()).await.len(), 3);
    }
}
