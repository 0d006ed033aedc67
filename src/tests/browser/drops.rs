//! Settings out of picture files, in a real browser: a downloaded file dropped from the desktop fills the form with
//! every number, so do files of A1111 and SwarmUI, and what is no picture is answered in words. Bar U9.

use super::{Browser, downloads::Downloads};
use crate::program::Program;
use serde_json::{Value, json};
use std::path::Path;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";

/// Everything that the form holds, under the names of a recipe.
const FORM: &str = "const v = id => document.getElementById(id).value; const n = id => Number(v(id)); \
    const [width, height] = v('size') === 'other' ? [n('width'), n('height')] : v('size').split('x').map(Number); \
    return {model: v('model'), prompt: v('prompt'), negative_prompt: v('negative'), width, height, steps: n('steps-number'), \
    guidance: n('guidance-number'), sampler: v('sampler'), schedule: v('schedule'), eta: n('eta-number'), \
    guidance_rescale: n('rescale-number'), clip_skip: n('clip-number'), seed: n('seed'), format: v('format'), \
    batch: Number(document.querySelector('input[name=batch]:checked').value)}";

/// A PNG of 64 x 64 with this text under `parameters`, as other programs write it.
fn png_with(text: &str) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 64, image::Rgb([90, 120, 150])).write_to(&mut file, image::ImageFormat::Png).unwrap();
    let file = file.into_inner();
    let body = [b"tEXtparameters\0", text.as_bytes()].concat();
    let length = u32::try_from(body.len() - 4).unwrap().to_be_bytes();
    let chunk = [&length[..], &body, &crc(&body).to_be_bytes()].concat();
    // After the signature (8 bytes) and the header chunk (25).
    [&file[..33], &chunk, &file[33..]].concat()
}

/// The check sum of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// Drags a file from the desktop over the studio and drops it on one half.
async fn drop_file(b: &Browser, file: &Path, half: &str) {
    b.run("document.querySelector('.toast .btn--icon')?.click(); return true").await;
    let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
    let drag = |kind: &str, x: &Value, y: &Value| json!({"type": kind, "x": x, "y": y, "data": data});
    b.devtools("Input.dispatchDragEvent", drag("dragEnter", &json!(700), &json!(300))).await;
    b.see("#dropall").await;
    let middle = format!(
        "const r = document.querySelector('[data-drop={half}]').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
    );
    let at = b.run(&middle).await;
    // The first move onto an element enters it, the second is over it.
    for _ in 0..2 {
        b.devtools("Input.dispatchDragEvent", drag("dragOver", &at[0], &at[1])).await;
    }
    b.see(&format!("[data-drop={half}][data-over]")).await;
    b.devtools("Input.dispatchDragEvent", drag("drop", &at[0], &at[1])).await;
    b.until("the halves are closed", "return document.querySelector('#dropall').hidden").await;
}

/// The words of the message that comes.
async fn message(b: &Browser) -> String {
    b.see(".toast").await;
    b.text(".toast > span").await
}

/// Compares what both sides name; numbers of the recipe are f32 on their way.
fn assert_same(form: &Value, recipe: &Value) {
    for (name, value) in form.as_object().unwrap() {
        let wanted = &recipe[name];
        let same = match (value.as_f64(), wanted.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-5,
            _ => value == wanted,
        };
        assert!(same, "{name}: the form has {value}, the recipe {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downloaded_file_fills_the_form_again() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    let downloads = Downloads::of(&b).await;
    b.pick(&program, "Zoe").await;
    let recipe = json!({"prompt": "a (boat:1.2) on a calm sea, Nebel", "negative_prompt": "fog, night", "width": 192, "height": 128,
        "steps": 3, "guidance": 4.5, "sampler": "ddim", "eta": 0.35, "guidance_rescale": 0.25, "clip_skip": 2,
        "seed": 9_007_199_254_740_u64, "format": "png"});
    let submit = format!(
        "return fetch('/api/v1/jobs', {{method: 'POST', headers: {{'content-type': 'application/json', \
         'idempotency-key': 'round-trip-of-a-file'}}, body: JSON.stringify({recipe})}}).then(r => r.status)"
    );
    assert_eq!(b.run(&submit).await, json!(202));
    b.until("the picture is there", "return document.querySelectorAll('#latest li[data-id]').length === 1").await;
    b.studio_is("idle").await;
    b.click("#download").await;
    let file = downloads.finished("png").await;
    b.run("localStorage.clear(); return true").await;
    b.go(&program.at("/studio")).await;
    b.until("the form is fresh", "return document.querySelector('#prompt').value === ''").await;
    drop_file(&b, &file, "settings").await;
    assert!(message(&b).await.contains("same seed"));
    let jobs = b.run("return fetch('/api/v1/jobs').then(r => r.json())").await;
    assert_same(&b.run(FORM).await, &jobs["items"][0]["recipe"]);
    for (name, value) in recipe.as_object().unwrap() {
        let kept = &jobs["items"][0]["recipe"][name];
        assert!(kept == value || (kept.as_f64().unwrap_or(9e9) - value.as_f64().unwrap_or(0.0)).abs() < 1e-5, "{name}: {kept}");
    }
    b.screenshot("dropped").await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_programs_fill_the_form() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    let a1111 = "a house on green hills\nNegative prompt: snow\nSteps: 31, Sampler: Euler a, CFG scale: 6.5, Seed: 4242424242, \
                 Size: 256x320, Clip skip: 2, Version: v1.10.1";
    let swarm = json!({"sui_image_params": {"prompt": "a fox", "negativeprompt": "blurry", "seed": 77, "steps": "12", "cfgscale": 3.5,
        "width": 320, "height": 256, "sampler": "euler", "scheduler": "normal", "swarm_version": "0.9.4"}});
    let wanted = [
        (
            a1111.to_owned(),
            json!({"prompt": "a house on green hills", "negative_prompt": "snow", "steps": 31, "guidance": 6.5,
            "seed": 4_242_424_242_u64, "width": 256, "height": 320, "clip_skip": 2, "sampler": "euler_a", "batch": 1}),
        ),
        (
            swarm.to_string(),
            json!({"prompt": "a fox", "negative_prompt": "blurry", "seed": 77, "steps": 12, "guidance": 3.5,
            "width": 320, "height": 256, "sampler": "euler", "batch": 1}),
        ),
    ];
    for (i, (text, wanted)) in wanted.iter().enumerate() {
        let file = files.path().join(format!("other-{i}.png"));
        std::fs::write(&file, png_with(text)).unwrap();
        drop_file(&b, &file, "settings").await;
        assert!(message(&b).await.contains("same seed"));
        let form = b.run(FORM).await;
        let named = wanted.as_object().unwrap().keys().map(|k| (k.clone(), form[k].clone())).collect();
        assert_same(&Value::Object(named), wanted);
    }
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_taken_and_what_is_no_picture_is_said() {
    let (program, files) = (Program::start(USERS), tempfile::tempdir().unwrap());
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    let put = |name: &str, bytes: &[u8]| {
        let file = files.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let picture = png_with("no settings here");
    drop_file(&b, &put("a picture.png", &picture), "reference").await;
    b.until("it was sent", "return document.querySelector('#reference-facts').textContent === '64 × 64'").await;
    // Its settings were asked for, and it has none.
    drop_file(&b, &put("plain.png", &picture), "settings").await;
    assert!(message(&b).await.starts_with("“plain.png” holds no settings."));
    for (name, bytes) in [("letter.txt", &b"Dear Zoe"[..]), ("empty.png", b""), ("cut.png", &picture[..20])] {
        for half in ["settings", "reference"] {
            let file = put(name, bytes);
            drop_file(&b, &file, half).await;
            let said = message(&b).await;
            println!("{name} as {half}: {said}");
            assert!(said.starts_with(&format!("“{name}” ")) && !said.contains("422"), "{name} as {half}: {said}");
        }
    }
    // The reference of before is still there.
    assert_eq!(b.text("#reference-facts").await, "64 × 64");
    // Asked without a file, or with what is no form, the door says which field and what is wrong.
    let ask = "const post = body => fetch('/api/v1/inspect', {method: 'POST', body}).then(r => r.json().then(j => [r.status, j])); \
               return Promise.all([post(new FormData()), post('text')])";
    for answer in b.run(ask).await.as_array().unwrap() {
        assert_eq!((&answer[0], &answer[1]["errors"][0]["field"]), (&json!(422), &json!("file")), "{answer}");
    }
    let complaints = b.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 422") || c.contains("blob:")), "{complaints:?}");
    b.close().await;
}
