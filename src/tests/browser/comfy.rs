//! The graphics card that the tools share, above them, what an artist is told who finds no room on it, and two artists in one
//! ComfyUI. Knows the pages only as a person does.

use super::{
    Browser,
    access::{calm, look_at},
};
use crate::comfy::{self, guest::Guest};
use crate::program::Program;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_card_is_shown_with_who_holds_it_and_a_full_one_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let program = comfy::card::with_card(folder.path());
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    ada.install("comfy-two").await;
    std::fs::write(program.data().join("workspace/comfy/cling"), "").unwrap();
    let zoe = Guest::pick(&program, "zoe").await;
    comfy::card::loaded(&zoe).await;
    let b = Browser::open(1440, 900).await;
    calm(&b).await;
    b.pick(&program, "Mateo").await;
    b.go(&program.at("/tools")).await;
    b.see("#gpu .track").await;
    assert!(b.text("#gpu").await.contains("8.0 GB of 24.0 GB free"), "{}", b.text("#gpu").await);
    assert!(b.text("#gpu .legend").await.contains("ComfyUI 16.0 GB"));
    b.click("[data-tool=comfy-two] [data-act=start]").await;
    b.see("[data-tool=comfy-two][data-state=no-room]").await;
    assert!(b.text("[data-tool=comfy-two] .why").await.contains("ComfyUI holds 16.0 GB"));
    let found = look_at(&b, &program.at("/tools"), "[data-tool=comfy-two][data-state=no-room]", "tools-card").await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    // The bar follows by itself.
    assert_eq!(zoe.post("/tools/comfy/stop").await.0, 202);
    b.until("the card is free", "return document.getElementById('gpu').textContent.includes('24.0 GB of 24.0 GB free')").await;
    b.close().await;
}

/// What a page of ComfyUI does for its artist: listens, runs a graph of one colour, uploads, keeps a workflow, and at the end
/// says all that it has seen. `who` names all of it.
const PAGE: &str = r#"
const who = WHO, color = COLOR;
const seen = { told: [], pictures: [] };
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws?clientId=tab');
socket.binaryType = 'arraybuffer';
socket.onmessage = ({ data }) => {
  if (typeof data === 'string') return seen.told.push(JSON.parse(data));
  seen.pictures.push([...new Uint8Array(data)].slice(-3).join());
};
const ask = async (path, body) => {
  const answer = await fetch(path, body && { method: 'POST', body: body instanceof FormData ? body : JSON.stringify(body) });
  return answer.headers.get('content-type')?.includes('json') ? answer.json() : answer.status;
};
return (async () => {
  await new Promise((open) => (socket.onopen = open));
  const form = new FormData();
  form.append('image', new Blob([who]), who + '.png');
  await ask('/api/upload/image', form);
  await ask('/api/userdata/workflows%2F' + who + '.json', { who });
  const prompt = {
    1: { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color } },
    2: { class_type: 'Steps', inputs: { images: ['1', 0], steps: 10, seconds: 1 } },
    3: { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: who } },
  };
  const extra_data = { extra_pnginfo: { workflow: { who } } };
  const { prompt_id } = await ask('/api/prompt', { prompt, client_id: 'tab', extra_data });
  seen.queue = await ask('/api/queue');
  while (!Object.keys(await ask('/api/history/' + prompt_id)).length) await new Promise((wait) => setTimeout(wait, 100));
  // The other one's may still run.
  await new Promise((wait) => setTimeout(wait, 2500));
  seen.history = await ask('/api/history?max_items=64');
  seen.workflows = await ask('/api/userdata?dir=workflows&recurse=true');
  seen.nodes = await ask('/api/object_info/LoadImage');
  seen.view = (await fetch('/api/view?type=output&subfolder=&filename=' + who + '_00001_.png')).status;
  return JSON.stringify(seen);
})();
"#;

/// Opens ComfyUI from the tools page, as a person does, and lets its page work.
async fn works_in_comfy(program: &Program, name: &str, who: &str, color: u32) -> Value {
    let b = Browser::open(1280, 800).await;
    b.pick(program, name).await;
    b.go(&program.at("/tools")).await;
    let before = b.driver.window().await.unwrap();
    b.click("[data-tool=comfy] [data-act=open]").await;
    let tab = b.new_tab(&before).await;
    b.driver.switch_to_window(tab).await.unwrap();
    b.until("ComfyUI's page is there", "return document.title === 'ComfyUI'").await;
    let script = PAGE.replace("WHO", &format!("'{who}'")).replace("COLOR", &color.to_string());
    let seen = b.run(&script).await;
    b.close().await;
    serde_json::from_str(seen.as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_artists_in_one_comfyui_see_nothing_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let program = comfy::studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    Guest::pick(&program, "zoe").await.start("comfy").await;
    let hers = works_in_comfy(&program, "Zoe", "violet", 0x0001_0203);
    let his = works_in_comfy(&program, "Mateo", "ochre", 0x0004_0506);
    let (hers, his) = tokio::join!(hers, his);
    for (seen, own, other, color) in [(&hers, "violet", "ochre", "1,2,3"), (&his, "ochre", "violet", "4,5,6")] {
        assert!(!seen.to_string().contains(other), "{own} sees {other}: {seen}");
        assert_eq!(seen["view"], 200);
        assert_eq!(seen["workflows"], json!([format!("{own}.json")]));
        assert_eq!(seen["history"].as_object().unwrap().len(), 1);
        let entries = ["queue_running", "queue_pending"].map(|list| seen["queue"][list].as_array().unwrap().len());
        assert_eq!(entries.iter().sum::<usize>(), 1, "{seen}");
        let pictures = seen["pictures"].as_array().unwrap();
        assert!(pictures.len() >= 10 && pictures.iter().all(|end| end == color), "{pictures:?}");
        let upload = format!("{own}.png");
        assert!(seen["nodes"]["LoadImage"]["input"]["required"]["image"][0][0].as_str().unwrap().ends_with(&upload));
    }
}

/// Opens ComfyUI from the tools page, in a tab of its own, and runs a script there.
async fn in_comfy(b: &Browser, program: &Program, script: &str) -> Value {
    b.go(&program.at("/tools")).await;
    let before = b.driver.window().await.unwrap();
    b.click("[data-tool=comfy] [data-act=open]").await;
    let tab = b.new_tab(&before).await;
    b.driver.switch_to_window(tab).await.unwrap();
    b.until("ComfyUI's page is there", "return document.title === 'ComfyUI'").await;
    let told = b.run(script).await;
    b.driver.close_window().await.unwrap();
    b.driver.switch_to_window(before).await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_artist_at_the_same_browser_finds_no_workflow_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let program = comfy::studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    Guest::pick(&program, "zoe").await.start("comfy").await;
    let b = Browser::open(1280, 800).await;
    b.pick(&program, "Zoe").await;
    // As ComfyUI's page keeps the open workflow.
    let keep = "localStorage.setItem('workflow', 'hers'); return localStorage.length";
    assert_eq!(in_comfy(&b, &program, keep).await, json!(1));
    let kept = "return localStorage.getItem('workflow')";
    assert_eq!(in_comfy(&b, &program, kept).await, json!("hers"), "she finds it again");
    // From a page that asks nothing by itself: that of the tools would without a login.
    b.go(&program.at("/profile")).await;
    b.see("h1").await;
    b.run("document.querySelector('form[action=\"/logout\"]').requestSubmit(); return true").await;
    b.see(".profile-card").await;
    b.pick(&program, "Mateo").await;
    assert_eq!(in_comfy(&b, &program, kept).await, Value::Null);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_comfyuis_offers_its_workflow() {
    let folder = tempfile::tempdir().unwrap();
    let program = comfy::studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    comfy::card::loaded(&zoe).await;
    let b = Browser::open(1440, 900).await;
    calm(&b).await;
    b.pick(&program, "Zoe").await;
    b.until(
        "the picture is in the gallery",
        "return fetch('/api/v1/artifacts').then((a) => a.json()).then((a) => a.total === 1)",
    )
    .await;
    let id = b.run("return fetch('/api/v1/artifacts').then((a) => a.json()).then((a) => a.items[0].id)").await;
    let page = program.at(&format!("/picture/{}", id.as_str().unwrap()));
    let found = look_at(&b, &page, "#workflow", "picture-comfyui").await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(
        (b.count("[data-hand=settings]").await, b.count("[data-hand=reference]").await, b.count("#copy").await),
        (0, 1, 0)
    );
    let said = b.run("return fetch(document.getElementById('workflow').href).then((a) => a.json())").await;
    assert_eq!(said, json!({ "of": "a" }));
    // The studio's own strip shows what can be made again there.
    b.go(&program.at("/studio")).await;
    b.see("#prompt").await;
    assert_eq!(b.count("#latest a").await, 0);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_of_comfyuis_gets_a_still_and_plays() {
    let folder = tempfile::tempdir().unwrap();
    let program = comfy::studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("comfy").await;
    comfy::films::filmed(&zoe.enter("comfy").await).await;
    comfy::films::gallery(&zoe, 2).await;
    let b = Browser::open(1440, 900).await;
    b.pick(&program, "Zoe").await;
    b.go(&program.at("/gallery")).await;
    let stills = "const all = [...document.querySelectorAll('.tile[data-kind=video] img')]; \
                  return all.length === 2 && all.every((img) => img.naturalWidth === 64)";
    b.until("both have a still", stills).await;
    assert_eq!(b.count(".tile video").await, 0, "no tile holds a decoder");
    assert_eq!(b.text(".tile .mark").await, "0:02");
    // Under the pointer it plays, without sound.
    b.driver.action_chain().move_to_element_center(&b.see(".tile").await).perform().await.unwrap();
    let plays = "const video = document.querySelector('.tile video'); return !!video && video.muted && video.currentTime > 0.2";
    b.until("it plays in its tile", plays).await;
    b.driver.action_chain().move_to_element_center(&b.see("#search").await).perform().await.unwrap();
    b.until("it does not any more", "return document.querySelector('.tile video') === null").await;
    for tile in ["li:first-child", "li:last-child"] {
        b.go(&program.at("/gallery")).await;
        b.click(&format!("#tiles {tile} a")).await;
        b.until("it can be played", "return document.querySelector('video#player')?.readyState >= 2").await;
        assert_eq!(b.run("return document.querySelector('#player').paused").await, true, "nothing plays by itself");
        assert_eq!((b.count("[data-hand]").await, b.count("#workflow").await), (0, 1));
        b.driver.action_chain().send_keys(" ").perform().await.unwrap();
        b.until("it plays", "return document.querySelector('#player').currentTime > 0.3").await;
    }
    calm(&b).await;
    let found = look_at(&b, &b.url().await, "#player", "picture-video").await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    b.go(&program.at("/gallery")).await;
    b.until("its still was kept", stills).await;
    b.close().await;
}
