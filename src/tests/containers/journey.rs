//! An image is installed, its tool is opened, brought up to date, gone back with and stopped.

use super::{SECRET, World, content, page, registry::Registry, sessions};
use crate::comfy::guest::Guest;
use reqwest::Method;
use serde_json::Value;
use std::{sync::atomic::Ordering, time::Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_comes_from_its_registry_with_progress_and_its_tool_is_opened() {
    let content = content("out of a registry");
    let registry = Registry::serve(&[content.path()]);
    let Some(world) = World::with(&format!("{}/tool:1", registry.address)) else { return };
    registry.whims.rate.store(200_000, Ordering::Relaxed);
    let program = world.start();
    let ada = Guest::admin(&program).await;
    let tool = ada.until("page", "absent").await;
    assert_eq!((&tool["contained"], &tool["may"]["install"]), (&true.into(), &true.into()), "{tool}");
    // Cancelled in its middle, nothing is installed, and it can be begun again.
    assert_eq!(ada.post("/tools/page/install").await.0, 202);
    world.says(&ada, "install", " %").await;
    let pulling = sessions(&ada).await[0]["id"].as_str().unwrap().to_owned();
    assert!(ada.api(Method::DELETE, &format!("/sessions/{pulling}"), Value::Null).await.0 < 300);
    let cancelled = ada.until("page", "broken").await;
    assert_eq!((&cancelled["why"], &cancelled["may"]["start"]), (&"It was cancelled.".into(), &false.into()), "{cancelled}");
    registry.whims.rate.store(1_500_000, Ordering::Relaxed);
    ada.install("page").await;
    let said = world.transcript(&ada, "install").await;
    assert!(said.contains("::step 1/1 Pulling 127.0.0.1:") && said.matches(" %").count() >= 3, "{said:?}");
    assert_eq!(world.containers().len(), 0, "what is only installed does not run");

    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("page").await;
    assert!(page(&zoe).await.contains("out of a registry"));
    world.says(&ada, "start", "serving /data at 0.0.0.0:8000").await;
    assert_eq!(std::fs::read_to_string(program.data().join("workspace/page/kept")).unwrap(), "kept\n");

    // The page about it tells ports and no variable.
    let (status, told) = ada.api(Method::GET, "/containers", Value::Null).await;
    assert_eq!((status, told["items"].as_array().unwrap().len()), (200, 1), "{told}");
    let item = &told["items"][0];
    assert_eq!((&item["tool"], &item["name"], &item["running"]), (&"page".into(), &"Page".into(), &true.into()));
    assert_eq!((&item["ports"][0]["inside"], &item["health"]), (&8000.into(), &"well".into()), "{item}");
    assert!(told["engine"]["name"].as_str().unwrap().starts_with("Docker"), "{told}");
    assert!(!told.to_string().contains(SECRET) && !told.to_string().contains("EASEL_"), "{told}");
    assert_eq!(zoe.api(Method::GET, "/containers", Value::Null).await.0, 403);
    let log = std::fs::read_to_string(world.folder.path().join("stderr.log")).unwrap_or_default();
    assert!(!log.contains(SECRET));
    for file in std::fs::read_dir(program.data().join("logs")).unwrap().flatten().filter(|f| f.path().is_file()) {
        let log = std::fs::read_to_string(file.path()).unwrap();
        assert!(!log.contains(SECRET) && log.contains("containers are run by Docker"), "{:?}", file.path());
    }

    let begun = Instant::now();
    assert_eq!(zoe.post("/tools/page/stop").await.0, 202);
    zoe.until("page", "stopped").await;
    println!("containers: stopped in {:.1?}", begun.elapsed());
    assert_eq!(world.containers().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_changes_nothing_and_one_that_works_can_be_gone_back_from() {
    // No registry listens there: what has been put here is taken.
    let image = "127.0.0.1:1/easel-test/page:1";
    let Some(world) = World::with(image) else { return };
    world.import(image, "the first");
    let program = world.start();
    let ada = Guest::admin(&program).await;
    ada.install("page").await;
    assert!(world.transcript(&ada, "install").await.contains("::warn The image that is here already is taken"));
    let first = ada.tool("page").await["version"].clone();

    // Nothing newer, and no registry: told as a failure, and what was installed is.
    let broken = change(&ada, "update").await;
    assert_eq!(broken["state"], "broken", "{broken}");
    assert!(broken["why"].as_str().unwrap().contains("could not be pulled"), "{broken}");

    // One that ends at once, and one that runs and is never well; the last words of each are told.
    for (missing, why, words) in [("www", "before it was well", "/www"), ("www/index.html", "did not answer", "response:404")] {
        let bad = content("");
        let path = bad.path().join(missing);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
        world.dockerd.import(bad.path(), image, &["ENV PATH=/bin"]);
        let broken = change(&ada, "update").await;
        assert_eq!((&broken["state"], &broken["may"]["start"]), (&"broken".into(), &true.into()), "{broken}");
        let told = broken["why"].as_str().unwrap();
        assert!(told.contains("does not work") && told.contains(why) && told.contains("The former one is back"), "{told}");
        let said = world.transcript(&ada, "update").await;
        assert!(said.rsplit("The former one is back.").next().unwrap().contains(words), "{said:?}");
    }
    assert_eq!(world.containers().len(), 0);
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("page").await;
    assert!(page(&zoe).await.contains("the first"));
    // Nothing is changed while it runs.
    assert_eq!(ada.post("/tools/page/update").await.0, 409);
    stop(&ada).await;
    assert_eq!(ada.tool("page").await["version"], first);

    world.import(image, "the second");
    let updated = change(&ada, "update").await;
    assert_eq!((&updated["state"], &updated["earlier"]), (&"stopped".into(), &first), "{updated}");
    assert_ne!(updated["version"], first);
    assert_eq!(world.containers().len(), 0, "it was tried, and rests");
    zoe.start("page").await;
    assert!(page(&zoe).await.contains("the second"));
    stop(&ada).await;

    let back = change(&ada, "go-back").await;
    assert_eq!((&back["state"], &back["version"], &back["earlier"]), (&"stopped".into(), &first, &updated["version"]), "{back}");
    zoe.start("page").await;
    assert!(page(&zoe).await.contains("the first"));
    stop(&ada).await;
    assert_eq!(ada.post("/tools/page/reinstall").await.0, 409, "there is nothing to make anew");
}

/// Changes the tool and waits for its end; how it stands then.
async fn change(ada: &Guest, what: &str) -> Value {
    let before = sessions(ada).await.len();
    let (status, begun) = ada.post(&format!("/tools/page/{what}")).await;
    assert_eq!(status, 202, "{begun}");
    let clock = Instant::now();
    loop {
        let tool = ada.tool("page").await;
        if tool["state"] != "installing" {
            assert_eq!(sessions(ada).await.len(), before + 1);
            return tool;
        }
        assert!(clock.elapsed().as_secs() < 60, "{tool}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn stop(ada: &Guest) {
    assert_eq!(ada.post("/tools/page/stop").await.0, 202);
    ada.until("page", "stopped").await;
}
