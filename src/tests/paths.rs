//! Hostile names in every place of the API that takes a name (bar A4): nothing outside a profile's own files is ever
//! answered, nothing fails on our side, nothing appears on the disk. Sends raw requests, because a client would tidy
//! the paths first.

use crate::{jobs_survive::Api, program::Program};
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";
/// Stands in a file beside the data folder, in one inside `state/`, and in another profile's folder.
const CANARY: &str = "canary-7d1f0c";
/// Largest answer that is looked at.
const MOST: u64 = 1 << 20;

/// Every place of an address that takes an id.
const ROUTES: [(&str, &str); 19] = [
    ("GET", "/api/v1/artifacts/zips/{}"),
    ("GET", "/api/v1/artifacts/{}"),
    ("GET", "/api/v1/artifacts/{}/file"),
    ("GET", "/api/v1/artifacts/{}/thumb"),
    ("DELETE", "/api/v1/artifacts/{}"),
    ("GET", "/api/v1/jobs/{}"),
    ("DELETE", "/api/v1/jobs/{}"),
    ("HEAD", "/api/v1/uploads/{}"),
    ("PATCH", "/api/v1/uploads/{}"),
    ("GET", "/api/v1/datasets/{}"),
    ("GET", "/api/v1/datasets/{}/zip"),
    ("DELETE", "/api/v1/datasets/{}"),
    ("GET", "/api/v1/dataset-pictures/{}/file"),
    ("GET", "/api/v1/dataset-pictures/{}/thumb"),
    ("PATCH", "/api/v1/dataset-uploads/{}"),
    ("GET", "/datasets/{}"),
    ("GET", "/picture/{}"),
    ("GET", "/assets/{}"),
    ("GET", "/{}"),
];

/// Files that somebody would like to read, and ways up to them.
fn names(data: &Path) -> Vec<String> {
    let outside = data.with_file_name("outside.txt").display().to_string();
    let targets = ["outside.txt", "state/easel.db", "state/canary.txt", "outputs/bob/canary.txt", "bob/canary.txt", "etc/passwd"];
    let ups = [
        "..",
        "../..",
        "../../..",
        "../../../..",
        "....//",
        "..;",
        "%2e%2e",
        "%2E%2E%2F..",
        "%252e%252e",
        ".%2e",
        "..%2f..",
        "..%252f..",
        "..\\",
        "..%5c..",
        "\\..\\..",
        "%c0%ae%c0%ae",
        "%e0%80%ae",
        "．．",
        "‥",
        "..%00",
        "./..",
        "/..",
        "//..",
        "zoe/..",
        "zoe/../..",
        "2026-01/../..",
        "~",
        "/proc/self/root",
        "/proc/self/cwd",
        "file:///",
        "C:",
        "%2f",
        "%2f..%2f..",
    ];
    let mut names: Vec<String> = ups.iter().flat_map(|up| targets.iter().map(move |t| format!("{up}/{t}"))).collect();
    names.extend(ups.iter().flat_map(|up| targets.iter().map(move |t| format!("{up}%2f{}", t.replace('/', "%2f")))));
    names.extend(targets.iter().flat_map(|t| [format!("{t}%00.png"), format!("{t}\u{0}"), format!("{t}/."), format!("{t}//")]));
    names.extend(ups.iter().map(ToString::to_string));
    // Names that look alike in another Unicode form, controls, marks of direction, devices, and very long ones.
    for odd in
        ["Zoe\u{301}", "Zoé", "ｚｏｅ", "zoe\u{202e}", "zoe\u{200b}", "ZOE", "zoe ", "zoe.", "CON", "nul", "-rf", "*", "?", "|"]
    {
        names.extend([odd.to_owned(), format!("{odd}/../bob/canary.txt"), format!("artifact:{odd}"), format!("upload:{odd}")]);
    }
    names.extend([outside.clone(), format!("/{outside}"), "a".repeat(3000), "%2e/".repeat(900), "/".repeat(3000)]);
    names
}

/// What cannot stand in the first line of a request is sent percent-encoded, as a browser does.
fn in_path(name: &str) -> String {
    name.bytes().map(|b| if b.is_ascii_graphic() { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

/// Sends one request as it stands; its status, and its whole answer as text.
fn send(program: &Program, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let host = program.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(host).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // A server may answer and close before it has read a line that it refuses.
    let _ = socket.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = socket.take(MOST).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

/// Where datasets take names: their own, those of files, those of pictures of the gallery.
fn of_datasets(dataset: &str, name: &str) -> [(String, serde_json::Value); 3] {
    [
        ("/api/v1/datasets".to_owned(), json!({"name": name, "trigger": name})),
        (format!("/api/v1/datasets/{dataset}/uploads"), json!({"name": name, "bytes": 9})),
        (format!("/api/v1/datasets/{dataset}/artifacts"), json!({"ids": [name]})),
    ]
}

/// Every file below a folder and beside it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path())
            } else {
                found.insert(entry.path().display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_out_of_a_profiles_own_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let program = Program::start_in(folder.path(), &[]);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    bob.ready().await;
    let job = bob.submit("b", &json!({"prompt": CANARY, "steps": 1})).await.unwrap();
    let done = bob.over(&job).await;
    let artifact = done["artifacts"][0]["id"].as_str().unwrap().to_owned();
    let data = program.data().to_path_buf();
    for place in ["../outside.txt", "state/canary.txt", "outputs/bob/canary.txt"] {
        std::fs::write(data.join(place), CANARY).unwrap();
    }
    let mut names = names(&data);
    names.extend([artifact.clone(), format!("artifact:{artifact}"), job.clone(), format!("../{artifact}")]);
    let made = zoe.send(reqwest::Method::POST, "/datasets", Some(&json!({"name": "Cats"}))).await.1;
    let dataset = made["id"].as_str().unwrap();
    let before = files(folder.path());
    let (mut sent, token) = (0, zoe.token.clone());
    let check = |what: String, (status, text): (u16, String)| {
        assert!((200..500).contains(&status), "{what}: {status}");
        assert!(!text.contains(CANARY) && !text.contains("root:x:0"), "{what} was answered:\n{text}");
        assert!(!text.contains("SQLite format"), "{what} answered the store");
    };
    for name in &names {
        for (method, route) in ROUTES {
            let path = route.replace("{}", &in_path(name));
            check(format!("{method} {path}"), send(&program, &token, method, &path, ""));
        }
        for recipe in [
            json!({"image": name}),
            json!({"image": format!("artifact:{name}")}),
            json!({"image": format!("upload:{name}")}),
            json!({"mask": name, "image": name}),
            json!({"model": name}),
        ] {
            let mut recipe = recipe;
            recipe["prompt"] = "a lake".into();
            let (status, text) = send(&program, &token, "POST", "/api/v1/jobs", &recipe.to_string());
            assert!((400..500).contains(&status), "{recipe} was taken: {status}");
            check(recipe.to_string(), (status, text));
        }
        let zip = json!({ "ids": [name] }).to_string();
        for route in ["/api/v1/artifacts/zip", "/api/v1/artifacts/zips"] {
            check(format!("zip of {name}"), send(&program, &token, "POST", route, &zip));
        }
        for (path, body) in of_datasets(dataset, name) {
            check(format!("{path} {name}"), send(&program, &token, "POST", &path, &body.to_string()));
        }
        sent += ROUTES.len() + 10;
    }
    println!("{} names, {sent} requests", names.len());
    assert!(names.len() >= 500, "only {} names", names.len());
    assert_eq!(bob.get("/artifacts").await["items"].as_array().unwrap().len(), 1, "another's picture is gone");
    let volatile = |name: &&String| !name.contains("easel.db") && !name.contains("/logs/") && !name.ends_with("stderr.log");
    let after = files(folder.path());
    let made: Vec<&String> = after.symmetric_difference(&before).filter(volatile).collect();
    assert!(made.is_empty(), "these files came or went: {made:?}");
}
