//! States that a quick, quiet studio never shows: a gallery that loads slowly, one that cannot load and comes back, the
//! admin's door with a password set.

use super::{Browser, access, tools};
use crate::{jobs_survive::Api, program::Program, tool_folder};
use serde_json::json;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_gallery_shows_its_frame_and_a_lost_one_says_so_and_comes_back() {
    let program = Program::start(USERS);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let id = api.submit("one", &json!({ "prompt": "a lake", "steps": 2 })).await.unwrap();
    assert_eq!(api.over(&id).await["state"], "done");
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    b.pick(&program, "Zoe").await;
    b.go(&program.at("/gallery")).await;
    b.see("#tiles li img").await;
    // A panel that takes its time.
    let pid = rustix::process::Pid::from_raw(program.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    b.fill("#search", "lake").await;
    b.see("#gallery[aria-busy=true]").await;
    b.screenshot("gallery-loading").await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    b.see("#gallery:not([aria-busy]) #tiles li img").await;

    b.fill("#search", "nothing of the kind").await;
    b.see("#no-match").await;
    // With nothing on the screen, a question that is lost on its way is told.
    let lose = "const ask = window.fetch; let lost = false; window.fetch = (what, ...rest) => { \
                if (lost) return ask(what, ...rest); lost = true; return Promise.reject(new TypeError('lost')); }; return true";
    b.run(lose).await;
    b.fill("#search", "lake").await;
    b.see("#failed").await;
    assert_eq!(b.run("return document.getElementById('no-match').hidden").await, true, "two things are said at once");
    assert!(b.text("#failed-text").await.contains("Nothing is lost"), "{}", b.text("#failed-text").await);
    b.screenshot("gallery-lost").await;
    b.resize(360, 740).await;
    b.screenshot("gallery-lost-360").await;
    // By itself.
    b.see("#tiles li img").await;
    b.until("the words are gone", "return document.getElementById('failed').hidden").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_to_admin_mode_is_for_everybody_to_use() {
    let program = Program::start(USERS);
    tool_folder::set_password(&program, "ada", tools::PASSWORD);
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    b.pick(&program, "Ada").await;
    let found = access::look_at(&b, &program.at("/admin"), "#password", "admin-door").await;
    assert_eq!(found, Vec::<String>::new());
    b.close().await;
}
