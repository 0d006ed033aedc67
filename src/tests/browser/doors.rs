//! The doors in a real browser: the first profile, the studio key and its link, a PIN.

use super::Browser;
use crate::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_makes_the_first_profile() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_in(folder.path(), &[]);
    let b = Browser::open(1440, 900).await;
    b.go(&program.at("/")).await;
    b.fill("#name", "Zoë").await;
    b.fill("#password", "a sentence is easier").await;
    b.screenshot("first").await;
    b.click("button[type=submit]").await;
    b.see("#prompt").await;
    assert!(b.text(".top .name").await.contains("Zoë"));
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_studio_key_opens_the_studio() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), "[[user]]\nname = \"Zoe\"\n").unwrap();
    let program = Program::start_in(folder.path(), &["--bind", "0.0.0.0"]);
    let key = program.printed_after("studio key, shown this once:");
    let b = Browser::open(1440, 900).await;
    b.go(&program.at("/")).await;
    b.fill("#key", "wrong-wrong-wrong").await;
    b.click("#key-form button[type=submit]").await;
    b.see("#key-error").await;
    b.screenshot("key-refused").await;
    b.until("what was typed is still there", "return document.getElementById('key').value === 'wrong-wrong-wrong'").await;
    b.until("the next try is possible", "return !document.querySelector('[data-left]') || parseInt(document.querySelector('[data-left]').textContent) <= 0 || !document.querySelector('[data-wait]').offsetParent").await;
    b.fill("#key", &key).await;
    b.click("#key-form button[type=submit]").await;
    b.see(".profile-card").await;
    // A refused key is answered with 401 or 403, which the console notes.
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 4")), "{complaints:?}");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_guards_a_profile() {
    let program = Program::start("[[user]]\nname = \"Zoe\"\n");
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.is_asked_for_its_new_pin(&program, "2580").await;
    b.fill("#pin", "2580").await;
    b.screenshot("pin").await;
    b.click("form button[type=submit]").await;
    b.see("#prompt").await;
    b.close().await;
}
