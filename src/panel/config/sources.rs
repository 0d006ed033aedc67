//! Where keys come from, as figment asks for them: the defaults, `easel.toml`, the `EASEL_*` variables. Knows no meaning of a key.

use super::{KEYS, STUDIO};
use crate::tools::contract;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};
use std::{collections::BTreeMap, path::PathBuf};

/// Variables that say all about the studio's own repository, for who rents a pod and writes no file.
const REPO: &str = "EASEL_REPO";
const REPO_BRANCH: &str = "EASEL_REPO_BRANCH";
pub(super) const REPO_TOKEN: &str = "EASEL_REPO_TOKEN";
/// The one key whose variable is not called as it is: EASEL_SETUP is what each script of a tool gets.
const SETUP_VARIABLE: &str = "EASEL_SETUP_DIR";

/// TOML text under a name of our own.
pub(super) struct Text(pub(super) &'static str, pub(super) &'static str);

impl Provider for Text {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Toml::string(self.1).data()
    }
}

/// `easel.toml`, already read.
pub(super) struct File(pub(super) PathBuf, pub(super) String);

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.display().to_string())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Toml::string(&self.1).data()
    }
}

/// The `EASEL_*` variables.
pub(super) struct Environment<'a>(pub(super) &'a BTreeMap<String, String>);

impl Provider for Environment<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let (mut dict, mut repo) = (Dict::new(), Dict::new());
        // In a terminal of a tool the variables are the tool's: EASEL_PORT there is its port, not the studio's.
        let in_tool = self.0.contains_key("EASEL_TOOL_DIR");
        for (name, text) in self.0 {
            if in_tool && contract::NAMES.contains(&name.as_str()) || contract::passes(name) {
                continue;
            }
            if let Some(part) = [(REPO, "url"), (REPO_BRANCH, "branch")].iter().find(|(repo, _)| repo == name) {
                repo.insert(part.1.into(), Value::from(text.as_str()));
                continue;
            }
            let Some(key) = key_of(name) else { continue };
            let is_text = KEYS.iter().any(|(known, text)| *known == key && *text);
            let value = match key.as_str() {
                _ if is_text => Value::from(text.as_str()),
                "public_urls" => {
                    Value::from(text.split([',', ' ']).filter(|u| !u.is_empty()).map(Value::from).collect::<Vec<_>>())
                }
                // figment's reader of values panics at an escape after a letter beyond ASCII; no number has one.
                _ if text.is_ascii() => text.parse().unwrap_or_else(|_| Value::String(Tag::Default, text.clone())),
                _ => Value::from(text.as_str()),
            };
            dict.insert(key, value);
        }
        if !repo.is_empty() {
            let repos = Dict::from([(STUDIO.to_owned(), Value::from(repo))]);
            dict.insert("boot".into(), Value::from(Dict::from([("repos".to_owned(), Value::from(repos))])));
        }
        Ok(Profile::Default.collect(dict))
    }
}

/// The key that a variable sets. `EASEL_CONFIG` names the file and is no key.
fn key_of(variable: &str) -> Option<String> {
    match variable {
        SETUP_VARIABLE => Some("setup".into()),
        "EASEL_CONFIG" | REPO_TOKEN => None,
        _ => variable.strip_prefix("EASEL_").map(str::to_ascii_lowercase),
    }
}

/// The variable that sets a key.
pub(super) fn variable_of(key: &str) -> String {
    if key == "setup" { SETUP_VARIABLE.into() } else { format!("EASEL_{}", key.to_uppercase()) }
}
