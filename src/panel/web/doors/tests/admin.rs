//! What an admin in admin mode can do, over HTTP: profiles at once, everybody's jobs without their prompts, the trail
//! of it all; and what ends when admin mode does.

use super::studio::{Answer, Request, Studio};
use crate::control::Control;
use crate::logs::Level;
use crate::secrets::Secret;
use protocol::{Format, Recipe, Sampler, Schedule};
use serde_json::Value;
use std::time::{Duration, Instant};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Mateo\"\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
const PASSWORD: &str = "a sentence that ada keeps";
const PROMPT: &str = "canary prompt of zoe";

/// A studio with Ada in admin mode.
struct Admin {
    studio: Studio,
    cookie: String,
}

impl Admin {
    async fn start() -> Admin {
        let studio = Studio::start(USERS).await;
        let ask = Control::UserSetPassword { user: "ada".into(), password: Secret::new(PASSWORD) };
        studio.command(ask).await;
        let admin = Admin { cookie: studio.pick("ada").await, studio };
        assert_eq!(admin.json("POST", "/api/v1/admin-mode", &format!("{{\"password\":\"{PASSWORD}\"}}")).await.status, 204);
        admin
    }

    fn request(&self, method: &'static str, path: &str) -> Request {
        self.studio.request(method, path).cookie(&self.cookie)
    }

    async fn json(&self, method: &'static str, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json").header("accept", "application/json");
        self.studio.send(&request.body(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.studio.send(&self.request("GET", path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        body(&answer)
    }

    async fn user(&self, id: &str) -> Value {
        let all = self.get("/api/v1/users").await;
        all["users"].as_array().unwrap().iter().find(|u| u["id"] == id).unwrap().clone()
    }
}

/// A body that came in one piece or in chunks.
fn body(answer: &Answer) -> Value {
    let text = &answer.body;
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&text[text.find(['{', '[']).unwrap_or(0)..]))
        .unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn recipe() -> Recipe {
    Recipe {
        model: "tiny".into(),
        prompt: PROMPT.into(),
        negative_prompt: PROMPT.into(),
        width: 64,
        height: 96,
        steps: 4,
        guidance: 5.0,
        sampler: Sampler::Euler,
        schedule: Schedule::Plain,
        eta: 0.0,
        guidance_rescale: 0.0,
        clip_skip: 1,
        seed: 1,
        batch: 2,
        strength: None,
        image: None,
        mask: None,
        format: Format::Png,
    }
}

/// The studio's clock stands still, so that no heartbeat of the stream and no end of its life ends it: it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_profile_is_out_at_once() {
    let admin = Admin::start().await;
    let studio = &admin.studio;
    let zoe = studio.pick("zoe").await;
    let id = studio.app.users.find("zoe").unwrap().id;
    studio.app.jobs.submit(&id, recipe(), None).await.unwrap();
    let stream = studio.get("/api/v1/events").cookie(&zoe);
    let listening = studio.send(&stream);
    let disabling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        assert_eq!(admin.json("PATCH", "/api/v1/users/zoe", r#"{"disabled":true}"#).await.status, 200);
        begun
    };
    let both = async { tokio::join!(listening, disabling) };
    let stood = studio.clock.now();
    let (heard, begun) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the stream ends");
    println!("an open event stream of a disabled profile closed within {:.0?}", begun.elapsed());
    assert!(heard.body.contains("event: state") && !heard.body.contains("\n:\n\n"), "{heard:?}");
    assert_eq!(studio.clock.now(), stood);
    assert!(!studio.is_in(&zoe).await);
    assert_eq!(studio.app.jobs.unfinished(&id), 0, "the job in the queue is cancelled");
    assert_eq!(admin.user("zoe").await["disabled"], true);
    assert_eq!(admin.json("PATCH", "/api/v1/users/zoe", r#"{"disabled":false}"#).await.status, 200);
    studio.pick("zoe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_made_and_changed_and_nobody_locks_himself_out() {
    let admin = Admin::start().await;
    let post = async |path: &str, text: &str| admin.json("POST", path, text).await;
    let made = post("/api/v1/users", r#"{"name":"Kim","pin":"4711"}"#).await;
    assert_eq!((made.status, body(&made)["has_pin"].as_bool()), (201, Some(true)), "{made:?}");
    for (text, field) in [
        (r#"{"name":"Zoë"}"#, "id"),
        (r#"{"name":"李明"}"#, "id"),
        (r#"{"name":" "}"#, "name"),
        (r#"{"name":"Li","id":"Not an id"}"#, "id"),
        (r#"{"name":"Li","pin":"1"}"#, "pin"),
        (r#"{"name":"Li","colour":1}"#, "colour"),
    ] {
        let refused = post("/api/v1/users", text).await;
        assert_eq!((refused.status, body(&refused)["errors"][0]["field"].as_str()), (422, Some(field)), "{text}: {refused:?}");
    }
    let patch = async |id: &str, text: &str| admin.json("PATCH", &format!("/api/v1/users/{id}"), text).await;
    assert_eq!(patch("kim", r#"{"name":"Kim Lee","role":"admin"}"#).await.status, 200);
    let kim = admin.user("kim").await;
    assert_eq!((kim["name"].as_str(), kim["role"].as_str()), (Some("Kim Lee"), Some("admin")));
    assert_eq!(patch("zoe", r#"{"role":"admin"}"#).await.status, 409, "users.toml names her an artist");
    assert_eq!(patch("zoe", r#"{"name":"Zoey"}"#).await.status, 409, "and names her");
    for text in [r#"{"disabled":true}"#, r#"{"role":"artist"}"#] {
        assert_eq!(patch("ada", text).await.status, 409, "oneself: {text}");
    }
    assert_eq!(patch("nobody", r#"{"disabled":true}"#).await.status, 404);
    assert_eq!(post("/api/v1/users/kim/pin", r#"{"pin":null}"#).await.status, 200);
    assert_eq!(admin.user("kim").await["has_pin"], false);
    // users.toml raises Mateo; the raise waits, is refused, waits again after the file changed, and is confirmed.
    let raised = format!("{}[[user]]\nname = \"Mateo\"\nrole = \"admin\"\n", USERS.replace("[[user]]\nname = \"Mateo\"\n", ""));
    for (confirm, role) in [("false", "artist"), ("true", "admin")] {
        admin.studio.app.users.apply_file(&raised).await.unwrap();
        assert_eq!(admin.user("mateo").await["pending"], "admin");
        assert_eq!(post("/api/v1/users/mateo/raise", &format!("{{\"confirm\":{confirm}}}")).await.status, 200);
        assert_eq!(admin.user("mateo").await["role"], role);
    }
    let trail = admin.get("/api/v1/audit?kind=profile&limit=5").await;
    let lines: Vec<_> = trail["items"].as_array().unwrap().iter().map(|l| format!("{}: {}", l["who"], l["what"])).collect();
    assert_eq!(lines[0], "\"ada\": \"confirmed the role: mateo\"", "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybodys_jobs_are_seen_without_their_prompts_and_one_is_cancelled() {
    let admin = Admin::start().await;
    let app = &admin.studio.app;
    let zoe = app.users.find("zoe").unwrap().id;
    let job = app.jobs.submit(&zoe, recipe(), None).await.unwrap().id;
    for path in ["/api/v1/admin/jobs", "/api/v1/admin/jobs?state=queued&profile=zoe", "/admin/jobs"] {
        let answer = admin.studio.send(&admin.request("GET", path)).await;
        assert!(answer.status == 200 && answer.body.contains(&job.0) && !answer.body.contains("canary"), "{path}: {answer:?}");
    }
    assert_eq!(admin.get("/api/v1/admin/jobs?profile=mateo").await["items"].as_array().unwrap().len(), 0);
    assert_eq!(admin.studio.send(&admin.request("GET", "/api/v1/admin/jobs?state=lost")).await.status, 422);
    let cancelled = admin.json("DELETE", &format!("/api/v1/admin/jobs/{job}"), "").await;
    assert_eq!((cancelled.status, body(&cancelled)["state"].as_str()), (200, Some("cancelled")));
    assert_eq!(admin.json("DELETE", "/api/v1/admin/jobs/nothing", "").await.status, 404);
    let trail = admin.get("/api/v1/audit?kind=job").await;
    assert_eq!(trail["items"][0]["what"], format!("cancelled {job} of zoe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_and_again_is_no_use_of_admin_mode() {
    let admin = Admin::start().await;
    let status = async |method: &'static str, path: &str| admin.json(method, path, "").await.status;
    admin.studio.advance(29 * 60);
    assert_eq!(status("GET", "/api/v1/system").await, 200);
    admin.studio.advance(60);
    assert_eq!(status("GET", "/api/v1/system").await, 403, "a page that was left open keeps nothing on");
    let wrong = admin.json("POST", "/api/v1/admin-mode", r#"{"password":"wrong"}"#).await;
    assert_eq!(wrong.status, 429);
    admin.studio.advance(1);
    let right = format!("{{\"password\":\"{PASSWORD}\"}}");
    assert_eq!(admin.json("POST", "/api/v1/admin-mode", &right).await.status, 204);
    admin.studio.advance(29 * 60);
    assert_eq!(status("GET", "/admin/users").await, 200, "a page that is opened is use");
    admin.studio.advance(29 * 60);
    assert_eq!(status("GET", "/api/v1/audit").await, 200);
    let trail = admin.get("/api/v1/audit?kind=admin-mode").await;
    let seen: Vec<_> = trail["items"].as_array().unwrap().iter().map(|l| l["refused"].as_bool().unwrap()).collect();
    assert_eq!(seen, [false, true, false], "on, a wrong password, on");
    assert_eq!(status("DELETE", "/api/v1/admin-mode").await, 204);
    assert_eq!(status("GET", "/api/v1/audit").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_filtered_and_downloaded_without_secrets() {
    let admin = Admin::start().await;
    let logs = &admin.studio.app.logs;
    logs.ring.push(1, Level::Info, "panel", "serving");
    logs.ring.push(2, Level::Error, "comfy", "open http://x/?token=canary");
    let page = admin.get("/api/v1/logs?level=error&service=comfy").await;
    assert_eq!(page["lines"][0]["text"], "open http://x/?token=•••");
    assert_eq!(page["services"], serde_json::json!(["comfy", "panel"]));
    assert_eq!(admin.get("/api/v1/logs?after=1&q=serving").await["lines"].as_array().unwrap().len(), 0);
    let folder = admin.studio.folder.path().join("logs");
    std::fs::write(folder.join("easel.2026-01-01.log"), "one\ntwo token=canary\n").unwrap();
    assert_eq!(admin.get("/api/v1/logs/files").await[0]["name"], "easel.2026-01-01.log");
    let file = admin.studio.send(&admin.request("GET", "/api/v1/logs/file?name=easel.2026-01-01.log")).await;
    assert!(file.body.contains("two token=•••") && !file.body.contains("canary"), "{file:?}");
    assert!(file.header("content-disposition").unwrap().starts_with("attachment"));
    for name in ["../state/easel.db", "..%2Fstate%2Feasel.db", "/etc/passwd", "", "easel.2026-01-01.log%00"] {
        let refused = admin.studio.send(&admin.request("GET", &format!("/api/v1/logs/file?name={name}"))).await;
        assert_eq!(refused.status, 404, "{name}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_admin_page_opens_and_holds_no_secret() {
    let admin = Admin::start().await;
    let key = admin.studio.key.clone();
    let zoe = admin.studio.app.users.find("zoe").unwrap().id;
    admin.studio.app.jobs.submit(&zoe, recipe(), None).await.unwrap();
    let link = admin.json("POST", "/admin/link/zoe", "").await;
    let ticket = link.body.split_once('#').unwrap().1.trim_end_matches(['"', '}']).to_string();
    for (tab, word) in crate::web::pages::admin::TABS {
        let page = admin.studio.send(&admin.request("GET", &format!("/admin/{tab}"))).await;
        assert!(page.status == 200 && page.body.contains(&format!("<h1>{word}</h1>")), "{tab}: {}", page.status);
        assert!(page.body.contains("data-minutes=\"30\""), "{tab} shows no admin mode");
        let cookie = admin.cookie.split_once('=').unwrap().1;
        for canary in [PASSWORD, "canary", key.as_str(), ticket.as_str(), cookie, "$argon2"] {
            assert!(!page.body.contains(canary), "{canary} stands on {tab}");
        }
        let home = admin.studio.send(&admin.request("GET", "/studio")).await;
        assert!(home.body.contains("href=\"/admin/system\""), "the bar leads here");
    }
    let artist = admin.studio.pick("zoe").await;
    let studio = admin.studio.send(&admin.studio.get("/studio").cookie(&artist)).await;
    assert!(!studio.body.contains("/admin"), "an artist's page knows no admin mode");
    let turned_away = admin.studio.send(&admin.studio.get("/admin/users").cookie(&artist)).await;
    assert!(turned_away.status == 403 && turned_away.body.contains("This is for admins."), "{turned_away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_can_be_uploaded_by_an_admin_alone_and_what_cannot_be_taken_is_told_first() {
    let admin = Admin::start().await;
    let post = async |path: &str, text: &str| admin.json("POST", path, text).await;
    for text in [r#"{"url":"file:///etc/passwd"}"#, r#"{"url":"https://ada:canary@a/x"}"#, r#"{"url":""}"#] {
        let refused = post("/api/v1/admin/models", text).await;
        assert_eq!((refused.status, body(&refused)["errors"][0]["field"].as_str()), (422, Some("url")), "{refused:?}");
        assert!(!refused.body.contains("canary"));
    }
    assert_eq!(post("/api/v1/admin/arrivals", r#"{"name":"x.ckpt","bytes":9}"#).await.status, 422);
    assert_eq!(post("/api/v1/admin/arrivals", r#"{"name":"x.safetensors","bytes":999999999999999}"#).await.status, 413);
    let begun = post("/api/v1/admin/arrivals", r#"{"name":"x.safetensors","bytes":6}"#).await;
    let path = format!("/api/v1/admin/arrivals/{}", body(&begun)["id"].as_str().unwrap());
    let piece = |offset: &str, bytes: &str| {
        let request = admin.request("PATCH", &path).header("upload-offset", offset);
        request.header("content-type", "application/octet-stream").body(bytes)
    };
    assert_eq!(body(&admin.studio.send(&piece("0", "abc")).await)["offset"], 3);
    assert_eq!(admin.studio.send(&piece("1", "abc")).await.status, 409);
    let offset = admin.studio.send(&admin.request("HEAD", &path)).await;
    assert_eq!(offset.header("upload-offset"), Some("3"));
    // The worker of this studio is /bin/false: it says so, the file gets no name, and the last step can be tried again.
    for (offset, bytes) in [("3", "def"), ("6", "")] {
        let last = admin.studio.send(&piece(offset, bytes)).await;
        assert!(last.status == 503 && last.body.contains("exit code 1"), "{last:?}");
    }
    assert!(!admin.studio.folder.path().join("models/x.safetensors").exists());
    assert_eq!(admin.get("/api/v1/admin/models").await["arrivals"][0]["done"], 6);
    assert_eq!(admin.json("DELETE", &path, "").await.status, 204);
    let left: Vec<_> = std::fs::read_dir(admin.studio.folder.path().join("models")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(admin.json("DELETE", "/api/v1/admin/models/nothing", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_vision_model_goes_in_and_comes_out_nowhere() {
    let admin = Admin::start().await;
    let body = r#"{"protocol": "anthropic", "model": "seer-1", "key": "canary-key-99"}"#;
    let set = admin.json("PUT", "/api/v1/vision", body).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert!(set.body.contains("https://api.anthropic.com") && set.body.contains("\"has_key\":true"), "{set:?}");
    for path in ["/api/v1/vision", "/datasets", "/api/v1/audit", "/admin/audit", "/admin/debug", "/api/v1/logs"] {
        let answer = admin.json("GET", path, "").await;
        assert!(answer.status == 200 && !answer.body.contains("canary-key"), "{path}: {answer:?}");
    }
    let trail = admin.json("GET", "/api/v1/audit", "").await.body;
    assert!(trail.contains("set the vision model: seer-1 at https://api.anthropic.com"), "{trail}");
    // What cannot be taken is named, and not repeated.
    for (body, field) in [
        (r#"{"protocol": "x", "model": "m", "key": "canary-key-98"}"#, "protocol"),
        (r#"{"protocol": "openai", "model": "", "key": "canary-key-98"}"#, "model"),
        (r#"{"protocol": "openai", "model": "m", "base_url": "https://h/?key=canary-key-98"}"#, "base_url"),
        (r#"{"protocol": "openai", "model": "m", "key": "canary-key-98\n"}"#, "\"key\""),
    ] {
        let answer = admin.json("PUT", "/api/v1/vision", body).await;
        assert!(answer.status == 422 && answer.body.contains(field) && !answer.body.contains("canary"), "{answer:?}");
    }
    // Another service, no key: the one of before does not go there.
    let moved = admin.json("PUT", "/api/v1/vision", r#"{"protocol": "openai", "model": "m"}"#).await;
    assert!(moved.body.contains("\"has_key\":false"), "{moved:?}");
    assert_eq!(admin.json("DELETE", "/api/v1/vision", "").await.status, 204);
    assert!(admin.json("GET", "/api/v1/vision", "").await.body.contains("null"));
}
