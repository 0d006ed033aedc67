//! An artist's journeys through the studio and the gallery, with the real engine and its embedded model.

use super::Browser;
use crate::program::Program;
use serde_json::json;
use std::time::Instant;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Mateo\"\n";

/// Makes one picture and waits until it hangs.
async fn make(b: &Browser, prompt: &str) {
    let before = b.count("#latest li[data-id]").await;
    b.fill("#prompt", prompt).await;
    b.click("#generate").await;
    b.until(
        "the picture is among the latest",
        &format!("return document.querySelectorAll('#latest li[data-id]').length > {before}"),
    )
    .await;
    b.studio_is("idle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pick_generate_watch_find_and_reuse() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.screenshot("studio-first").await;
    b.fill("#prompt", "a red sunset over blue mountains").await;
    let begin = Instant::now();
    // Every preview that the frame shows, noted by the page itself: polling from here could miss some.
    b.run("window.seen = new Set(); const p = document.querySelector('#picture'); \
           new MutationObserver(() => window.seen.add(p.src)).observe(p, {attributes: true, attributeFilter: ['src']}); return true")
        .await;
    b.click("#generate").await;
    b.until("the picture is among the latest", "return document.querySelectorAll('#latest li[data-id]').length === 1").await;
    println!("from click to picture: {:.1} s", begin.elapsed().as_secs_f64());
    b.studio_is("idle").await;
    let previews = b.run("return [...window.seen].filter(s => s.startsWith('blob:') || s.startsWith('data:')).length").await;
    assert!(previews.as_u64().unwrap() >= 2, "the preview moved {previews} times");
    b.screenshot("studio-idle").await;

    b.go(&program.at("/gallery")).await;
    b.see("#tiles li a img").await;
    assert_eq!(b.count("#tiles li").await, 1);
    b.screenshot("gallery").await;
    b.click("#tiles li a").await;
    b.see("[data-hand=settings]").await;
    assert!(b.text("blockquote").await.contains("a red sunset over blue mountains"));
    b.screenshot("picture").await;
    b.click("[data-hand=settings]").await;
    b.see("#prompt").await;
    b.until("the settings are back", "return document.querySelector('#prompt').value === 'a red sunset over blue mountains'")
        .await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_profiles_do_not_see_each_other() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    make(&b, "a boat on a calm sea").await;
    let file = b.run("return document.querySelector('#latest li[data-id] img').src").await;
    let status = format!("return fetch({file}).then(r => r.status)");
    assert_eq!(b.run(&status).await, json!(200));
    b.run("document.querySelector('form[action=\"/switch\"]').requestSubmit(); return true").await;
    b.see(".profile-card").await;
    b.pick(&program, "Mateo").await;
    assert_eq!(b.count("#latest li[data-id]").await, 0);
    assert_eq!(b.run(&status).await, json!(404));
    let jobs = b.run("return fetch('/api/v1/jobs').then(r => r.json())").await;
    assert_eq!(jobs["items"], json!([]));
    // The 404 above is the point of this journey; the console notes every one.
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("404")), "{complaints:?}");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_mid_job_shows_it_going_on_and_cancel_works() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.fill("#prompt", "a snowy forest at night").await;
    b.run("const s = document.querySelector('#steps'); s.value = 50; s.dispatchEvent(new Event('input', {bubbles: true})); \
           s.dispatchEvent(new Event('change', {bubbles: true})); document.querySelector('input[name=batch][value=\"4\"]').click(); return true")
        .await;
    b.click("#generate").await;
    b.studio_is("running").await;
    b.driver.refresh().await.unwrap();
    let begin = Instant::now();
    b.studio_is("running").await;
    println!("after a reload the job is back in {:.0} ms", begin.elapsed().as_secs_f64() * 1000.0);
    b.screenshot("studio-running").await;
    let begin = Instant::now();
    b.click("#cancel").await;
    b.until("nothing runs", "return document.querySelector('main').dataset.state !== 'running'").await;
    println!("cancelled in {:.0} ms", begin.elapsed().as_secs_f64() * 1000.0);
    let jobs = b.run("return fetch('/api/v1/jobs').then(r => r.json())").await;
    assert_eq!(jobs["items"][0]["state"], json!("cancelled"));
    assert_eq!(b.count("#latest li[data-id]").await, 0);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_painted_mask_changes_only_what_is_painted() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    make(&b, "green hills under a blue sky").await;
    b.click("#use-mask").await;
    let canvas = b.see("#mask-canvas").await;
    let drag = b
        .driver
        .action_chain()
        .move_to_element_center(&canvas)
        .click_and_hold()
        .move_by_offset(60, 0)
        .move_by_offset(0, 40)
        .release();
    drag.perform().await.unwrap();
    b.screenshot("studio-mask").await;
    b.click("#mask-done").await;
    make(&b, "a house on green hills").await;
    let jobs = b.run("return fetch('/api/v1/jobs').then(r => r.json())").await;
    let recipe = &jobs["items"][0]["recipe"];
    assert!(recipe["mask"].as_str().is_some_and(|m| m.starts_with("upload:")), "{recipe}");
    assert!(recipe["image"].as_str().is_some(), "{recipe}");

    // The picture that it was painted on goes; its settings still bring it back, mask and all.
    let made = &jobs["items"][0]["artifacts"][0]["id"];
    let source = &jobs["items"][1]["artifacts"][0]["id"];
    let gone = b.run(&format!("return fetch('/api/v1/artifacts/' + {source}, {{method: 'DELETE'}}).then(r => r.status)")).await;
    assert_eq!(gone, json!(204));
    b.go(&program.at(&format!("/picture/{}", made.as_str().unwrap()))).await;
    b.click("[data-hand=settings]").await;
    b.see("#prompt").await;
    b.until("the mask is back", "return document.querySelector('#reference-facts').textContent.includes('with its mask')").await;
    b.screenshot("studio-mask-again").await;
    make(&b, "a barn on green hills").await;
    let jobs = b.run("return fetch('/api/v1/jobs').then(r => r.json())").await;
    let again = &jobs["items"][0]["recipe"];
    assert_eq!((&again["image"], &again["mask"], &again["strength"]), (&recipe["image"], &recipe["mask"], &recipe["strength"]));
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_tabs_share_one_studio() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    let first = b.driver.window().await.unwrap();
    for _ in 0..6 {
        let tab = b.driver.new_tab().await.unwrap();
        b.driver.switch_to_window(tab).await.unwrap();
        b.go(&program.at("/studio")).await;
        b.see("#prompt").await;
    }
    make(&b, "a moon over the desert").await;
    b.driver.switch_to_window(first).await.unwrap();
    b.until("the first tab has the picture too", "return document.querySelectorAll('#latest li[data-id]').length === 1").await;
    b.close().await;
}
