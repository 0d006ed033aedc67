//! The keys of `tool.toml`, and the refusal of others. Knows names only; `spec.rs` knows what they mean.

use crate::meant::nearest;

/// Table (empty for the outermost) → its keys.
const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "name",
            "about",
            "public_port",
            "install",
            "within",
            "health",
            "apt",
            "needs_gpu",
            "vram_gb",
            "admits",
            "isolation",
            "per_profile",
            "autostart",
            "environment",
            "restart",
            "image",
            "container",
            "picks",
            "release_vram",
            "gate",
        ],
    ),
    ("health", &["path", "expect", "start_timeout_s", "interval_s"]),
    ("container", &["port", "command", "user", "memory_gb", "shm_gb", "capabilities", "models", "data"]),
    ("picks", &["file", "below"]),
    ("release_vram", &["method", "path", "body"]),
    ("gate", &["authorization"]),
];

/// A sentence for every key that does not exist.
pub(super) fn unknown(text: &toml::Table) -> Vec<String> {
    let mut problems = Vec::new();
    for (table, keys) in KEYS {
        let found = if table.is_empty() { Some(text) } else { text.get(*table).and_then(toml::Value::as_table) };
        for key in found.into_iter().flat_map(toml::Table::keys).filter(|key| !keys.contains(&key.as_str())) {
            let shown = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
            let hint = match nearest(key, keys.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the keys are {}.", keys.join(", ")),
            };
            problems.push(format!("unknown key \"{shown}\": {hint}"));
        }
    }
    problems
}
