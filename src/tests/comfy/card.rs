//! Tools that share a graphics card: who holds memory and is idle is asked to let go before another one starts, and where that
//! is not enough, the artist is told who holds what. The card is a folder. Knows the API.

use super::{card, guest::Guest, studio};
use crate::program::Program;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const GB: u64 = 1_000_000_000;

/// A studio with a card of 24 GB, of which each run of a tool holds 16.
pub(crate) fn with_card(folder: &Path) -> Program {
    let (card, library) = card(folder, 24 * GB);
    let holds = (16 * GB).to_string();
    let env =
        [("CARD_DOUBLE", card.to_str().unwrap()), ("LD_LIBRARY_PATH", library.to_str().unwrap()), ("COMFY_DOUBLE_HOLDS", &holds)];
    studio(folder, &env)
}

/// Starts the first tool and lets it load something.
pub(crate) async fn loaded(zoe: &Guest) {
    zoe.start("comfy").await;
    let gate = zoe.enter("comfy").await;
    let prompt = json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}}
    });
    let (status, queued) =
        gate.post("/prompt", json!({"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": {"of": "a"}}}})).await;
    assert_eq!(status, 200);
    let id = queued["prompt_id"].as_str().unwrap();
    let begun = Instant::now();
    while gate.json(&format!("/history/{id}")).await[id].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the prompt does not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The card as the tools page shows it.
async fn shown(guest: &Guest) -> Value {
    guest.api(reqwest::Method::GET, "/tools", Value::Null).await.1["cards"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_card_lets_go_when_another_tool_starts() {
    let folder = tempfile::tempdir().unwrap();
    let program = with_card(folder.path());
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    ada.install("comfy-two").await;
    let (zoe, mateo) = (Guest::pick(&program, "zoe").await, Guest::pick(&program, "mateo").await);
    assert_eq!(shown(&zoe).await[0]["free"], 24 * GB);
    loaded(&zoe).await;
    let held = shown(&mateo).await;
    assert_eq!(held[0]["holders"], json!([{"name": "ComfyUI", "bytes": 16 * GB, "lets_go": true}]), "{held}");
    mateo.start("comfy-two").await;
    let after = shown(&mateo).await;
    assert_eq!((after[0]["free"].as_u64(), after[0]["holders"].as_array().map(Vec::len)), (Some(24 * GB), Some(0)), "{after}");
    assert_eq!(zoe.tool("comfy").await["state"], "running", "it gave memory back and runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_lets_go_the_artist_is_told_who_holds_what() {
    let folder = tempfile::tempdir().unwrap();
    let program = with_card(folder.path());
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    ada.install("comfy-two").await;
    let (zoe, mateo) = (Guest::pick(&program, "zoe").await, Guest::pick(&program, "mateo").await);
    fs::write(program.data().join("workspace/comfy/cling"), "").unwrap();
    loaded(&zoe).await;
    assert_eq!(mateo.post("/tools/comfy-two/start").await.0, 202);
    let told = mateo.until("comfy-two", "no-room").await;
    let why = "It wants 12 GB of the graphics card, and 8.0 GB of 24.0 GB are free: ComfyUI holds 16.0 GB.";
    assert_eq!(told["why"], why, "{told}");
    assert!(told["remedy"].as_str().unwrap().starts_with("Stop one of them"));
    assert_eq!(told["may"]["start"], true);
    // Once it is stopped there is room.
    assert_eq!(zoe.post("/tools/comfy/stop").await.0, 202);
    zoe.until("comfy", "stopped").await;
    mateo.start("comfy-two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_card_none_is_shown_and_nobody_is_kept_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[("LD_LIBRARY_PATH", "")]);
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    if fs::exists("/dev/nvidiactl").unwrap() {
        return;
    }
    assert_eq!(shown(&zoe).await, json!([]));
    zoe.start("comfy").await;
}
