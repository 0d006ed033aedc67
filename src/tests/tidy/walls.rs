//! The walls of the house: which package may depend on which, which file may name a crate, which folder of
//! the panel may import which. Two tables and their tests.

use super::{report, root, sources};
use std::fs;

/// Package → packages of ours that it may depend on.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("assets", &[]),
    ("containers", &["supervise"]),
    ("engine", &["media", "protocol"]),
    ("media", &["protocol"]),
    ("panel", &["assets", "containers", "media", "protocol", "repos", "supervise"]),
    ("protocol", &[]),
    ("repos", &[]),
    ("supervise", &[]),
];

/// Name in the code → the only places (prefixes of paths) that may say it.
const NAMES: &[(&str, &[&str])] = &[
    ("rusqlite::", &["src/panel/store/"]),
    ("argon2::", &["src/panel/secrets.rs"]),
    ("figment::", &["src/panel/config.rs", "src/panel/config/"]),
    ("std::env::var", &["src/panel/config.rs", "src/panel/config/"]),
    (
        "Command::new(",
        &[
            "src/supervise/spawner.rs",
            "src/supervise/guardian/child.rs",
            "src/supervise/init.rs",
            "src/cli/try_gpu.rs",
            "src/assets/build.rs",
        ],
    ),
    ("rayon::", &["src/engine/cpu/"]),
    ("cudarc::", &["src/engine/cuda/card.rs", "src/engine/cuda/blas/"]),
    ("lzma_rust2::", &["src/engine/build/", "src/engine/cuda/images.rs"]),
    ("safetensors::", &["src/engine/weights/", "src/engine/golden/"]),
    ("memmap2::", &["src/engine/weights/"]),
    ("tokenizers::", &["src/engine/text/"]),
    ("image::", &["src/media/", "src/containers/lib.rs"]),
    ("portable_pty::", &["src/supervise/terminal.rs"]),
    ("actix_ws::", &["src/panel/web/terminal/"]),
    (
        "reqwest::",
        &[
            "src/cli/",
            "src/panel/outgoing.rs",
            "src/panel/tools/health.rs",
            "src/panel/addresses.rs",
            "src/panel/datasets/captioner/ask.rs",
            "src/panel/pod/api.rs",
        ],
    ),
    ("Client::builder(", &["src/panel/outgoing.rs"]),
    ("Client::new(", &["src/panel/outgoing.rs"]),
    ("reqwest::Client::new(", &["src/panel/outgoing.rs"]),
    ("reqwest::Client::builder(", &["src/panel/outgoing.rs"]),
    (
        "zip::",
        &[
            "src/panel/web/api/zip.rs",
            "src/panel/web/api/openapi.rs",
            "src/panel/datasets/archive.rs",
            "src/panel/datasets/export.rs",
        ],
    ),
    ("base64::", &["src/panel/datasets/captioner/ask.rs", "src/repos/hosts.rs", "src/repos/ssh.rs"]),
    ("openat2", &["src/panel/beneath.rs"]),
    ("sysinfo::", &["src/panel/system/"]),
    ("nvml_wrapper::", &["src/panel/gpus.rs"]),
    ("tracing_subscriber::", &["src/cli/"]),
    ("actix_web::", &["src/panel/web/", "src/panel/startup.rs", "src/panel/error.rs"]),
    ("bollard::", &["src/containers/"]),
    ("git2::", &["src/repos/"]),
    ("libgit2_sys::", &["src/repos/"]),
    ("rustls::", &["src/repos/tls.rs", "src/panel/outgoing.rs"]),
    ("repos::", &["src/panel/boot/", "src/panel/config/boot.rs", "src/cli/sync.rs"]),
    ("hyper::", &["src/panel/gate/", "src/containers/raw.rs"]),
    ("hyper_util::", &["src/panel/gate/", "src/containers/raw.rs"]),
    ("http_body_util::", &["src/panel/gate/", "src/containers/raw.rs"]),
    ("tokio_tungstenite::", &["src/panel/gate/comfy/socket.rs"]),
    ("multer::", &["src/panel/gate/comfy/form.rs"]),
    ("percent_encoding::", &["src/panel/gate/comfy/address.rs"]),
    ("form_urlencoded::", &["src/panel/gate/comfy/"]),
];

/// Folder or file of the panel → what it must not import, by the beginning of the path after `crate::`.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("src/panel/jobs/", &["web", "startup", "app"]),
    ("src/panel/tools/", &["web", "startup", "app", "jobs"]),
    ("src/panel/sessions", &["web", "startup", "app", "jobs", "tools"]),
    ("src/panel/store/", &["web", "startup", "app", "engine_client"]),
    ("src/panel/engine_client", &["web", "startup", "app", "store", "jobs"]),
    ("src/panel/users", &["web", "startup", "app"]),
    ("src/panel/tools/", &["web", "startup", "app", "jobs"]),
    ("src/panel/sessions", &["web", "startup", "app", "jobs", "tools", "engine_client"]),
    ("src/panel/audit.rs", &["web", "startup", "app", "engine_client", "jobs"]),
    ("src/panel/logs", &["web", "startup", "app", "store", "jobs", "engine_client"]),
    ("src/panel/models", &["web", "startup", "app", "engine_client", "jobs"]),
    ("src/panel/datasets", &["web", "startup", "app", "engine_client", "jobs", "tools", "sessions"]),
    ("src/panel/system", &["web", "startup", "app", "jobs"]),
    ("src/panel/pod", &["web", "startup", "app", "store", "jobs", "tools", "engine_client"]),
    ("src/panel/notices.rs", &["web", "startup", "store"]),
    ("src/panel/app.rs", &["web", "startup"]),
    ("src/panel/gate/", &["web", "startup", "app", "jobs", "engine_client", "artifacts"]),
    ("src/engine/cpu/", &["cuda", "models", "pipelines", "serve", "registry", "samplers"]),
    ("src/engine/cuda/", &["cpu", "models", "pipelines", "serve", "registry", "samplers"]),
    ("src/engine/models/", &["cpu", "cuda", "pipelines", "serve", "registry", "samplers"]),
    ("src/engine/samplers/", &["cpu", "cuda", "models", "pipelines", "serve", "registry"]),
    ("src/engine/nn/", &["cpu", "cuda", "models", "pipelines", "serve", "registry", "samplers"]),
];

#[test]
fn packages_depend_only_downwards() {
    let mut complaints = Vec::new();
    for (package, allowed) in PACKAGES {
        let manifest = fs::read_to_string(root().join("src").join(package).join("Cargo.toml")).unwrap();
        for (other, _) in PACKAGES {
            let named = manifest.lines().any(|l| l.starts_with(&format!("{other}.")) || l.starts_with(&format!("{other} ")));
            if named && !allowed.contains(&other) {
                complaints.push(format!("{package} must not depend on {other}"));
            }
        }
    }
    report("packages", &complaints);
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut complaints = Vec::new();
    for file in sources(&["rs"]).iter().filter(|f| !f.is_test()) {
        for (line, text) in file.code() {
            for (name, places) in NAMES {
                if contains_name(text, name) && !places.iter().any(|p| file.path.starts_with(p)) {
                    complaints.push(format!("{}:{line}: {name} belongs to {}", file.path, places.join(", ")));
                }
            }
        }
    }
    report("names outside their place", &complaints);
}

/// Whether `text` says `name` as a word of its own: `image::` is not in `my_image::` or `crate::image::`.
fn contains_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(i, _)| !text[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn folders_import_only_downwards() {
    let mut complaints = Vec::new();
    for file in sources(&["rs"]).iter().filter(|f| !f.is_test()) {
        for (folder, forbidden) in FORBIDDEN.iter().filter(|(folder, _)| file.path.starts_with(folder)) {
            for (line, text) in file.code() {
                for target in forbidden.iter() {
                    if text.contains(&format!("crate::{target}::")) {
                        complaints.push(format!("{}:{line}: {folder} must not import {target}", file.path));
                    }
                }
            }
        }
    }
    report("imports upwards", &complaints);
}

#[test]
fn sql_stands_in_one_file() {
    let starts = ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "CREATE TABLE", "PRAGMA "];
    let mut complaints = Vec::new();
    for file in sources(&["rs"]).iter().filter(|f| !f.is_test() && f.path != "src/panel/store/sql.rs") {
        for (line, text) in file.code() {
            if starts.iter().any(|s| text.contains(&format!("\"{s}"))) {
                complaints.push(format!("{}:{line}: SQL belongs to src/panel/store/sql.rs", file.path));
            }
        }
    }
    report("SQL outside its file", &complaints);
}

#[test]
fn pages_have_no_inline_script_or_style() {
    let mut complaints = Vec::new();
    for file in sources(&["html"]) {
        for (i, line) in file.text.lines().enumerate() {
            let script = line.contains("<script") && !line.contains("src=") && !line.contains("application/json");
            let handler =
                [" onclick=", " onload=", " onsubmit=", " onchange=", " oninput=", " style=\"", "javascript:", "<style"];
            if script || handler.iter().any(|h| line.contains(h)) {
                complaints.push(format!(
                    "{}:{}: inline script or style, which the content security policy refuses",
                    file.path,
                    i + 1
                ));
            }
        }
    }
    report("inline script or style", &complaints);
}

#[test]
fn the_word_matcher_knows_words() {
    assert!(contains_name("use image::DynamicImage;", "image::"));
    assert!(!contains_name("crate::image::load()", "image::"));
    assert!(!contains_name("base_image::X", "image::"));
}
