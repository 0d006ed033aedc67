//! Looking at tools: where each stands, what can be chosen and what of it is there, by its task or by the disk. Changes nothing.

use super::{
    Action as Script, Choice, Home, Installation, Presence, ToolError, ToolFolder, ToolId, Tools, Unseen, contained, family,
    runtime::Entry,
    stand::{May, ToolState, Viewer, may},
    steps::Mark,
};
use crate::sessions::{Action, Live};
use std::{collections::BTreeMap, io};

/// A tool with where it stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What it is.
    pub folder: ToolFolder,
    /// Where it stands.
    pub state: ToolState,
    /// It runs in a container.
    pub contained: bool,
    /// The last step that its script told.
    pub step: Option<Mark>,
    /// The version that it can go back to, of a tool that rests.
    pub earlier: Option<String>,
    /// Its scripts came from the repository and no admin has seen them yet.
    pub unseen: Option<Unseen>,
    /// Name of another tool that is being changed in its folder: nothing can be begun meanwhile.
    pub waits_for: Option<String>,
    /// Of a tool that only installs what was chosen: the choices, and what of each is there.
    pub choices: Option<Vec<(Choice, Presence)>>,
}

impl Standing {
    /// Nothing of what nobody has seen runs.
    pub(super) fn refuse_unseen(&self) -> Result<(), ToolError> {
        if self.unseen.is_none() {
            return Ok(());
        }
        Err(ToolError::Refused("Its scripts have changed with the repository. An admin looks at them before they run.".into()))
    }

    /// What `viewer` may do with it.
    pub fn may(&self, viewer: Viewer<'_>) -> May {
        let mut may = may(&self.folder, &self.state, viewer);
        if self.contained {
            // An image needs no script for that, and a container is made anew at each start.
            let rests = may.start && viewer.admin;
            (may.update, may.reinstall) = (rests, false);
        }
        if self.unseen.is_some() {
            // What runs is stopped and opened as before; nothing new begins.
            return May { open: may.open, stop: may.stop, watch: may.watch, accept: viewer.admin, ..May::default() };
        }
        if self.waits_for.is_some() {
            return May { open: may.open, stop: may.stop, watch: may.watch, ..May::default() };
        }
        May { go_back: may.update && self.earlier.is_some(), ..may }
    }
}

impl Tools {
    /// Every tool and where it stands.
    ///
    /// # Errors
    /// When the workspace cannot be read.
    pub async fn list(&self) -> Result<Vec<Standing>, ToolError> {
        // Each looks at the disk, which may be a slow volume.
        self.on_the_disk(|tools| tools.folders().iter().map(|folder| tools.standing(folder)).collect()).await
    }

    /// One tool and where it stands.
    ///
    /// # Errors
    /// When there is none such, or the workspace cannot be read.
    pub async fn get(&self, id: &ToolId) -> Result<Standing, ToolError> {
        let id = id.clone();
        self.on_the_disk(move |tools| tools.standing(&tools.folder(&id)?)).await
    }

    /// What a tool is, wherever it stands.
    ///
    /// # Errors
    /// When there is none such.
    pub fn folder(&self, id: &ToolId) -> Result<ToolFolder, ToolError> {
        self.busy_with(id).or_else(|| self.shelf().catalogue.get(id).cloned()).ok_or(ToolError::Unknown)
    }

    /// What is done with a tool now; none: it rests. Looks at no disk.
    pub fn doing(&self, id: &ToolId) -> Option<ToolState> {
        self.entries().get(id)?.state.clone()
    }

    /// Every tool, wherever it stands.
    pub fn folders(&self) -> Vec<ToolFolder> {
        let listed: BTreeMap<ToolId, ToolFolder> =
            self.shelf().catalogue.tools().map(|folder| (folder.spec.id.clone(), folder.clone())).collect();
        let busy: Vec<ToolId> = self.entries().iter().filter(|(_, e)| e.folder.is_some()).map(|(id, _)| id.clone()).collect();
        let busy = busy.into_iter().filter_map(|id| Some((id.clone(), self.busy_with(&id)?)));
        listed.into_iter().chain(busy).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// A tool that is up or being changed, as it was when that began: also one that a new version of the folder of tools
    /// has no more, or broken, can be seen and stopped.
    fn busy_with(&self, id: &ToolId) -> Option<ToolFolder> {
        self.entries().get(id).filter(|entry| entry.state.is_some())?.folder.clone()
    }

    /// First process of each terminal → what people call what runs in it: a tool's name, "ComfyUI: install", "Shell".
    pub fn processes(&self) -> BTreeMap<u32, String> {
        let named = |live: Live| {
            let id = live.record.tool.as_deref().and_then(|tool| ToolId::parse(tool).ok());
            let tool = id.and_then(|id| self.folder(&id).ok()).map(|folder| folder.spec.name);
            let tool = tool.as_deref();
            let name = match (tool, live.record.action) {
                (Some(tool), Action::Start) => tool.to_owned(),
                _ => live.record.title(tool),
            };
            (live.session.pid(), name)
        };
        self.0.parts.sessions.all_live().into_iter().map(named).collect()
    }

    /// Does what waits for the disk, and lets nobody else wait meanwhile.
    async fn on_the_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tools) -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let tools = self.clone();
        tokio::task::spawn_blocking(move || work(&tools)).await.map_err(io::Error::other)?
    }

    fn standing(&self, folder: &ToolFolder) -> Result<Standing, ToolError> {
        let known = self.entries().get(&folder.spec.id).and_then(|e| Some((e.state.clone()?, e.step.clone())));
        let (state, step) = match known {
            Some((state, step)) => (state, step),
            None => (self.at_rest(folder)?, None),
        };
        // What runs is chosen once, at its installation.
        let choices = if folder.runs() || folder.choices.is_none() { None } else { Some(self.look_at_choices(folder)?) };
        let earlier = if state.is_up() || state.is_changing() { None } else { self.earlier(folder)? };
        let contained = self.is_contained(folder);
        // What is up or being changed goes on with the scripts that it began with.
        let unseen = if state.is_up() || state.is_changing() { None } else { self.unseen(folder) };
        let waits_for = self.waits_for(folder);
        Ok(Standing { folder: folder.clone(), state, contained, step, earlier, unseen, waits_for, choices })
    }

    /// The name of another tool that is being changed in the same folder.
    fn waits_for(&self, folder: &ToolFolder) -> Option<String> {
        let entries = self.entries();
        let busy = family::busy(entries.values().filter_map(Entry::doing), folder);
        let mut others = busy.into_iter().filter(|(other, state)| other.spec.id != folder.spec.id && state.is_changing());
        others.next().map(|(other, _)| other.spec.name.clone())
    }

    /// The version that a tool can go back to. What works within another tool has none of its own.
    fn earlier(&self, folder: &ToolFolder) -> Result<Option<String>, ToolError> {
        let updates = folder.actions.contains(&Script::Update) || self.is_contained(folder);
        if !matches!(folder.spec.home, Home::Own(_)) || !updates {
            return Ok(None);
        }
        let Installation::Installed { earlier, .. } = self.look_at(folder)? else { return Ok(None) };
        Ok(earlier)
    }

    /// Where a tool stands with which nothing is done.
    fn at_rest(&self, folder: &ToolFolder) -> Result<ToolState, ToolError> {
        if let Err(why) = self.road(folder) {
            let remedy = self.0.parts.containers.remedy().into();
            return Ok(ToolState::Broken { why: why.to_string(), remedy, session: None, installed: false });
        }
        let (shelf, found) = (self.shelf(), self.look_at(folder)?);
        let owner = shelf.catalogue.owner(folder);
        let whole = matches!(found, Installation::Installed { .. });
        // What works within another tool can do nothing before that one is there.
        Ok(if whole || owner.spec.id == folder.spec.id {
            ToolState::of(found)
        } else {
            ToolState::Needs { other: owner.spec.name.clone() }
        })
    }

    /// What the disk says of a tool.
    pub(super) async fn installation(&self, folder: &ToolFolder) -> Result<Installation, ToolError> {
        let folder = folder.clone();
        self.on_the_disk(move |tools| tools.look_at(&folder)).await
    }

    /// The same, on this thread. One within another is there when that is.
    fn look_at(&self, folder: &ToolFolder) -> Result<Installation, ToolError> {
        if self.is_contained(folder) {
            return Ok(contained::installation(&self.0.parts.containers.kept(folder.spec.id.as_str())));
        }
        let shelf = self.shelf();
        let home = shelf.catalogue.home(folder).ok_or(ToolError::Unknown)?;
        Ok(Installation::of(&self.0.parts.places.workspace, home)?)
    }

    /// What can be chosen before a tool is installed or updated, and what of it is there.
    ///
    /// # Errors
    /// When there is no such tool.
    pub async fn choices(&self, id: &ToolId) -> Result<Vec<(Choice, Presence)>, ToolError> {
        let id = id.clone();
        self.on_the_disk(move |tools| tools.look_at_choices(&tools.folder(&id)?)).await
    }

    /// The same, on this thread. Tokens that Easel has are asked for by nobody.
    fn look_at_choices(&self, folder: &ToolFolder) -> Result<Vec<(Choice, Presence)>, ToolError> {
        let Some(choices) = &folder.choices else { return Ok(Vec::new()) };
        let (shelf, places) = (self.shelf(), &self.0.parts.places);
        let home = shelf.catalogue.home(folder).ok_or(ToolError::Unknown)?;
        let install = places.workspace.join(home);
        let given = |name: &String| {
            let seen = folder.spec.environment.contains(name);
            seen && self.0.parts.variables.get(name).is_some_and(|token| !token.is_empty())
        };
        let look = |choice: &Choice| {
            let mut presence = choices.presence(choice, &install, &places.models);
            presence.tokens.retain(|name| !given(name));
            (choice.clone(), presence)
        };
        Ok(choices.all().iter().map(look).collect())
    }
}
