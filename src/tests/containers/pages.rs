//! The page of the containers in a real browser: with a container that runs, and without an engine.

use super::World;
use crate::{
    browser::{Browser, access, tools},
    comfy::guest::Guest,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_the_engine_its_containers_and_their_ports() {
    let image = "127.0.0.1:1/easel-test/seen:1";
    let Some(world) = World::with(image) else { return };
    world.import(image, "seen");
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.install("page").await;
    ada.start("page").await;
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    tools::become_admin(&b, &program).await;
    let row = "[data-tool=page]";
    let all = access::look_at(&b, &program.at("/admin/containers"), row, "containers-running").await;
    let text = b.text(row).await;
    assert!(text.contains("Page") && text.contains("Running") && text.contains("→ 8000"), "{text}");
    assert!(b.text("#engine-state").await.contains("Docker"), "{}", b.text("#engine-state").await);
    ada.post("/tools/page/stop").await;
    b.see("#none").await;
    assert!(b.complaints().await.is_empty());
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
