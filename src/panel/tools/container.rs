//! `image` and the table `[container]` of `tool.toml` as a type: how a tool runs in a container. Parses and checks; knows no engine.

use containers::ImageName;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Most memory that can be asked for, in GB.
const MEMORY_MAX: u32 = 4096;
/// Most words of a command, and most capabilities.
const LIST_MAX: usize = 64;
/// Most bytes of a word or a path.
const WORD_MAX: usize = 1024;
const GB: u64 = 1 << 30;

/// How a tool runs in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The image.
    pub image: ImageName,
    /// Where it listens inside.
    pub port: u16,
    /// What runs in it; empty: what the image says.
    pub command: Vec<String>,
    /// It runs as the tool's user, as its scripts would; false: as whom the image says.
    pub user: bool,
    /// Most memory, in bytes; none: no limit.
    pub memory: Option<u64>,
    /// Shared memory, in bytes; none: what the engine gives.
    pub shared_memory: Option<u64>,
    /// Capabilities that it keeps.
    pub capabilities: Vec<String>,
    /// Where the models are seen inside; none: where they lie outside.
    pub models: Option<PathBuf>,
    /// Where the tool's folder is seen inside; none: where it lies outside.
    pub data: Option<PathBuf>,
}

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContainer {
    port: Option<u16>,
    #[serde(default)]
    command: Vec<String>,
    user: Option<bool>,
    memory_gb: Option<u32>,
    shm_gb: Option<u32>,
    #[serde(default)]
    capabilities: Vec<String>,
    models: Option<PathBuf>,
    data: Option<PathBuf>,
}

impl RawContainer {
    /// The tool's folder is seen elsewhere inside.
    pub(super) fn moves_folder(&self) -> bool {
        self.data.is_some()
    }
}

impl Container {
    /// What `image` and `[container]` of a tool with this public port mean. None: it runs as a process only.
    ///
    /// # Errors
    /// A sentence for each problem.
    pub(super) fn of(
        image: Option<&str>,
        raw: Option<&RawContainer>,
        port: Option<u16>,
    ) -> Result<Option<Container>, Vec<String>> {
        let Some(image) = image else {
            let alone = raw.map(|_| vec!["[container] says how an image runs, and image is missing".to_owned()]);
            return alone.map_or(Ok(None), Err);
        };
        let none = RawContainer::default();
        let raw = raw.unwrap_or(&none);
        let mut problems = check(raw);
        let image = ImageName::parse(image).map_err(|e| problems.push(format!("image: {e}"))).ok();
        let Some(port) = raw.port.or(port) else {
            problems.push("image is for what runs: public_port and health are needed".into());
            return Err(problems);
        };
        let gigabytes = |gb: Option<u32>| gb.map(|gb| u64::from(gb) * GB);
        match image {
            Some(image) if problems.is_empty() => Ok(Some(Container {
                image,
                port,
                command: raw.command.clone(),
                user: raw.user.unwrap_or(true),
                memory: gigabytes(raw.memory_gb),
                shared_memory: gigabytes(raw.shm_gb),
                capabilities: raw.capabilities.clone(),
                models: raw.models.clone(),
                data: raw.data.clone(),
            })),
            _ => Err(problems),
        }
    }
}

fn check(raw: &RawContainer) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |good: bool, sentence: String| {
        if !good {
            problems.push(sentence);
        }
    };
    must(raw.port != Some(0), "container.port must be from 1 to 65535".into());
    let word = |word: &String| word.len() <= WORD_MAX && !word.contains('\0');
    must(raw.command.len() <= LIST_MAX && raw.command.iter().all(word), "container.command is too long".into());
    for (name, gb) in [("memory_gb", raw.memory_gb), ("shm_gb", raw.shm_gb)] {
        let good = gb.is_none_or(|gb| (1..=MEMORY_MAX).contains(&gb));
        must(good, format!("container.{name} must be from 1 to {MEMORY_MAX}"));
    }
    let capital = |c: &String| c != "ALL" && !c.is_empty() && c.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let few = raw.capabilities.len() <= LIST_MAX && raw.capabilities.iter().all(capital);
    must(few, "container.capabilities must be names such as CHOWN".into());
    for (name, path) in [("models", &raw.models), ("data", &raw.data)] {
        let good = path.as_deref().is_none_or(is_inside);
        must(good, format!("container.{name} must be a full path such as /data, with no .. in it"));
    }
    problems
}

/// A full path that says plainly where it leads, and is not the root.
fn is_inside(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let parts = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
    parts && text.len() <= WORD_MAX && !text.contains(|c: char| c.is_control() || c == ',')
}

#[cfg(test)]
mod tests {
    use crate::tools::{ToolId, ToolSpec};

    const RUNS: &str = "name = \"T\"\nabout = \"a\"\npublic_port = 9000\ninstall = \"t\"\n\
                        health = { path = \"/\", expect = [200], start_timeout_s = 5 }\n";

    fn parse(rest: &str) -> Result<ToolSpec, Vec<String>> {
        ToolSpec::parse(ToolId::parse("t").unwrap(), &format!("{RUNS}{rest}"))
    }

    #[test]
    fn an_image_alone_is_enough() {
        let container = parse("image = \"ghcr.io/owner/tool\"\n").unwrap().container.unwrap();
        assert_eq!((container.image.as_str(), container.port, container.user), ("ghcr.io/owner/tool:latest", 9000, true));
        assert_eq!(parse("").unwrap().container, None);
    }

    #[test]
    fn a_table_that_says_everything_is_read() {
        let text = "image = \"tool:1\"\n[container]\nport = 80\ncommand = [\"serve\"]\nuser = false\nmemory_gb = 8\nshm_gb = 2\n\
                    capabilities = [\"CHOWN\"]\nmodels = \"/models\"\ndata = \"/data\"\n";
        let container = parse(text).unwrap().container.unwrap();
        assert_eq!((container.port, container.user, container.memory), (80, false, Some(8 << 30)));
        assert_eq!((container.shared_memory, container.data.as_deref()), (Some(2 << 30), Some("/data".as_ref())));
    }

    #[test]
    fn each_mistake_is_a_sentence() {
        for (text, word) in [
            ("image = \"a b\"", "image"),
            ("[container]\nport = 80", "image is missing"),
            ("image = \"a:1\"\n[container]\nport = 0", "container.port"),
            ("image = \"a:1\"\n[container]\nmemory_gb = 0", "container.memory_gb"),
            ("image = \"a:1\"\n[container]\ncapabilities = [\"ALL\"]", "container.capabilities"),
            ("image = \"a:1\"\n[container]\ndata = \"../x\"", "container.data"),
            ("image = \"a:1\"\n[container]\nmodels = \"/\"", "container.models"),
            ("image = \"a:1\"\n[container]\nprots = 80", "did you mean \"port\""),
        ] {
            let problems = parse(text).unwrap_err();
            assert!(problems.iter().any(|p| p.contains(word)), "{text}: {problems:?}");
        }
        let text = "name = \"T\"\nabout = \"a\"\ninstall = \"t\"\nimage = \"a:1\"\n";
        let problems = ToolSpec::parse(ToolId::parse("t").unwrap(), text).unwrap_err();
        assert!(problems[0].contains("public_port"), "{problems:?}");
    }
}
