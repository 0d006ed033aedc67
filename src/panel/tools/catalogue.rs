//! The folders of `setup/` as tools, and what is wrong with those that are none. One broken folder never hides the
//! others. Reads the disk; starts nothing.

use super::{Choices, Home, ToolId, ToolSpec, Version, lint};
use crate::meant::nearest;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

/// Largest `tool.toml`, script, or file of choices.
const FILE_MAX: u64 = 256 << 10;
/// Folders that are looked at.
const FOLDERS_MAX: usize = 200;
/// Files of a folder that are looked at.
const FILES_MAX: usize = 200;
/// The folder of shared functions, which is no tool.
const LIBRARY: &str = "lib";

/// What can be done with a tool. Each is a script `<action>_<tool>.sh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Puts it there, or goes on with that.
    Install,
    /// Brings it up to date.
    Update,
    /// Makes it anew and keeps what is people's.
    Reinstall,
    /// Runs it.
    Start,
    /// Asks it to end.
    Kill,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 5] = [Action::Install, Action::Update, Action::Reinstall, Action::Start, Action::Kill];

    /// As it stands in a script's name.
    pub fn word(self) -> &'static str {
        match self {
            Action::Install => "install",
            Action::Update => "update",
            Action::Reinstall => "reinstall",
            Action::Start => "start",
            Action::Kill => "kill",
        }
    }
}

/// A tool: its folder, what its `tool.toml` says and which scripts it has.
#[derive(Clone, Debug)]
pub struct ToolFolder {
    /// What `tool.toml` says.
    pub spec: ToolSpec,
    /// Where its scripts lie.
    pub path: PathBuf,
    /// The scripts that are there.
    pub actions: BTreeSet<Action>,
    /// What can be chosen, where it offers a choice.
    pub choices: Option<Choices>,
    /// Which version of its scripts this is, where they came from a repository.
    pub version: Option<Version>,
}

impl ToolFolder {
    /// It only installs, and what it installs are sets of files.
    pub fn installs_sets(&self) -> bool {
        !self.runs() && matches!(self.choices, Some(Choices::Sets(_)))
    }

    /// The script of an action that it has.
    pub fn script(&self, action: Action) -> Option<PathBuf> {
        self.actions.contains(&action).then(|| self.path.join(script_name(&self.spec.id, action)))
    }

    /// The setup folder that it is in. One from a repository holds this tool and what it uses.
    pub fn setup(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Whether it can run; what cannot only installs.
    pub fn runs(&self) -> bool {
        self.actions.contains(&Action::Start)
    }
}

/// A folder that is no tool, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Name of the folder.
    pub folder: String,
    /// A sentence for each problem.
    pub problems: Vec<String>,
}

/// Every tool of a setup folder.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    tools: BTreeMap<ToolId, ToolFolder>,
    broken: Vec<Broken>,
}

impl Catalogue {
    /// Reads a setup folder. The error is for a folder that cannot be listed at all.
    pub fn load(setup: &Path) -> io::Result<Catalogue> {
        let mut names = Vec::new();
        for entry in fs::read_dir(setup)?.take(FOLDERS_MAX) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() && name != LIBRARY && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(Catalogue::gather(names.into_iter().map(|name| (setup.to_path_buf(), name, None))))
    }

    /// Reads tools that lie apart: of each its setup folder, its name there, and which version of it that is.
    pub(super) fn gather(folders: impl IntoIterator<Item = (PathBuf, String, Option<Version>)>) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for (setup, name, version) in folders {
            match read_folder(&setup, &name) {
                Ok(tool) => drop(catalogue.tools.insert(tool.spec.id.clone(), ToolFolder { version, ..tool })),
                Err(problems) => catalogue.broken.push(Broken { folder: name, problems }),
            }
        }
        catalogue.check_together();
        catalogue
    }

    /// The tools, by id.
    pub fn tools(&self) -> impl Iterator<Item = &ToolFolder> {
        self.tools.values()
    }

    /// The folders that are none.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// One tool.
    pub fn get(&self, id: &ToolId) -> Option<&ToolFolder> {
        self.tools.get(id)
    }

    /// The tool in whose folder, as whose user and under whose lock this one works: itself, or another one.
    pub fn owner<'a>(&'a self, tool: &'a ToolFolder) -> &'a ToolFolder {
        match &tool.spec.home {
            Home::Own(_) => tool,
            Home::Within(other) => self.get(other).unwrap_or(tool),
        }
    }

    /// The folder of the workspace that a tool works in.
    pub fn home<'a>(&'a self, tool: &'a ToolFolder) -> Option<&'a str> {
        self.owner(tool).spec.home_of(|id| self.get(id).map(|tool| &tool.spec))
    }

    /// What is only wrong beside the others: two tools on one port or in one folder, or a tool within none. The later
    /// one is left out.
    fn check_together(&mut self) {
        let mut problems: BTreeMap<ToolId, Vec<String>> = BTreeMap::new();
        let (mut ports, mut homes) = (BTreeMap::new(), BTreeMap::new());
        for (id, tool) in &self.tools {
            let mut say = |sentence| problems.entry(id.clone()).or_default().push(sentence);
            if let Some(port) = tool.spec.public_port {
                match ports.get(&port) {
                    Some(other) => say(format!("public_port = {port} is taken by {other}")),
                    None => drop(ports.insert(port, id.clone())),
                }
            }
            match &tool.spec.home {
                Home::Own(folder) => match homes.get(folder) {
                    Some(other) => {
                        say(format!("install = \"{folder}\" is taken by {other}; within = \"{other}\" would share it"))
                    }
                    None => drop(homes.insert(folder.clone(), id.clone())),
                },
                Home::Within(other) => match self.tools.get(other).map(|t| &t.spec.home) {
                    Some(Home::Own(_)) => {}
                    _ => say(format!("within = \"{other}\": there is no such tool with a folder of its own")),
                },
            }
        }
        for (id, problems) in problems {
            self.tools.remove(&id);
            self.broken.push(Broken { folder: id.to_string(), problems });
        }
        self.broken.sort_by(|a, b| a.folder.cmp(&b.folder));
    }
}

fn script_name(id: &ToolId, action: Action) -> String {
    format!("{}_{}.sh", action.word(), id.in_file_names())
}

/// One folder, or what is wrong with it.
fn read_folder(setup: &Path, name: &str) -> Result<ToolFolder, Vec<String>> {
    let path = setup.join(name);
    let id = ToolId::parse(name).map_err(|e| vec![e.to_string()])?;
    let text = read(&path.join("tool.toml")).map_err(|why| vec![format!("tool.toml: {why}")])?;
    let in_file = |problems: Vec<String>| problems.into_iter().map(|p| format!("tool.toml: {p}")).collect::<Vec<_>>();
    let spec = ToolSpec::parse(id, &text).map_err(in_file)?;
    let (actions, mut problems) = scripts(&path, &spec.id)?;
    if !actions.contains(&Action::Install) {
        problems.push(format!("{} is missing", script_name(&spec.id, Action::Install)));
    }
    for (one, other) in [(Action::Start, Action::Kill), (Action::Kill, Action::Start)] {
        if actions.contains(&one) && !actions.contains(&other) {
            problems.push(format!("{} is missing", script_name(&spec.id, other)));
        }
    }
    if actions.contains(&Action::Start) != spec.public_port.is_some() {
        problems.push("a tool with a start script has public_port and health in tool.toml, and no other has".into());
    }
    let choices = match &spec.picks {
        None => None,
        Some(picks) => match read(&setup.join(&picks.file)).map_err(|e| vec![e]).and_then(|text| Choices::parse(picks, &text)) {
            Ok(choices) => Some(choices),
            Err(found) => {
                problems.extend(found.into_iter().map(|p| format!("{}: {p}", picks.file)));
                None
            }
        },
    };
    if problems.is_empty() { Ok(ToolFolder { spec, path, actions, choices, version: None }) } else { Err(problems) }
}

/// The scripts of a folder by their action, and what is wrong with them.
fn scripts(folder: &Path, id: &ToolId) -> Result<(BTreeSet<Action>, Vec<String>), Vec<String>> {
    let (mut actions, mut problems) = (BTreeSet::new(), Vec::new());
    let entries = fs::read_dir(folder).map_err(|e| vec![e.to_string()])?;
    let mut names: Vec<_> = entries.take(FILES_MAX).flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names.iter().filter(|name| name.ends_with(".sh")) {
        match Action::ALL.into_iter().find(|action| *name == script_name(id, *action)) {
            Some(action) => drop(actions.insert(action)),
            None => {
                let known = Action::ALL.map(|action| script_name(id, action));
                let hint = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("scripts are {}", known.join(", ")),
                };
                problems.push(format!("{name} is no action: {hint}"));
                continue;
            }
        }
        match read(&folder.join(name)) {
            Ok(text) => problems.extend(lint::problems(&text).into_iter().map(|p| format!("{name}: {p}"))),
            Err(why) => problems.push(format!("{name}: {why}")),
        }
    }
    Ok((actions, problems))
}

/// A text file of ordinary size.
fn read(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => e.to_string(),
    })?;
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > FILE_MAX { Err(format!("it is over {} KiB", FILE_MAX >> 10)) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
