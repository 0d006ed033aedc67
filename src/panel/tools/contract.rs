//! What scripts get: the environment, whole and by name. `setup/README.md` says it to those who write scripts. Builds
//! lists of variables; starts nothing, and no value ever becomes an argument or part of a command.

use super::{Admits, Own, ToolSpec};
use crate::secrets::Secret;
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// Exit code of a script whose surroundings are wrong: running it again would end the same way.
pub const CONFIG_ERROR: i32 = 3;

/// Every variable of the contract, and when it is set. A test holds `setup/README.md` against this list.
pub const NAMES: [&str; 28] = [
    "EASEL_TOOL",
    "EASEL_WORKSPACE",
    "EASEL_TOOL_DIR",
    "EASEL_SETUP",
    "EASEL_MODELS",
    "EASEL_BACKUP",
    "EASEL_UV",
    "EASEL_GPU",
    "EASEL_PICKS",
    "EASEL_VERSION",
    "EASEL_GO_BACK",
    "EASEL_HOST",
    "EASEL_PORT",
    "EASEL_BASE_URL",
    "EASEL_TOKEN",
    "EASEL_PROFILE",
    "EASEL_OUTPUT",
    "EASEL_INPUT",
    "EASEL_TEMP",
    "EASEL_USER_DIR",
    "EASEL_PID",
    "EASEL_GIT_MIRROR",
    "EASEL_TORCH_INDEX",
    "EASEL_DOTNET_FEED",
    "HF_ENDPOINT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "PIP_INDEX_URL",
];

/// Variables of Easel's own environment that every script and shell gets: mirrors, proxies, certificates, the driver's,
/// language. The only list of what other programs may see of it.
const PASSED: &[&str] = &[
    "EASEL_GIT_MIRROR",
    "EASEL_TORCH_INDEX",
    "EASEL_DOTNET_FEED",
    "EASEL_GPU",
    "HF_ENDPOINT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "npm_config_registry",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_VERSION",
    "CUDA_VISIBLE_DEVICES",
];
/// The same by their beginning.
const PASSED_PREFIXES: &[&str] = &["LC_", "NVIDIA_"];
/// Where programs are looked for when Easel's environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether every script and shell gets this variable of Easel's own environment.
pub fn passes(name: &str) -> bool {
    PASSED.contains(&name) || PASSED_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Where things of all tools lie. Full paths.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder in which tools are installed.
    pub workspace: PathBuf,
    /// The models of the studio.
    pub models: PathBuf,
    /// Below it, a folder for each tool in which reinstalling puts things aside.
    pub backup: PathBuf,
    /// `uv`, where there is one.
    pub uv: Option<PathBuf>,
}

/// The version that a change leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    #[default]
    Newest,
    /// The one before the last update.
    Earlier,
}

/// What a script is run for.
#[derive(Clone, Debug)]
pub enum Call {
    /// Install, update or reinstall.
    Change {
        /// What was chosen, checked by [`super::Choices::check`]; empty for everything.
        picks: Vec<String>,
        /// Tokens for this run, by the name of their variable; checked to be among the tool's `environment`.
        tokens: BTreeMap<String, Secret>,
        /// Which version is wanted.
        version: Version,
    },
    /// Start.
    Start(Start),
    /// Kill.
    Kill {
        /// The process that the start script became.
        pid: u32,
    },
}

/// What a tool is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its port on loopback, chosen by Easel.
    pub port: u16,
    /// The address under which browsers reach its gate.
    pub base_url: Option<String>,
    /// A secret of this start: the tool lets in whoever has it, and the gate has it.
    pub token: Option<Secret>,
    /// Who started it, and the folder below which that profile's own folders of this tool lie.
    pub profile: Option<(String, PathBuf)>,
}

/// The whole environment of a script; `setup` is the folder of the tool's scripts. `panel` is Easel's own environment with the secrets of its settings on top; of it
/// comes only what everybody gets and what the tool's `environment` names.
pub fn environment(
    tool: &ToolSpec,
    home: &str,
    setup: &Path,
    places: &Places,
    call: &Call,
    panel: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let seen = |name: &String| passes(name) || tool.environment.contains(name);
    let mut env: BTreeMap<String, String> =
        panel.iter().filter(|(name, _)| seen(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    env.entry("PATH".into()).or_insert_with(|| PATH.into());
    // Programs ask for it where no such user is known to the system.
    for name in ["USER", "LOGNAME"] {
        env.insert(name.into(), format!("easel-{home}"));
    }
    let mut set = |name: &str, value: String| drop(env.insert(name.into(), value));
    set("EASEL_TOOL", tool.id.to_string());
    set("EASEL_WORKSPACE", text(&places.workspace));
    set("EASEL_TOOL_DIR", text(&places.workspace.join(home)));
    set("EASEL_SETUP", text(setup));
    set("EASEL_MODELS", text(&places.models));
    set("EASEL_BACKUP", text(&places.backup.join(home)));
    set("EASEL_UV", places.uv.as_deref().map(text).unwrap_or_default());
    match call {
        Call::Change { picks, tokens, version } => {
            tokens.iter().for_each(|(name, token)| set(name, token.expose().to_owned()));
            set("EASEL_PICKS", picks.join("\n"));
            set("EASEL_VERSION", String::new());
            if *version == Version::Earlier {
                set("EASEL_GO_BACK", "1".into());
            }
        }
        Call::Kill { pid } => set("EASEL_PID", pid.to_string()),
        Call::Start(start) => started_with(tool, start, set),
    }
    env
}

fn started_with(tool: &ToolSpec, start: &Start, mut set: impl FnMut(&str, String)) {
    set("EASEL_HOST", Ipv4Addr::LOCALHOST.to_string());
    set("EASEL_PORT", start.port.to_string());
    set("EASEL_BASE_URL", start.base_url.clone().unwrap_or_default());
    if let Some(token) = &start.token {
        set("EASEL_TOKEN", token.expose().to_owned());
    }
    let Some((profile, folder)) = &start.profile else { return };
    // A tool for everybody is nobody's in particular.
    if tool.admits != Admits::Everyone {
        set("EASEL_PROFILE", profile.clone());
        for own in &tool.per_profile {
            let name = match own {
                Own::Output => "EASEL_OUTPUT",
                Own::Input => "EASEL_INPUT",
                Own::Temp => "EASEL_TEMP",
                Own::User => "EASEL_USER_DIR",
            };
            set(name, text(&folder.join(own.folder())));
        }
    }
}

/// Paths come from Easel's own configuration, which is text.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::ToolId;

    const COMFY: &str = include_str!("../../../setup/comfy/tool.toml");

    fn comfy() -> ToolSpec {
        ToolSpec::parse(ToolId::parse("comfy").unwrap(), COMFY).unwrap()
    }

    /// The same, if only the profile that started it had it.
    fn of_its_starter() -> ToolSpec {
        let own = "admits = \"starter\"\nper_profile = [\"output\", \"user\"]";
        let text = COMFY.replace("admits = \"everyone\"\nisolation = \"comfyui\"", own);
        ToolSpec::parse(ToolId::parse("comfy").unwrap(), &text).unwrap()
    }

    fn environment_of(call: &Call, panel: &[(&str, &str)]) -> BTreeMap<String, String> {
        environment_for(&comfy(), call, panel)
    }

    fn environment_for(tool: &ToolSpec, call: &Call, panel: &[(&str, &str)]) -> BTreeMap<String, String> {
        let places = Places { workspace: "/w".into(), models: "/m".into(), backup: "/b".into(), uv: Some("/opt/uv".into()) };
        let panel = panel.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        environment(tool, "comfy", Path::new("/s/comfy"), &places, call, &panel)
    }

    fn start() -> Call {
        let profile = Some(("zoe".into(), "/o/zoe/comfy".into()));
        Call::Start(Start { port: 40_001, base_url: Some("https://p-8188.example".into()), token: None, profile })
    }

    #[test]
    fn a_tool_sees_what_it_may_and_nothing_of_the_panels_secrets() {
        let env = environment_of(
            &start(),
            &[
                ("RUNPOD_API_KEY", "canary"),
                ("JUPYTER_PASSWORD", "canary"),
                ("EASEL_PORT", "8080"),
                ("CIVITAI_TOKEN", "canary"),
                ("HF_TOKEN", "hf_1"),
                ("HTTPS_PROXY", "http://p"),
                ("LC_ALL", "C"),
            ],
        );
        assert!(env.values().all(|value| value != "canary"), "{env:?}");
        assert_eq!((env["HF_TOKEN"].as_str(), env["HTTPS_PROXY"].as_str(), env["LC_ALL"].as_str()), ("hf_1", "http://p", "C"));
        assert_eq!((env["EASEL_HOST"].as_str(), env["EASEL_PORT"].as_str()), ("127.0.0.1", "40001"));
        assert!(env["PATH"].contains("/usr/bin"));
    }

    #[test]
    fn each_profile_gets_folders_of_its_own() {
        assert!(!environment_of(&start(), &[]).contains_key("EASEL_OUTPUT"), "what all share has none");
        let env = environment_for(&of_its_starter(), &start(), &[]);
        assert_eq!(env["EASEL_OUTPUT"], "/o/zoe/comfy/output");
        assert_eq!((env["EASEL_USER_DIR"].as_str(), env["EASEL_TOOL_DIR"].as_str()), ("/o/zoe/comfy/user", "/w/comfy"));
        assert!(!env.contains_key("EASEL_PID") && !env.contains_key("EASEL_PICKS"));
    }

    #[test]
    fn picks_are_lines() {
        let env = environment_of(
            &Call::Change { picks: vec!["a".into(), "b".into()], tokens: BTreeMap::new(), version: Version::Newest },
            &[],
        );
        assert_eq!((env["EASEL_PICKS"].as_str(), env["EASEL_SETUP"].as_str()), ("a\nb", "/s/comfy"));
    }

    #[test]
    fn the_readme_of_the_setup_folder_tells_every_name_and_no_other() {
        let readme = include_str!("../../../setup/README.md");
        for name in NAMES {
            assert!(readme.contains(&format!("`{name}`")), "{name} is missing in setup/README.md");
        }
        for word in readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|w| w.starts_with("EASEL_")) {
            assert!(NAMES.contains(&word) || word == "EASEL_SETUP_DIR", "{word} in setup/README.md is no name of the contract");
        }
    }
}
