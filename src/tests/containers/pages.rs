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
    // A shell inside is a terminal like any other.
    b.click("[data-tool=page] button").await;
    b.see("#screen .xterm").await;
    tools::take_keyboard(&b).await;
    tools::type_keys(&b, "echo $((6*7)) in $(cat /www/index.html)\n").await;
    tools::until_screen(&b, "42 in <title>Page</title>seen").await;
    assert!(b.text("h1").await.contains("Page: shell"), "{}", b.text("h1").await);
    tools::type_keys(&b, "exit 3\n").await;
    b.until("it is told", "return document.getElementById('state-word').textContent !== 'Running'").await;
    let ended = super::sessions(&ada).await;
    assert_eq!((&ended[0]["action"], &ended[0]["code"]), (&"shell".into(), &3.into()), "{ended:?}");
    let zoe = Guest::pick(&program, "zoe").await;
    assert_eq!(zoe.post("/containers/page/shell").await.0, 403);
    assert_eq!(ada.post("/containers/nothing/shell").await.0, 404);
    ada.post("/tools/page/stop").await;
    b.go(&program.at("/admin/containers")).await;
    b.see("#none").await;
    assert_eq!(ada.post("/containers/page/shell").await.0, 404);
    assert!(b.complaints().await.is_empty());
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
