//! What goes wrong under an artist's hands: lost answers, outages, refusals, tabs that were out of sight, keys that are held.
//! Nothing is lost, doubled or told that is not so. Knows pages only as a person does, and what goes between them and the panel.

use super::{Browser, downloads::Downloads};
use crate::program::Program;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thirtyfour::By;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";
const PICTURES: &str = "return document.querySelectorAll('#latest li[data-id]').length";
pub(super) const JOBS: &str = "return fetch('/api/v1/jobs').then(r => r.json()).then(j => j.items)";

/// From now on the page's questions pass by `hooks`: each takes `left` of those of its method whose address holds `part`, and
/// `run` answers in place of the panel, which `go` asks.
const HOOKS: &str = "const ask = window.fetch; window.hooks = []; window.lose = () => Promise.reject(new TypeError('lost')); \
    window.wait = ms => new Promise(done => setTimeout(done, ms)); window.fetch = (what, options = {}) => { \
    const hook = window.hooks.find(h => h.left > 0 && h.method === (options.method ?? 'GET') && String(what).includes(h.part)); \
    if (!hook) return ask(what, options); hook.left -= 1; return hook.run(() => ask(what, options)); }; return true";

/// The next `left` questions of this method to an address with this part are answered by a script.
pub(super) async fn hook(b: &Browser, method: &str, part: &str, left: u32, run: &str) {
    if b.run("return window.hooks === undefined").await == json!(true) {
        b.run(HOOKS).await;
    }
    b.run(&format!("window.hooks.push({{method: '{method}', part: '{part}', left: {left}, run: {run}}}); return true")).await;
}

/// The tab goes out of sight, and is seen again.
async fn hide_and_show(b: &Browser) {
    let turn = |state: &str| {
        format!(
            "Object.defineProperty(document, 'visibilityState', {{configurable: true, get: () => '{state}'}}); \
             document.dispatchEvent(new Event('visibilitychange')); return true"
        )
    };
    b.run(&turn("hidden")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    b.run(&turn("visible")).await;
    // Whatever it is told now, it was told long ago by then.
    tokio::time::sleep(Duration::from_millis(700)).await;
}

/// Presses a key, and holds it for so many repetitions.
async fn press(b: &Browser, key: &str, ctrl: bool, repeats: u32) {
    let script = format!(
        "for (let i = 0; i <= {repeats}; i += 1) (document.activeElement ?? document.body).dispatchEvent(new \
         KeyboardEvent('keydown', {{key: '{key}', ctrlKey: {ctrl}, repeat: i > 0, bubbles: true, cancelable: true}})); return true"
    );
    b.run(&script).await;
}

/// Makes one picture and waits until it hangs.
pub(super) async fn make(b: &Browser, prompt: &str) {
    let before = b.run(PICTURES).await.as_u64().unwrap();
    b.fill("#prompt", prompt).await;
    b.click("#generate").await;
    b.until("the picture is among the latest", &format!("{PICTURES} > {before}")).await;
    b.studio_is("idle").await;
}

/// A PNG that says nothing, as large as its pixels.
pub(super) fn noise(folder: &Path, name: &str, width: u32, height: u32) -> PathBuf {
    let mut state = u64::from(width * 31 + height);
    let picture = image::RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b, c, ..] = (state >> 24).to_le_bytes();
        image::Rgb([a, b, c])
    });
    let path = folder.join(name);
    picture.save(&path).unwrap();
    path
}

pub(super) async fn choose_reference(b: &Browser, file: &Path) {
    b.driver.find(By::Css("#reference-file")).await.unwrap().send_keys(file.display().to_string()).await.unwrap();
}

pub(super) async fn says(b: &Browser, css: &str, words: &str) {
    let script = format!("return (document.querySelector('{css}')?.textContent ?? '').includes({})", Value::from(words));
    b.until(&format!("{css} says {words}"), &script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_picture_stays_away_when_its_tab_is_seen_again() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    make(&b, "a boat on a calm sea").await;
    make(&b, "a red sunset").await;
    b.click("#delete").await;
    b.until("one is left", &format!("{PICTURES} === 1")).await;
    hide_and_show(&b).await;
    assert_eq!(b.run(PICTURES).await, json!(1), "the strip has it again");
    // The tab still hears what is new.
    make(&b, "green hills").await;
    assert_eq!(b.run(PICTURES).await, json!(2));

    b.go(&program.at("/gallery")).await;
    b.until("both are here", "return document.querySelectorAll('#tiles li').length === 2").await;
    b.run("document.querySelector('#tiles a').focus(); return true").await;
    press(&b, "Delete", false, 20).await;
    b.until("one is left", "return document.querySelectorAll('#tiles li').length === 1").await;
    hide_and_show(&b).await;
    assert_eq!(b.count("#tiles li").await, 1, "the gallery has it again, or a held key deletes the next one");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_an_outage() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    // Its first piece arrives; then nothing does for some seconds, not even the question where it stopped.
    let file = noise(files.path(), "large.png", 1700, 1400);
    assert!(file.metadata().unwrap().len() > 5 << 20, "it goes in pieces");
    hook(&b, "PATCH", "/uploads/", 1, "go => go()").await;
    hook(&b, "PATCH", "/uploads/", 1, "() => window.lose()").await;
    hook(&b, "HEAD", "/uploads/", 2, "() => window.lose()").await;
    hook(&b, "HEAD", "/uploads/", 1, "() => Promise.resolve(new Response('', {status: 502}))").await;
    choose_reference(&b, &file).await;
    says(&b, "#reference-facts", "1700 × 1400").await;
    assert_eq!(b.run("return window.hooks.every(h => h.left === 0)").await, json!(true), "there was an outage");
    // The last answer is lost: all is there, and is told again.
    let small = noise(files.path(), "small.png", 300, 200);
    hook(&b, "PATCH", "/uploads/", 1, "go => go().then(() => window.lose())").await;
    choose_reference(&b, &small).await;
    says(&b, "#reference-facts", "300 × 200").await;
    // It is the same at the next visit: the file, and not a picture of before.
    b.driver.refresh().await.unwrap();
    says(&b, "#reference-facts", "300 × 200").await;
    b.until("it is shown", "const p = document.querySelector('#reference-picture'); return p.complete && p.naturalWidth === 300")
        .await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_never_submitted_without_its_reference() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    let (one, other) = (noise(files.path(), "one.png", 128, 64), noise(files.path(), "other.png", 64, 128));
    b.fill("#prompt", "a house on green hills").await;
    // What was on its way when the button was pressed does not arrive.
    hook(&b, "POST", "/uploads", 1, "() => window.wait(1500).then(() => window.lose())").await;
    choose_reference(&b, &one).await;
    b.see("#reference-set").await;
    b.click("#generate").await;
    says(&b, ".toast", "The reference was not sent.").await;
    assert_eq!(b.run(JOBS).await, json!([]), "it was made without its reference");
    assert_eq!(b.run("return document.querySelector('#prompt').value").await, "a house on green hills");
    b.until("nothing waits in the strip", "return document.querySelectorAll('#latest li[data-job]').length === 0").await;

    // Two, one after the other: the second counts, though the first arrives before it.
    hook(&b, "POST", "/uploads", 1, "go => window.wait(700).then(go)").await;
    hook(&b, "POST", "/uploads", 1, "go => window.wait(2500).then(go)").await;
    choose_reference(&b, &one).await;
    b.until("the first is shown", "return document.querySelector('#reference-picture').naturalWidth === 128").await;
    choose_reference(&b, &other).await;
    b.until("the second is shown", "return document.querySelector('#reference-picture').naturalWidth === 64").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    b.click("#generate").await;
    b.until("the job is there", "return fetch('/api/v1/jobs').then(r => r.json()).then(j => j.items.length === 1)").await;
    let jobs = b.run(JOBS).await;
    let image = jobs[0]["recipe"]["image"].as_str().unwrap_or_default().replace("upload:", "");
    let length = b.run(&format!("return fetch('/api/v1/uploads/{image}/file').then(r => r.blob()).then(f => f.size)")).await;
    assert_eq!(length, json!(other.metadata().unwrap().len()), "{jobs}");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_made_once() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    // The panel takes it, and its answer is lost.
    hook(&b, "POST", "/jobs", 1, "go => go().then(() => window.lose())").await;
    make(&b, "a snowy forest").await;
    assert_eq!(b.run(JOBS).await.as_array().unwrap().len(), 1);
    // So are all, until the artist presses once more.
    hook(&b, "POST", "/jobs", 3, "go => go().then(() => window.lose())").await;
    b.fill("#prompt", "a lake in the morning").await;
    b.click("#generate").await;
    says(&b, ".toast", "Easel does not answer.").await;
    b.until("its picture has come meanwhile", &format!("{PICTURES} === 2")).await;
    b.click("#generate").await;
    b.until("it is answered", "return !document.querySelector('#latest li[data-job]')").await;
    b.studio_is("idle").await;
    assert_eq!(b.run(JOBS).await.as_array().unwrap().len(), 2, "the same job again");
    // A key that is held submits one.
    b.fill("#prompt", "a boat at night").await;
    press(&b, "Enter", true, 30).await;
    b.until("its picture has come", &format!("{PICTURES} === 3")).await;
    assert_eq!(b.run(JOBS).await.as_array().unwrap().len(), 3);
    // A seed that is none is said, and nothing is sent.
    b.fill("#seed", "12 345").await;
    b.click("#generate").await;
    says(&b, "#seed-error", "12 345 is not a whole number").await;
    assert_eq!(b.run(JOBS).await.as_array().unwrap().len(), 3);
    // The last picture is deleted: the strip says what belongs there.
    for left in [2, 1, 0] {
        // By script: the message of the one before may lie over the button.
        b.run("document.querySelector('#delete').click(); return true").await;
        b.until("one less", &format!("{PICTURES} === {left}")).await;
    }
    says(&b, "#latest", "Your pictures line up here").await;
    b.screenshot("studio-all-deleted").await;
    b.close().await;
}

fn tiles(n: u32) -> String {
    format!("return document.querySelectorAll('#tiles li').length === {n}")
}

/// The gallery of somebody who has made three pictures.
async fn gallery_of_three(program: &Program) -> Browser {
    let b = Browser::open(1440, 900).await;
    b.pick(program, "Zoe").await;
    for prompt in ["a boat", "a lake", "a hill"] {
        make(&b, prompt).await;
    }
    b.go(&program.at("/gallery")).await;
    b.until("all are here", &tiles(3)).await;
    b
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_what_was_seen_also_where_the_answer_is_lost() {
    let program = Program::start(USERS);
    let b = gallery_of_three(&program).await;
    // Three are selected, and then two of them are not shown any more.
    press(&b, "a", true, 0).await;
    says(&b, "#selected", "3 selected").await;
    b.fill("#search", "lake").await;
    b.until("one is found", &tiles(1)).await;
    says(&b, "#selected", "1 selected").await;
    // The driver's own clearing of a field is no typing.
    b.run(
        "const field = document.getElementById('search'); field.value = ''; field.dispatchEvent(new Event('input')); return true",
    )
    .await;
    b.until("all are here", &tiles(3)).await;
    says(&b, "#selected", "1 selected").await;
    // The panel has deleted it, and nobody hears of that.
    hook(&b, "POST", "/artifacts/delete", 2, "go => go().then(window.lose)").await;
    b.click("#delete").await;
    says(&b, ".toast", "1 picture deleted").await;
    b.until("it is asked for until there is an answer", "return window.hooks.every(hook => hook.left === 0)").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!((b.count("#tiles li").await, b.count(".toast[role=alert]").await), (2, 0));
    b.click(".toast .btn:not(.btn--icon)").await;
    b.until("it is back", &tiles(3)).await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_pictures_come_as_one_file_of_the_browsers_own() {
    let program = Program::start(USERS);
    let b = gallery_of_three(&program).await;
    let downloads = Downloads::of(&b).await;
    press(&b, "a", true, 0).await;
    says(&b, "#selected", "3 selected").await;
    // One of them goes meanwhile, and the page is told in time: nobody is led to an address that has nothing.
    let gone = "return fetch('/api/v1/artifacts').then(r => r.json()).then(list => fetch('/api/v1/artifacts/' + list.items[0].id, \
                {method: 'DELETE'})).then(r => r.status)";
    assert_eq!(b.run(gone).await, json!(204));
    b.click("#zip").await;
    says(&b, ".toast", "One of these pictures is gone").await;
    b.go(&program.at("/gallery")).await;
    b.until("two are left", &tiles(2)).await;
    press(&b, "a", true, 0).await;
    says(&b, "#selected", "2 selected").await;
    b.click("#zip").await;
    let file = downloads.finished("zip").await;
    assert_eq!(file.file_name().unwrap(), "easel-2-pictures.zip");
    let archive = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    assert!(matches!(&names[..], [first, second] if first.starts_with("001-") && second.starts_with("002-")), "{names:?}");
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 409")), "{complaints:?}");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_deletions_say_so_and_undo_says_what_is_back() {
    let program = Program::start(USERS);
    let b = gallery_of_three(&program).await;
    let full = "return Promise.resolve(new Response(JSON.stringify({detail: 'The disk is full.'}), {status: 503, headers: \
                {'content-type': 'application/problem+json'}}))";
    // Refused: all stay, and nothing is said to be deleted.
    hook(&b, "POST", "/artifacts/delete", 1, &format!("() => {{ {full} }}")).await;
    press(&b, "a", true, 0).await;
    press(&b, "Delete", false, 0).await;
    says(&b, ".toast", "The disk is full.").await;
    b.until("all are back", &tiles(3)).await;
    // One of them is gone already, by another tab: the others go, and can be brought back.
    let gone = "return fetch('/api/v1/artifacts/' + document.querySelector('#tiles li').dataset.id, {method: 'DELETE'}).then(r => r.status)";
    assert_eq!(b.run(gone).await, json!(204));
    press(&b, "a", true, 0).await;
    press(&b, "Delete", false, 0).await;
    says(&b, ".toast", "3 pictures deleted").await;
    b.see("#empty").await;
    b.click(".toast .btn:not(.btn--icon)").await;
    b.until("they are back", &tiles(3)).await;
    // The message is gone, and with it what Ctrl Z would do.
    press(&b, "z", true, 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(b.count(".toast").await, 0, "{}", b.text(".toast").await);

    // A picture's page is left when it is deleted, and not before.
    let id = b.run("return document.querySelector('#tiles li').dataset.id").await;
    b.go(&program.at(&format!("/picture/{}", id.as_str().unwrap()))).await;
    b.see("#delete").await;
    hook(&b, "POST", "/artifacts/delete", 1, &format!("() => {{ {full} }}")).await;
    b.click("#delete").await;
    says(&b, ".toast", "The disk is full.").await;
    assert!(b.url().await.ends_with(id.as_str().unwrap()));
    b.click("#delete").await;
    says(&b, ".toast", "1 picture deleted").await;
    assert!(!b.url().await.ends_with(id.as_str().unwrap()));
    b.click(".toast .btn:not(.btn--icon)").await;
    let here = format!("return location.pathname === '/picture/' + {id} && document.querySelector('#delete') !== null");
    b.until("it is back", &here).await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_painter_leaves_keys_to_whom_they_belong() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    let pressed = |id: &str| format!("return document.querySelector('#{id}').ariaPressed === 'true'");
    for (name, side) in [("one.png", 128), ("two.png", 512)] {
        choose_reference(&b, &noise(files.path(), name, side, side)).await;
        says(&b, "#reference-facts", &format!("{side} × {side}")).await;
        b.click("#mask-open").await;
        b.see("#mask-canvas").await;
        press(&b, "e", false, 0).await;
        b.until("the eraser is on", &pressed("mask-eraser")).await;
        press(&b, " ", false, 0).await;
        b.click("#mask-brush").await;
        b.until("the brush is on", &pressed("mask-brush")).await;
        b.click("#mask-done").await;
    }
    // However many there were, one press is one step, and the limit is that of the last.
    b.click("#mask-open").await;
    b.see("#mask-canvas").await;
    b.see("#brush-number").await;
    b.run("const n = document.querySelector('#brush-number'); n.value = '300'; n.dispatchEvent(new Event('change')); n.focus(); return true")
        .await;
    press(&b, "ArrowUp", false, 0).await;
    assert_eq!(b.run("return document.querySelector('#brush-number').value").await, "301");
    // Enter on a link is the link's; on the canvas it closes the painter.
    b.run("document.querySelector('nav a').focus(); return true").await;
    press(&b, "Enter", false, 0).await;
    b.see("#mask-canvas").await;
    // Switched off, single letters are nobody's.
    b.run(
        "document.body.toggleAttribute('data-no-shortcuts', true); document.querySelector('#mask-canvas').focus(); return true",
    )
    .await;
    press(&b, "e", false, 0).await;
    b.until("the brush is still on", &pressed("mask-brush")).await;
    press(&b, "Enter", false, 0).await;
    b.until("the painter is closed", "return document.querySelector('#mask-canvas') === null").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_again_by_themselves_and_say_so_in_one_place() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    make(&b, "a boat").await;
    let lost = "const l = document.querySelector('#lost'); return !l.hidden && l.textContent.includes('does not answer')";
    let found = "return document.querySelector('#lost').hidden";
    b.go(&program.at("/tools")).await;
    b.see("[data-tool=lora-tool]").await;
    hook(&b, "GET", "/tools", 2, "() => window.lose()").await;
    hide_and_show(&b).await;
    b.until("the mark says it", lost).await;
    assert_eq!(b.count(".toast").await, 0, "and no message hides what can be undone");
    b.until("it has asked again", found).await;

    let made = "return fetch('/api/v1/datasets', {method: 'POST', headers: {'content-type': 'application/json'}, \
                body: JSON.stringify({name: 'Boats', trigger: ''})}).then(r => r.json()).then(async d => { \
                const a = await fetch('/api/v1/artifacts').then(r => r.json()); \
                await fetch('/api/v1/datasets/' + d.id + '/artifacts', {method: 'POST', headers: {'content-type': 'application/json'}, \
                body: JSON.stringify({ids: [a.items[0].id], prompts: false})}); return d.id })";
    let dataset = b.run(made).await;
    let dataset = dataset.as_str().unwrap();
    b.go(&program.at(&format!("/datasets/{dataset}"))).await;
    b.see(".pcard textarea").await;
    hook(&b, "GET", "/datasets/", 2, "() => window.lose()").await;
    hide_and_show(&b).await;
    b.until("the mark says it", lost).await;
    b.until("it has asked again", found).await;
    // A browser that keeps nothing still saves what is typed, and takes no draft that it cannot read.
    b.run("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; return true").await;
    b.fill(".pcard textarea", "a white boat").await;
    let saved = format!(
        "return fetch('/api/v1/datasets/{dataset}').then(r => r.json()).then(d => d.pictures[0].caption === 'a white boat')"
    );
    b.until("it is saved", &saved).await;
    let broken = "const id = document.querySelector('.pcard').dataset.id; delete Storage.prototype.setItem; \
                  localStorage['easel.zoe.caption-' + id] = '{'; return true";
    b.run(broken).await;
    b.driver.refresh().await.unwrap();
    b.until("the page is drawn", "return document.querySelector('.pcard textarea')?.value === 'a white boat'").await;
    b.close().await;
}
