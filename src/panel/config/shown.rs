//! The configuration as it is shown to admins: every key with its value and where that came from, secrets masked.
//! Knows no page.

use super::KEYS;
use figment::{Figment, value::Value};

/// Parts of a key's name that make its value a secret.
const SECRET: [&str; 5] = ["token", "password", "secret", "api_key", "credential"];

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As it is written in `easel.toml`.
    pub key: String,
    /// Its value as TOML writes it; `•••` of a secret, nothing where it has none.
    pub value: String,
    /// "the defaults", "easel.toml", "the environment", "the command line".
    pub from: String,
}

/// Every key with what came of it.
pub(super) fn settings(figment: &Figment) -> Vec<Setting> {
    let setting = |(key, _): &(&str, bool)| {
        let from = figment.find_metadata(key).map(|m| m.name.to_string()).unwrap_or_default();
        let value = figment.find_value(key).ok();
        let shown = value.as_ref().map(in_toml).unwrap_or_default();
        let secret = SECRET.iter().any(|part| key.contains(part)) && !shown.is_empty();
        Setting {
            key: (*key).to_owned(),
            value: if secret { "•••".into() } else { shown },
            // figment calls the flags by the name of their type.
            from: match from.as_str() {
                "" => "not set".into(),
                name if name.contains("Flags") => "the command line".into(),
                name => name.into(),
            },
        }
    };
    KEYS.iter().map(setting).collect()
}

fn in_toml(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("\"{}\"", without_user(text)),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(in_toml).collect::<Vec<_>>().join(", ")),
        Value::Num(_, n) => {
            let whole = n.to_u128().map(|n| n.to_string()).or(n.to_i128().map(|n| n.to_string()));
            whole.or(n.to_f64().map(|n| n.to_string())).unwrap_or_default()
        }
        Value::Dict(_, dict) => {
            let entries: Vec<String> = dict.iter().map(|(key, value)| format!("{key} = {}", in_toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Char(..) | Value::Empty(..) => "…".into(),
    }
}

/// An address without the user and password that may stand in it.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://•••@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Flags};
    use std::collections::BTreeMap;

    #[test]
    fn every_key_is_shown_with_where_it_came_from() {
        let environment = BTreeMap::from([("EASEL_LOG".to_owned(), "debug".to_owned()), ("SECRET_X".into(), "canary".into())]);
        let file = Some(("easel.toml".into(), "public_urls = [\"https://ada:canary@studio.example.org\"]\nport = 9\n".into()));
        let flags = Flags { port: Some(0), ..Flags::default() };
        let config = Config::from_parts(flags, &environment, file).unwrap();
        let find = |key: &str| {
            let found = config.settings.iter().find(|s| s.key == key).unwrap();
            (found.value.clone(), found.from.clone())
        };
        assert_eq!(find("port"), ("0".into(), "the command line".into()));
        assert_eq!(find("log"), ("\"debug\"".into(), "the environment".into()));
        assert_eq!(find("public_urls"), ("[\"https://•••@studio.example.org\"]".into(), "easel.toml".into()));
        assert_eq!(find("engine_idle_s"), ("600".into(), "the defaults".into()));
        assert_eq!(find("assets").1, "not set");
        assert_eq!(config.settings.len(), super::KEYS.len());
        assert_eq!(config.variables, ["EASEL_LOG", "SECRET_X"], "names only");
    }
}
