//! What is pressed twice or too soon, and what is drawn anew under a hand: each press counts once, and goes where it was meant.
//! Knows pages only as a person does, and what goes between them and the panel.

use super::{
    Browser, admin,
    mishaps::{JOBS, choose_reference, hook, make, noise, says},
};
use crate::program::Program;
use serde_json::json;
use std::time::Duration;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";

/// A browser without shared workers, as on Android, whose stream of events is `window.source` and does not come while
/// `window.cut` holds.
const ALONE: &str = "delete window.SharedWorker; const Real = window.EventSource; window.EventSource = function (url) { \
    if (!window.cut) return window.source = new Real(url); const none = {readyState: 0, close() {}, addEventListener() {}}; \
    setTimeout(() => none.onerror?.(), 20); return none; }; window.EventSource.OPEN = 1;";

async fn alone(b: &Browser) {
    b.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": ALONE})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_presses_are_two_pictures_and_not_one_twice() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.fill("#prompt", "a boat").await;
    hook(&b, "POST", "/jobs", 1, "go => window.wait(800).then(go)").await;
    b.run("const g = document.querySelector('#generate'); g.click(); g.click(); return true").await;
    b.until("both are taken", &format!("{JOBS}.then(jobs => jobs.length === 2)")).await;
    let jobs = b.run(JOBS).await;
    assert_ne!(jobs[0]["recipe"]["seed"], jobs[1]["recipe"]["seed"], "{jobs}");
    // What cannot be taken of settings is said, for longer than it takes to look at the form.
    let handed = "localStorage['easel.zoe.handover'] = JSON.stringify({do: 'settings', picture: {recipe: {model: 'gone', prompt: \
                  'a lake', width: 512, height: 512}}}); return true";
    b.run(handed).await;
    b.driver.refresh().await.unwrap();
    says(&b, ".toast", "“gone”, which is not installed here").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    says(&b, ".toast", "“gone”, which is not installed here").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_stays_until_its_second_try_is_taken() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    alone(&b).await;
    b.pick(&program, "Zoe").await;
    make(&b, "a boat").await;
    let fail = "return fetch('/api/v1/jobs').then(r => r.json()).then(({items: [job]}) => { for (const state of ['running', 'failed']) \
                window.source.dispatchEvent(new MessageEvent('state', {data: JSON.stringify({...job, id: '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', \
                state, artifacts: [], error: state === 'failed' ? {what: 'No memory', place: '', remedy: ''} : null})})); return true; })";
    b.run(fail).await;
    b.click("#latest li[data-job] .slot").await;
    b.studio_is("error").await;
    let refuse = "() => Promise.resolve(new Response(JSON.stringify({title: 'No', errors: [{field: 'model', message: 'It is not here.'}]}), \
                  {status: 422, headers: {'content-type': 'application/problem+json'}}))";
    hook(&b, "POST", "/jobs", 1, refuse).await;
    b.click("#trouble-again").await;
    says(&b, ".toast", "It is not here.").await;
    b.studio_is("error").await;
    assert_eq!(b.run("return document.querySelector('#model-error').hidden").await, json!(true), "the form's model is another");
    b.click("#trouble-again").await;
    b.until("it is taken", &format!("{JOBS}.then(jobs => jobs.length === 2)")).await;
    b.until("the failed one is gone", "return document.querySelector('#latest li[data-job^=\"7ZZ\"]') === null").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_not_told_any_more_once_it_is_back() {
    let program = Program::start(USERS);
    let b = Browser::open(390, 800).await;
    alone(&b).await;
    b.pick(&program, "Zoe").await;
    b.until("the stream is open", "return window.source?.readyState === 1").await;
    b.run("window.cut = true; window.source.dispatchEvent(new Event('error')); return true").await;
    b.until("it is told", "return !document.querySelector('#lost').hidden").await;
    // The tab is put away meanwhile, and seen again when the connection is back.
    let away_and_back = "const turn = state => { Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => state}); \
                         document.dispatchEvent(new Event('visibilitychange')); }; turn('hidden'); window.cut = false; turn('visible'); \
                         return true";
    b.run(away_and_back).await;
    b.until("it is told no more", "return document.querySelector('#lost').hidden").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_is_not_taken_for_a_lost_connection() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    hook(&b, "PATCH", "/uploads/", 1, "go => window.wait(1500).then(go)").await;
    choose_reference(&b, &noise(files.path(), "one.png", 128, 64)).await;
    b.see("#reference-set").await;
    noise(files.path(), "one.png", 256, 256);
    says(&b, ".toast", "was changed or moved on this computer").await;
    b.see("#reference-none").await;
    // The browser itself complains of the file.
    b.complaints().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_picture_comes_back_however_soon_it_is_wanted() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    make(&b, "a boat").await;
    let made = "const ask = (path, body) => fetch('/api/v1' + path, {method: 'POST', headers: {'content-type': 'application/json'}, \
                body: JSON.stringify(body)}).then(r => r.json()); return ask('/datasets', {name: 'Boats', trigger: ''}).then(async d => { \
                const {items} = await fetch('/api/v1/artifacts').then(r => r.json()); \
                await ask('/datasets/' + d.id + '/artifacts', {ids: [items[0].id], prompts: false}); return d.id })";
    let dataset = b.run(made).await;
    b.go(&program.at(&format!("/datasets/{}", dataset.as_str().unwrap()))).await;
    b.see(".pcard textarea").await;
    hook(&b, "DELETE", "/dataset-pictures/", 1, "go => window.wait(1000).then(go)").await;
    b.click(".pcard button").await;
    b.until("it is gone", "return document.querySelector('.pcard') === null").await;
    b.click(".toast .btn:not(.btn--icon)").await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    b.see(".pcard textarea").await;
    b.driver.refresh().await.unwrap();
    b.see(".pcard textarea").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_not_drawn_anew_under_a_hand_and_minutes_are_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let program = admin::start(folder.path());
    let b = Browser::open(1440, 900).await;
    admin::enter_admin_mode(&b, &program).await;
    b.go(&program.at("/admin/jobs")).await;
    let moves = "() => Promise.resolve(new Response(JSON.stringify({next: null, items: [{id: 'J', profile: 'mateo', state: 'running', \
                 model: 'tiny', width: 64, height: 64, steps: 8, batch: 1, progress: window.far = (window.far ?? 0) + 0.01, place: null, \
                 eta_s: null, error: null, created: '2026-01-01T10:00:00Z', started: null, finished: null}]})))";
    hook(&b, "GET", "/admin/jobs", 1000, moves).await;
    says(&b, "#jobs", "Running, 1 %").await;
    b.run("document.querySelector('#jobs button').focus(); return true").await;
    says(&b, "#jobs", "Running, 3 %").await;
    assert_eq!(b.run("return document.activeElement.matches('#jobs button')").await, json!(true), "the focus is lost");
    // What the filters show says nothing of what waits.
    b.run("const s = document.querySelector('#state'); s.value = 'done'; s.dispatchEvent(new Event('change')); return true")
        .await;
    says(&b, "#count", "1 job shown").await;

    // A press on a button that is busy is none.
    b.go(&program.at("/admin/users")).await;
    hook(&b, "POST", "/users", 5, "go => { window.sent = (window.sent ?? 0) + 1; return window.wait(600).then(go) }").await;
    b.fill("#new-name", "Ada").await;
    let twice =
        "const add = document.querySelector('#add-form button[type=submit]'); add.click(); add.click(); return add.ariaBusy";
    assert_eq!(b.run(twice).await, json!("true"));
    says(&b, "#users", "Ada").await;
    assert_eq!(b.run("return window.sent").await, json!(1));

    // Only the server knows how long admin mode lasts: what an artist does as well is no use of it.
    hook(&b, "GET", "/me", 1, "() => Promise.resolve(new Response(JSON.stringify({admin_minutes: 7})))").await;
    b.run("dispatchEvent(new Event('easel:used')); return true").await;
    says(&b, "[data-minutes-left]", "7 min").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_is_sent_once() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.is_asked_for_its_new_pin(&program, "2580").await;
    b.fill("#pin", "1111").await;
    hook(&b, "POST", "/pin/", 5, "go => { window.sent = (window.sent ?? 0) + 1; return window.wait(600).then(go) }").await;
    b.run(
        "const enter = document.querySelector('form[data-guess] button[type=submit]'); enter.click(); enter.click(); return true",
    )
    .await;
    b.until("it is refused", "return document.querySelector('#pin-error') !== null").await;
    assert_eq!(b.run("return window.sent").await, json!(1));
    // The browser itself complains of the refusal.
    b.complaints().await;
    b.close().await;
}
