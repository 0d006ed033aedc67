//! Sets of models as an admin gets them: how much is there, which token is asked for, and that a token which was typed goes to
//! the server of the file and nowhere else. Knows the API and the shipped script's folder.

use crate::{comfy::guest::Guest, program::Program, setup::server::Server, tool_folder};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};

const USERS: &str = "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
const TOKEN: &str = "hf_canary0123456789";
const SETS: &str = r#"[[set]]
id = "locked"
name = "Locked"
about = "Two files, one of which asks for a token."
licence = "MIT"

[[set.file]]
url = "https://huggingface.co/a/b/resolve/main/1.safetensors"
path = "loras/1.safetensors"
gb = 1.5
token = "HF_TOKEN"

[[set.file]]
url = "https://huggingface.co/a/b/resolve/main/2.safetensors"
path = "loras/2.safetensors"
gb = 0.5
"#;

/// The smallest file of weights.
fn model() -> Vec<u8> {
    let header = br#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &[1, 2]].concat()
}

/// A studio with the shipped tool and sets of its own.
fn studio(folder: &Path, hub: &str) -> Program {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup");
    for part in ["lib", "models"] {
        tool_folder::copy(&shipped.join(part), &folder.join("setup").join(part));
    }
    fs::write(folder.join("setup/models/sets.toml"), SETS).unwrap();
    fs::write(folder.join("users.toml"), USERS).unwrap();
    let program = Program::start_with(
        folder,
        &["--setup", folder.join("setup").to_str().unwrap()],
        &[("HF_ENDPOINT", hub), ("HF_TOKEN", "")],
    );
    tool_folder::set_password(&program, "ada", crate::comfy::guest::PASSWORD);
    program
}

async fn set(ada: &Guest) -> Value {
    ada.api(Method::GET, "/tools/models/choices", Value::Null).await.1["items"][0].clone()
}

/// Every file below a folder that holds the token.
fn holding(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            holding(&entry.path(), found);
        } else if fs::read(entry.path()).is_ok_and(|b| b.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes())) {
            found.push(entry.path().display().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_typed_reaches_the_hub_and_stays_nowhere() {
    let (folder, hub) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(hub.path().join("a/b/resolve/main")).unwrap();
    for name in ["1", "2"] {
        fs::write(hub.path().join(format!("a/b/resolve/main/{name}.safetensors")), model()).unwrap();
    }
    let server = Server::of_folder(hub.path());
    let program = studio(folder.path(), &server.url(""));
    let ada = Guest::admin(&program).await;
    let before = set(&ada).await;
    let told = (before["there"].as_u64(), before["of"].as_u64(), before["missing_gb"].as_f64());
    assert_eq!((told, &before["tokens"]), ((Some(0), Some(2), Some(2.0)), &json!(["HF_TOKEN"])), "{before}");
    let tool = ada.tool("models").await;
    assert_eq!((tool["there"].as_u64(), tool["there_of"].as_u64()), (Some(0), Some(1)));
    let install = |tokens: Value| ada.api(Method::POST, "/tools/models/install", json!({"picks": ["locked"], "tokens": tokens}));
    // Not a way to set whatever a script reads.
    for tokens in [json!({"PATH": "/tmp"}), json!({"HF_TOKEN": "two words"}), json!({"HF_TOKEN": "x".repeat(600)})] {
        assert_eq!(install(tokens.clone()).await.0, 409, "{tokens}");
    }
    let (status, begun) = install(json!({"HF_TOKEN": TOKEN})).await;
    assert_eq!(status, 202, "{begun}");
    while ada.tool("models").await["state"] == "installing" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let after = set(&ada).await;
    assert_eq!((after["there"].as_u64(), &after["tokens"]), (Some(2), &json!([])), "{}", ada.tool("models").await);
    let with_token = |path: &str| server.asked().iter().any(|(p, _, a)| p.contains(path) && a.is_some());
    assert!(with_token("/1.safetensors") && !with_token("/2.safetensors"), "{:?}", server.asked());
    assert!(server.asked().iter().all(|(path, _, _)| !path.contains(TOKEN)));
    let mut found = Vec::new();
    holding(folder.path(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}
