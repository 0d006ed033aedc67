//! A studio with a GPU, which is played. The system page: what holds the card back, its engine, and the engine that finds it full and
//! paints on the CPU; with axe-core, in both themes, at 1440 and 360 pixels. An artist whose job waits for room on it.

use super::{
    Browser,
    access::{calm, look_at},
};
use crate::{
    comfy::{
        card::loaded,
        guest::{Guest, PASSWORD},
    },
    gpu::{Studio, TOTAL, hold},
};
use serde_json::json;

/// That it is too hot and at its power limit, as the management library's bits say.
const SLOWED: u64 = 0x40 | 0x04;

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_is_shown_and_so_is_an_engine_that_finds_it_full() {
    let studio = Studio::start(0);
    for (name, value) in [("percent", 93), ("celsius", 84), ("milliwatts", 412_000), ("slowed", SLOWED)] {
        std::fs::write(studio.card.join(name), value.to_string()).unwrap();
    }
    let b = Browser::open(1440, 900).await;
    calm(&b).await;
    b.pick(&studio.program, "Ada").await;
    b.go(&studio.program.at("/admin")).await;
    b.fill("#password", PASSWORD).await;
    b.click("button[type=submit]").await;
    b.see("[data-admin-page=system]").await;
    let row = "document.querySelector('#engine-rows tr').textContent";
    b.until("the engine has the GPU", &format!("return {row}.includes('Ready') && {row}.includes('Played GPU 0, f16')")).await;
    let told = "const told = document.querySelector('#gauges').textContent; \
                return ['93 %', '84 °C', '412 W', 'too hot', 'at its power limit'].every((words) => told.includes(words))";
    b.until("the gauges tell of it", told).await;
    let page = studio.program.at("/admin");
    let mut all = look_at(&b, &page, "#engine-rows tr", "gpu-works").await;
    b.whole_page("gpu-works-360-whole").await;
    // Somebody else takes all of it while the engine starts again.
    hold(&studio.card, TOTAL);
    b.click("#engine-rows button").await;
    b.until("it paints on the CPU", &format!("return {row}.includes('Ready') && {row}.includes('CPU, ')")).await;
    let why = "memory is full. It looks again by itself, every half hour at least.";
    assert!(b.text("#engine-rows").await.contains(why), "{}", b.text("#engine-rows").await);
    all.extend(look_at(&b, &page, "#engine-rows tr", "gpu-full").await);
    b.whole_page("gpu-full-360-whole").await;
    b.resize(1440, 900).await;
    b.whole_page("gpu-full-1440-whole").await;
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artist_is_told_while_a_job_waits_for_room_on_the_card() {
    let studio = Studio::start(0);
    let ada = Guest::admin(&studio.program).await;
    studio.on_gpu(&ada).await;
    ada.install("comfy").await;
    // It agrees to give its memory back, and keeps it.
    std::fs::write(studio.program.data().join("workspace/comfy/cling"), "").unwrap();
    loaded(&Guest::pick(&studio.program, "mateo").await).await;
    let b = Browser::open(1440, 900).await;
    b.pick(&studio.program, "Zoe").await;
    let recipe = json!({"model": "tiny", "prompt": "a lake", "width": 64, "height": 64, "steps": 2});
    let submit = format!(
        "return fetch('/api/v1/jobs', {{method: 'POST', headers: {{'content-type': 'application/json'}}, \
         body: JSON.stringify({recipe})}}).then(r => r.status)"
    );
    assert_eq!(b.run(&submit).await, json!(202));
    let device = b.text("#device").await;
    assert!(device.contains("Played GPU 0") && !device.contains("f16"), "{device}");
    let waits = "return document.querySelector('#progress').textContent.includes('waits for tools to give memory back')";
    b.until("the page says what holds it up", waits).await;
    assert!(b.text("#latest").await.contains("Waiting"), "{}", b.text("#latest").await);
    b.screenshot("gpu-waits-1440").await;
    b.studio_is("error").await;
    assert!(b.text("#trouble-what").await.contains("ComfyUI holds 4.0 GB"), "{}", b.text("#trouble-what").await);
    b.close().await;
}
