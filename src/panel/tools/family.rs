//! Tools that work in one folder are a family: while something is done with one of them, the others wait. Pure.

use super::{Home, ToolFolder, ToolId, stand::ToolState};

/// The tool in whose folder one works. Also of one that is on no shelf any more.
fn head(folder: &ToolFolder) -> &ToolId {
    match &folder.spec.home {
        Home::Own(_) => &folder.spec.id,
        Home::Within(other) => other,
    }
}

/// A tool with which something is done, and where it stands.
pub(super) type Doing<'a> = (&'a ToolFolder, &'a ToolState);

/// Which of these are of one tool's family, itself too, and up or being changed.
pub(super) fn busy<'a>(all: impl Iterator<Item = Doing<'a>>, of: &ToolFolder) -> Vec<Doing<'a>> {
    all.filter(|(folder, state)| head(folder) == head(of) && (state.is_up() || state.is_changing())).collect()
}

/// Why nothing can be begun with a tool while another one of its family, by this name, is being changed.
pub(super) fn at_work(name: &str) -> String {
    format!("{name} is at work in its folder. Wait until that has ended.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sessions::{Action, SessionId},
        tools::ToolSpec,
    };

    fn tool(id: &str, home: &str) -> ToolFolder {
        let text = format!("name = \"{id}\"\nabout = \"a\"\n{home}\n");
        let spec = ToolSpec::parse(ToolId::parse(id).unwrap(), &text).unwrap();
        ToolFolder { spec, path: "/s".into(), actions: Default::default(), choices: None, version: None }
    }

    #[test]
    fn what_works_in_anothers_folder_is_waited_for_and_strangers_are_not() {
        let (comfy, nodes) = (tool("comfy", "install = \"comfy\""), tool("custom-nodes", "within = \"comfy\""));
        let other = tool("jupyter", "install = \"jupyter\"");
        let by = "ada".parse().unwrap();
        let state = ToolState::Changing { action: Action::Install, session: SessionId::generate(), by, since: 0 };
        let busy_for = |of: &ToolFolder| busy([(&nodes, &state)].into_iter(), of).len();
        assert_eq!([&comfy, &nodes, &other].map(busy_for), [1, 1, 0]);
        let rests = ToolState::Stopped { version: "1".into() };
        assert!(busy([(&comfy, &rests)].into_iter(), &nodes).is_empty(), "what rests keeps nobody waiting");
    }
}
