//! An artist makes a dataset in a real browser: pictures and an archive dropped, captions by hand that survive a reload and
//! clash in words, find and replace, buckets, the download; with axe-core, in both themes, at 1440 and 360 pixels.

use super::{Browser, access, admin, downloads::Downloads};
use crate::{
    datasets::{archive, picture},
    program::Program,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};
use thirtyfour::Key;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";

/// Drags files from the desktop over the page and lets them go.
async fn drop_files(b: &Browser, files: &[PathBuf]) {
    let data = json!({"items": [], "files": files, "dragOperationsMask": 1});
    for kind in ["dragEnter", "dragOver", "drop"] {
        b.devtools("Input.dispatchDragEvent", json!({"type": kind, "x": 300, "y": 400, "data": data})).await;
        if kind == "dragOver" {
            b.see("#dropall").await;
        }
    }
    b.until("the cover is gone", "return document.querySelector('#dropall').hidden").await;
}

/// Presses the button that begins with these words in the open dialog.
async fn answer(b: &Browser, words: &str) {
    let script = format!(
        "const e = [...document.querySelectorAll('dialog button')].find(e => e.textContent.trim().startsWith({})); \
         if (!e) return false; e.click(); return true",
        Value::from(words)
    );
    b.until(&format!("the dialog has {words}"), &script).await;
}

async fn closed(b: &Browser) {
    b.until("the dialog is closed", "return !document.querySelector('dialog')").await;
}

/// Looks at the page in both themes and widths; what is wrong with it.
async fn look(b: &Browser, axe: &str, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (width, height) in [(1440, 900), (360, 740)] {
        b.resize(width, height).await;
        for theme in ["dark", "light"] {
            b.run(&format!("document.documentElement.dataset.theme = '{theme}'; return true")).await;
            access::settle(b).await;
            all.extend(access::findings(b, axe).await.iter().map(|f| format!("{name} {width} {theme}: {f}")));
            if b.run("return document.documentElement.scrollWidth > innerWidth").await == true {
                all.push(format!("{name} {width} {theme}: scrolls sideways"));
            }
            b.screenshot(&format!("dataset-{name}-{width}-{theme}")).await;
        }
        b.whole_page(&format!("dataset-{name}-{width}-whole")).await;
    }
    b.resize(1440, 900).await;
    b.run("document.documentElement.dataset.theme = 'dark'; return true").await;
    all
}

/// An empty dataset, made as a newcomer makes it.
async fn make(b: &Browser, program: &Program, axe: &str) -> Vec<String> {
    b.pick(program, "Zoe").await;
    b.click("nav a[href='/datasets']").await;
    b.see("#first").await;
    let mut all = look(b, axe, "list-empty").await;
    b.click("#first").await;
    b.fill("#dataset-name", "Grey cats").await;
    b.fill("#dataset-trigger", "ohwx, cat").await;
    answer(b, "Make the dataset").await;
    b.until("the comma is refused", "return document.querySelector('dialog .error').textContent.includes('commas')").await;
    b.screenshot("dataset-dialog-name").await;
    b.fill("#dataset-trigger", "ohwx cat").await;
    answer(b, "Make the dataset").await;
    b.see("#drop").await;
    all.extend(look(b, axe, "empty").await);
    all
}

const CARDS: &str = "return document.querySelectorAll('.pcard').length";

/// Two pictures, an archive of three, and a letter.
async fn fill(b: &Browser, folder: &Path) {
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let inner = [picture(3, 640, 480), picture(4, 480, 720), picture(5, 300, 200)];
    let zip = archive(&[
        ("cats/three.png", &inner[0]),
        ("cats/three.txt", b"a cat on a wall"),
        ("cats/four.png", &inner[1]),
        ("cats/four.txt", b"a cat, asleep"),
        ("cats/five.png", &inner[2]),
        ("readme.md", b"no picture"),
    ]);
    let files = [
        put("one.png", &picture(1, 1280, 720)),
        put("two.png", &picture(2, 768, 1024)),
        put("two.txt", b"a white cat"),
        put("cats.zip", &zip),
        put("letter.pdf", b"%PDF"),
    ];
    drop_files(b, &files).await;
    b.until("all five are there", &format!("{CARDS} === 5")).await;
    b.until("the letter is named", "return document.querySelector('#bringing').textContent.includes('letter.pdf')").await;
    b.until(
        "the archive tells its end",
        "return document.querySelector('#task').textContent.includes('3 pictures out of cats.zip')",
    )
    .await;
    b.screenshot("dataset-dropped").await;
    b.click("#bringing-close").await;
    b.run("[...document.querySelectorAll('#task button')].find(x => x.textContent === 'Close').click(); return true").await;
}

/// Captions by hand: saved by themselves, there after a reload, and never written over another browser's.
async fn caption(b: &Browser) {
    let at = |name: &str| {
        format!("[...document.querySelectorAll('.pcard')].find(c => c.querySelector('label').textContent === '{name}')")
    };
    b.run(&format!("{}.querySelector('textarea').focus(); return true", at("one"))).await;
    let active = b.driver.active_element().await.unwrap();
    active.send_keys("a cat at night").await.unwrap();
    let saved = format!("return {}.querySelector('.said').textContent === 'Saved'", at("one"));
    b.until("it is saved", &saved).await;
    active.send_keys(Key::Control + Key::Enter).await.unwrap();
    b.until("the next caption has the focus", "return document.activeElement.closest('.pcard') !== null").await;
    // Typed and left at once: the browser sends it behind the page.
    b.run(&format!("{}.querySelector('textarea').focus(); return true", at("five"))).await;
    b.driver.active_element().await.unwrap().send_keys("a cat, from afar").await.unwrap();
    b.driver.refresh().await.unwrap();
    b.until("all five are there", &format!("{CARDS} === 5")).await;
    for (name, caption) in [("one", "a cat at night"), ("five", "a cat, from afar"), ("two", "a white cat")] {
        let there = format!("return {}.querySelector('textarea').value === '{caption}'", at(name));
        b.until(&format!("{name} kept its caption"), &there).await;
    }
    b.until("nothing is unsaved", "return Object.keys(localStorage).every(k => !k.startsWith('caption-'))").await;
    // Another browser writes meanwhile, while this one types.
    let elsewhere = format!(
        "const c = {}; const id = c.dataset.id; const write = () => fetch('/api/v1/datasets/' + location.pathname.split('/').pop()) \
         .then(r => r.json()).then(now => fetch(`/api/v1/dataset-pictures/${{id}}/caption`, {{method: 'PUT', \
         headers: {{'content-type': 'application/json'}}, body: JSON.stringify({{caption: 'a cat by day', \
         version: now.pictures.find(p => p.id === id).version}})}})).then(r => r.status); \
         const type = text => {{ const t = c.querySelector('textarea'); t.value += text; t.dispatchEvent(new Event('input')); }};",
        at("one")
    );
    // The page hears of it only after it was typed into, however slow the machine is.
    let deaf = "window.real = window.fetch; const hold = new Promise(r => window.release = r); \
                window.fetch = (url, how) => String(url).includes('?after=') ? hold.then(() => window.real(url, how)) : window.real(url, how);";
    let meanwhile = format!("{deaf} {elsewhere} return write().then(status => {{ type(' or at noon'); return status; }})");
    assert_eq!(b.run(&meanwhile).await, json!(200));
    b.see(".clash:not([hidden])").await;
    b.run("window.fetch = window.real; window.release(); return true").await;
    assert!(b.text(".clash:not([hidden])").await.contains("a cat by day"));
    b.screenshot("dataset-clash").await;
    b.run("[...document.querySelectorAll('.clash button')].find(x => x.textContent === 'Keep mine').click(); return true").await;
    b.until("it is saved", &saved).await;
    // Elsewhere and here nothing typed: it just appears.
    assert_eq!(b.run(&format!("{elsewhere} return write()")).await, json!(200));
    let there = format!("return {}.querySelector('textarea').value === 'a cat by day'", at("one"));
    b.until("another browser's caption appears", &there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_from_nothing_to_a_download() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    let downloads = Downloads::of(&b).await;
    let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
    b.devtools("Emulation.setEmulatedMedia", still).await;
    let axe = access::axe();
    let mut all = make(&b, &program, &axe).await;
    fill(&b, files.path()).await;
    all.extend(look(&b, &axe, "pictures").await);
    caption(&b).await;

    b.click("#replace").await;
    b.fill("#find", "cat").await;
    b.fill("#with", "tiger").await;
    b.until("it says how many", "return document.querySelector('dialog').textContent.includes('5 captions change, in 5 places')")
        .await;
    b.screenshot("dataset-dialog-replace").await;
    answer(&b, "Replace in all captions").await;
    closed(&b).await;
    b.until("they changed", "return [...document.querySelectorAll('.pcard textarea')].every(t => t.value.includes('tiger'))")
        .await;
    b.click("#undo").await;
    b.until("they are back", "return [...document.querySelectorAll('.pcard textarea')].every(t => t.value.includes('cat'))")
        .await;

    b.run("document.querySelector('input[name=size][value=\"512\"]').click(); return true").await;
    b.see("#buckets").await;
    assert!(b.text("#buckets").await.contains("640 × 384"), "{}", b.text("#buckets").await);
    b.until("what is kept is framed", "return document.querySelectorAll('.crop:not([hidden])').length === 5").await;
    all.extend(look(&b, &axe, "buckets").await);

    b.run("document.querySelector('.pcard .btn--icon').click(); return true").await;
    b.until("one is gone", &format!("{CARDS} === 4")).await;
    b.click(".toast .btn:not(.btn--icon)").await;
    b.until("it is back", &format!("{CARDS} === 5")).await;

    b.click("#export").await;
    b.see("dialog").await;
    b.run("document.querySelector('#layout-kohya').click(); return true").await;
    b.fill("#class", "cat").await;
    b.screenshot("dataset-dialog-export").await;
    answer(&b, "Download zip").await;
    closed(&b).await;
    let mut zip = zip::ZipArchive::new(std::fs::File::open(downloads.finished("zip").await).unwrap()).unwrap();
    let mut text = String::new();
    zip.by_name("Grey cats/10_ohwx cat cat/two.txt").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((zip.len(), text.as_str()), (10, "ohwx cat, a white cat"));
    b.click("#export").await;
    answer(&b, "Write to the workspace").await;
    b.until("it is written", "return document.querySelector('#task').textContent.includes('Written to datasets/zoe/Grey cats')")
        .await;
    let written = program.data().join("workspace/datasets/zoe/Grey cats");
    assert_eq!(std::fs::read_to_string(written.join("one.txt")).unwrap(), "ohwx cat, a cat by day");
    b.go(&program.at("/datasets")).await;
    b.see(".dcard").await;
    all.extend(look(&b, &axe, "list").await);
    assert!(all.is_empty(), "{}", all.join("\n"));
    // The refused trigger word and the clash are the point; the console notes them.
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 4")), "{complaints:?}");
    b.close().await;
}

/// A vision model on this machine that takes its time; where it is asked.
fn seer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (n, mut stream) in listener.incoming().map(Result::unwrap).enumerate() {
            let mut reader = BufReader::new(&stream);
            let lines: Vec<String> = (&mut reader).lines().map(Result::unwrap).take_while(|l| !l.is_empty()).collect();
            let header = |name: &str| lines.iter().find_map(|l| l.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
            let length: usize = header("content-length: ").unwrap().parse().unwrap();
            std::io::copy(&mut reader.take(length as u64), &mut std::io::sink()).unwrap();
            std::thread::sleep(Duration::from_millis(900));
            let keyed = header("authorization: ").is_some_and(|h| h == "bearer key-1");
            let body = match keyed {
                true => json!({"choices": [{"message": {"content": format!("seen as number {n}")}}]}).to_string(),
                false => String::new(),
            };
            let status = if keyed { "200 OK" } else { "401 Unauthorized" };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

/// Makes two small pictures in the studio and adds one of them with its prompt.
async fn pick_one(b: &Browser, axe: &str) {
    b.click("#pick").await;
    b.until("two are offered", "return document.querySelectorAll('.picks img').length === 2").await;
    b.run("document.querySelector('.picks input').click(); return true").await;
    b.screenshot("dataset-dialog-pick").await;
    let found = access::findings(b, axe).await;
    assert!(found.is_empty(), "{found:?}");
    answer(b, "Add to the dataset").await;
    b.until("it is there", "return [...document.querySelectorAll('.pcard textarea')].some(t => t.value === 'a boat')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sets_the_vision_model_and_it_captions() {
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = admin::start(folder.path());
    let b = Browser::open(1440, 900).await;
    let axe = access::axe();
    admin::enter_admin_mode(&b, &program).await;
    let job = json!({"prompt": "a boat", "steps": 2, "batch": 2, "width": 128, "height": 128});
    b.run(&format!("return fetch('/api/v1/jobs', {{method: 'POST', body: JSON.stringify({job})}}).then(r => r.status)")).await;
    b.go(&program.at("/datasets")).await;
    b.click("#vision").await;
    b.run("const s = document.querySelector('#vision-protocol'); s.value = 'openai'; s.dispatchEvent(new Event('change')); return true").await;
    b.fill("#vision-url", &seer()).await;
    b.fill("#vision-model", "seer-1").await;
    b.fill("#vision-key", "key-1").await;
    b.screenshot("dataset-dialog-vision").await;
    let mut all = access::findings(&b, &axe).await;
    answer(&b, "Save").await;
    closed(&b).await;
    b.click("#first").await;
    b.fill("#dataset-name", "Boats").await;
    answer(&b, "Make the dataset").await;
    b.see("#drop").await;
    let put = |i: u32| {
        let file = files.path().join(format!("{i}.png"));
        std::fs::write(&file, picture(i, 300 + i, 300)).unwrap();
        file
    };
    drop_files(&b, &[put(1), put(2), put(3)]).await;
    b.until("all three are there", &format!("{CARDS} === 3")).await;
    let both = "return fetch('/api/v1/artifacts').then(r => r.json()).then(page => page.total === 2)";
    b.until("two pictures were made", both).await;
    pick_one(&b, &axe).await;
    b.click("#model").await;
    b.screenshot("dataset-dialog-model").await;
    all.extend(access::findings(&b, &axe).await);
    answer(&b, "Start").await;
    b.until("it tells how far it is", "return /[12] of 3/.test(document.querySelector('#task').textContent)").await;
    b.screenshot("dataset-captioning").await;
    b.driver.refresh().await.unwrap();
    b.until("it goes on over a reload", "return document.querySelector('#task').textContent.includes('3 captions by seer-1')")
        .await;
    let seen = "return [...document.querySelectorAll('.pcard textarea')].filter(t => t.value.startsWith('seen as')).length === 3";
    b.until("the captions are there", seen).await;
    all.extend(look(&b, &axe, "admin").await);
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
