//! The system page of a studio with a GPU, which is played: what holds it back, its engine, and the engine that finds it full and
//! paints on the CPU; with axe-core, in both themes, at 1440 and 360 pixels.

use super::{
    Browser,
    access::{calm, look_at},
};
use crate::{
    comfy::guest::PASSWORD,
    gpu::{Studio, TOTAL, hold},
};

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
