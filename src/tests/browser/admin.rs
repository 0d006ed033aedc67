//! An admin's journey through every admin page in a real browser: in both themes, at 1440 and 360 pixels, with axe-core;
//! a profile disabled, a model fetched, uploaded and removed, a log that goes on.

use super::{Browser, access};
use crate::program::{Program, easel};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const USERS: &str = "[[user]]\nname = \"Zoë\"\n\n[[user]]\nname = \"Mateo\"\n\n[[user]]\nname = \"Ines\"\nrole = \"admin\"\n";
const PASSWORD: &str = "a sentence that ines keeps";
const TABS: [&str; 8] = ["system", "users", "models", "jobs", "logs", "audit", "containers", "debug"];

/// A studio whose admin has a password, and which may fetch from this machine.
pub(super) fn start(folder: &Path) -> Program {
    start_with(folder, "private_downloads = true\n")
}

fn start_with(folder: &Path, settings: &str) -> Program {
    std::fs::write(folder.join("users.toml"), USERS).unwrap();
    std::fs::create_dir_all(folder.join("data")).unwrap();
    std::fs::write(folder.join("data/easel.toml"), settings).unwrap();
    let program = Program::start_in(folder, &[]);
    let mut child =
        easel().args(["user", "set-password", "ines", "--data"]).arg(program.data()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    program
}

pub(super) async fn enter_admin_mode(b: &Browser, program: &Program) {
    b.pick(program, "Ines").await;
    b.go(&program.at("/admin")).await;
    b.fill("#password", PASSWORD).await;
    b.click("button[type=submit]").await;
    b.see("[data-admin-page=system]").await;
}

/// Adds a file that the engine takes for a model, with weights that say nothing.
fn tiny_model() -> Vec<u8> {
    let header = r#"{"model.diffusion_model.input_blocks.0.0.weight":{"dtype":"F32","shape":[0,4,3,3],"data_offsets":[0,0]},
        "first_stage_model.decoder.conv_in.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight":{"dtype":"F32","shape":[65536],"data_offsets":[0,262144]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend((0..262_144u32).map(|i| i as u8));
    file
}

/// A server of one file that is slow enough to be watched; its address.
fn slow_server(file: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/fetched.safetensors", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\netag: \"1\"\r\nconnection: close\r\n\r\n", file.len());
            let _ = stream.write_all(head.as_bytes());
            for piece in file.chunks(32_768) {
                let _ = stream.write_all(piece);
                std::thread::sleep(Duration::from_millis(400));
            }
        }
    });
    url
}

async fn says(b: &Browser, css: &str, words: &str) {
    let script = format!(
        "return [...document.querySelectorAll({})].some(e => e.textContent.includes({}))",
        Value::from(css),
        Value::from(words)
    );
    b.until(&format!("{css} says {words}"), &script).await;
}

/// Presses the button with these words inside an element.
async fn press(b: &Browser, within: &str, words: &str) {
    let script = format!(
        "const e = [...document.querySelectorAll({})].find(e => e.checkVisibility() && e.textContent.trim().startsWith({})); \
         if (!e) return false; e.click(); return true",
        Value::from(format!("{within} button, {within} summary")),
        Value::from(words)
    );
    b.until(&format!("{within} has a button {words}"), &script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_admin_page_in_both_themes_and_widths() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path());
    std::fs::write(folder.path().join("data/models/broken.safetensors"), b"no header").unwrap();
    std::fs::write(folder.path().join("data/models/old.ckpt"), b"pickle").unwrap();
    std::fs::write(folder.path().join("data/models/tiny.safetensors"), tiny_model()).unwrap();
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zo").await;
    for prompt in ["a red sunset", "a boat on a calm sea", "green hills"] {
        let body = json!({ "prompt": prompt, "steps": 4, "batch": 2 });
        b.run(&format!("return fetch('/api/v1/jobs', {{method: 'POST', body: JSON.stringify({body})}}).then(r => r.status)"))
            .await;
    }
    // What the studio asks by itself is answered before its profile goes.
    b.until("it has asked", "return document.querySelector('#before').textContent !== ''").await;
    b.run("document.querySelector('form[action=\"/switch\"]').requestSubmit(); return true").await;
    b.see(".profile-card").await;
    enter_admin_mode(&b, &program).await;
    // users.toml asks for more than it may give.
    std::fs::write(folder.path().join("users.toml"), format!("{USERS}\n[[user]]\nname = \"Aiko\"\nrole = \"admin\"\n")).unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let axe = access::axe();
    let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
    b.devtools("Emulation.setEmulatedMedia", still).await;
    let mut all = Vec::new();
    for tab in TABS {
        for (width, height) in [(1440, 900), (360, 740)] {
            b.resize(width, height).await;
            for theme in ["dark", "light"] {
                b.go(&program.at(&format!("/admin/{tab}"))).await;
                b.see("h1").await;
                b.run(&format!("document.documentElement.dataset.theme = '{theme}'; return true")).await;
                if tab == "system" {
                    b.see("#chart canvas").await;
                    b.see("#disk .track").await;
                }
                access::settle(&b).await;
                let found = access::findings(&b, &axe).await;
                all.extend(found.iter().map(|f| format!("{tab} {width} {theme}: {f}")));
                if b.run("return document.documentElement.scrollWidth > innerWidth").await == true {
                    all.push(format!("{tab} {width} {theme}: scrolls sideways"));
                }
                b.screenshot(&format!("admin-{tab}-{width}-{theme}")).await;
                if theme == "dark" {
                    b.whole_page(&format!("admin-{tab}-{width}-whole")).await;
                }
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_engines_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let program = start_with(folder.path(), "engine_device = \"cpu,cpu\"\n");
    let b = Browser::open(1440, 900).await;
    enter_admin_mode(&b, &program).await;
    let ready = "[...document.querySelectorAll('#engine-rows tr')].filter((row) => row.textContent.includes('Ready'))";
    b.until("both are ready", &format!("return {ready}.length === 2")).await;
    assert!(b.text("#place").await.contains("2 × CPU, "));
    let axe = access::axe();
    for (width, height) in [(1440, 900), (360, 740)] {
        b.resize(width, height).await;
        access::settle(&b).await;
        assert_eq!(access::findings(&b, &axe).await, Vec::<String>::new());
        assert_eq!(b.run("return document.documentElement.scrollWidth > innerWidth").await, json!(false));
        b.whole_page(&format!("admin-system-engines-{width}")).await;
    }
    let second = "document.querySelector('#engine-rows tr:nth-child(2)')";
    b.run(&format!("{second}.querySelector('button').click()")).await;
    b.until("it starts again", &format!("return {second}.textContent.includes('Starting')")).await;
    b.until("and is back", &format!("return {ready}.length === 2 && !{second}.querySelector('button').disabled")).await;
    b.go(&program.at("/studio")).await;
    b.until("a picture is made on one of them", "return document.body.textContent.includes('on the CPU')").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_changes_profiles_and_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path());
    let b = Browser::open(1440, 900).await;
    enter_admin_mode(&b, &program).await;
    assert!(b.text(".adminmode").await.contains("30 min"));
    b.click(".tabs a[href='/admin/users']").await;
    says(&b, "#users tr", "Mateo").await;
    b.fill("#new-name", "Zoe").await;
    press(&b, "#add-form", "Add").await;
    says(&b, "#new-id-error", "belongs to Zoë").await;
    b.screenshot("admin-users-refused").await;
    b.fill("#new-id", "zoe-2").await;
    press(&b, "#add-form", "Add").await;
    says(&b, "#users tr", "zoe-2").await;
    press(&b, "#users tr:nth-child(2)", "Change").await;
    b.screenshot("admin-users-menu").await;
    press(&b, "#users tr:nth-child(2)", "Login link").await;
    b.see("dialog #link").await;
    let link = b.run("return document.querySelector('#link').value").await;
    assert!(link.as_str().unwrap().contains("/key#"), "{link}");
    press(&b, "dialog", "Close").await;
    press(&b, "#users tr:nth-child(2)", "Change").await;
    press(&b, "#users tr:nth-child(2)", "Disable").await;
    b.see("dialog[open]").await;
    b.screenshot("admin-users-dialog").await;
    assert_eq!(b.run("return document.activeElement.textContent").await, json!("Keep"), "the safe button has the focus");
    press(&b, "dialog", "Disable Mateo").await;
    says(&b, "#users tr:nth-child(2)", "Disabled").await;
    press(&b, "#users tr:nth-child(2)", "Enable").await;
    says(&b, "#users tr:nth-child(2)", "Away").await;
    // A menu of a row that was drawn anew closes like any other.
    let menu = "document.querySelector('#users tr:nth-child(2) details')";
    press(&b, "#users tr:nth-child(2)", "Change").await;
    b.run("document.querySelector('h1').dispatchEvent(new PointerEvent('pointerdown', {bubbles: true})); return true").await;
    b.until("a click elsewhere closes it", &format!("return !{menu}.open")).await;
    press(&b, "#users tr:nth-child(2)", "Change").await;
    let escape =
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true, cancelable: true}));";
    b.run(&format!("{escape} return true")).await;
    b.until("so does Escape", &format!("return !{menu}.open && document.activeElement.tagName === 'SUMMARY'")).await;
    b.go(&program.at("/admin/audit")).await;
    says(&b, "#lines tr", "enabled: mateo").await;
    says(&b, "#lines tr", "turned admin mode on").await;
    // The one 422 above is the point of the journey; the console notes it.
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 4")), "{complaints:?}");
    b.click(".adminmode button").await;
    b.see("#prompt").await;
    assert_eq!(b.count("nav a[href=\"/admin/system\"]").await, 0);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_left_open_leads_to_the_door_when_admin_mode_ends_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path());
    let b = Browser::open(1440, 900).await;
    enter_admin_mode(&b, &program).await;
    for page in ["containers", "boot"] {
        b.go(&program.at(&format!("/admin/{page}"))).await;
        b.see("h1").await;
        // As another tab does.
        b.run("return fetch('/api/v1/admin-mode', {method: 'DELETE'}).then(r => r.status)").await;
        b.fill("#password", PASSWORD).await;
        b.click("button[type=submit]").await;
        b.see("[data-admin-page=system]").await;
    }
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 403")), "{complaints:?}");
    b.close().await;
}

/// Several files at once: each for itself.
async fn several(b: &Browser, folder: &Path) {
    let several =
        [("second.safetensors", tiny_model()), ("notes.txt", b"no model".to_vec()), ("third.safetensors", tiny_model())];
    let paths = several.map(|(name, bytes)| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file.display().to_string()
    });
    b.driver.find(thirtyfour::By::Css("#file")).await.unwrap().send_keys(paths.join("\n")).await.unwrap();
    says(b, "#models tr", "second.safetensors").await;
    says(b, "#models tr", "third.safetensors").await;
    says(b, "#file-error", "notes.txt does not end in .safetensors").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_brings_and_removes_models() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path());
    let b = Browser::open(1440, 900).await;
    enter_admin_mode(&b, &program).await;
    b.go(&program.at("/admin/models")).await;
    says(&b, "#models tr", "inside the program").await;
    b.fill("#url", &slow_server(tiny_model())).await;
    press(&b, "#fetch-form", "Download").await;
    says(&b, "#arrivals li", "Downloading").await;
    b.driver.refresh().await.unwrap();
    says(&b, "#arrivals li", "Downloading").await;
    b.screenshot("admin-models-downloading").await;
    says(&b, "#models tr", "fetched.safetensors").await;
    press(&b, "#models tr:nth-child(2)", "Remove").await;
    says(&b, "dialog", "are freed").await;
    b.screenshot("admin-models-dialog").await;
    press(&b, "dialog", "Remove the model").await;
    b.until("it is gone", "return !document.querySelector('#models').textContent.includes('fetched')").await;
    assert!(!program.data().join("models/fetched.safetensors").exists());
    // Another file of the same name and size was broken off: it is not gone on with.
    let begun = format!(
        "return fetch('/api/v1/admin/arrivals', {{method: 'POST', headers: {{'content-type': 'application/json'}}, body: \
         JSON.stringify({{name: 'mine.safetensors', bytes: {}, mark: '0'.repeat(64)}})}}).then(r => r.status)",
        tiny_model().len()
    );
    assert_eq!(b.run(&begun).await, json!(201));
    let mine = folder.path().join("mine.safetensors");
    std::fs::write(&mine, tiny_model()).unwrap();
    b.driver.find(thirtyfour::By::Css("#file")).await.unwrap().send_keys(mine.display().to_string()).await.unwrap();
    says(&b, "#file-error", "Another file of this name is on its way already.").await;
    press(&b, "#arrivals li", "Cancel").await;
    b.until("it is cancelled", "return document.querySelectorAll('#arrivals li').length === 0").await;
    // From this computer: a real file through the file chooser's field, then one that is no model.
    for (name, bytes, word) in
        [("mine.safetensors", tiny_model(), "#models tr"), ("page.safetensors", b"<html>".to_vec(), "#file-error")]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let field = b.driver.find(thirtyfour::By::Css("#file")).await.unwrap();
        field.send_keys(file.display().to_string()).await.unwrap();
        says(&b, word, if word == "#file-error" { "page" } else { name }).await;
    }
    b.screenshot("admin-models-no-model").await;
    several(&b, folder.path()).await;
    assert!(program.data().join("models/mine.safetensors").exists());
    assert!(!program.data().join("models/page.safetensors").exists());
    b.go(&program.at("/admin/logs")).await;
    says(&b, "#lines li", "POST").await;
    b.fill("#q", "no line says this").await;
    b.see("#none").await;
    // The refused upload is the point; the console notes it.
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 4")), "{complaints:?}");
    b.close().await;
}
