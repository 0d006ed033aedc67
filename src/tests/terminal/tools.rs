//! Tools as the real program keeps them: one that hangs is started anew, one that starts slowly is not, and each is known
//! by its name. Knows the test's tool and what its files mean.

use super::client::{Admin, restarted, studio, up};
use reqwest::Method;
use std::{
    fs,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_answers_nobody_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    let files = up(&admin, &program).await;
    assert_eq!(admin.starts().await, 1);
    // It lives on, and takes connections.
    fs::write(files.join("hang"), "").unwrap();
    let hung = Instant::now();
    while admin.starts().await < 2 {
        assert!(hung.elapsed() < Duration::from_secs(40), "it hangs for ever");
        tokio::time::sleep(POLL).await;
    }
    let noticed = hung.elapsed();
    admin.until_tool("running").await;
    println!("a tool that hangs is ended after {noticed:.1?}, and runs again after {:.1?}", hung.elapsed());
    // A question a second, each waited for as long: two are not enough.
    assert!(noticed > Duration::from_secs(3), "{noticed:?}");
    let sessions = admin.sessions().await;
    let ended = sessions.iter().filter(|s| s["action"] == "start").nth(1).unwrap();
    assert_eq!((ended["state"].as_str(), ended["signal"].as_i64()), (Some("ended"), Some(9)), "{ended}");
    assert_eq!(admin.starts().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_start_is_measured_by_its_own_deadline() {
    let folder = tempfile::tempdir().unwrap();
    drop(studio(folder.path()));
    let manifest = folder.path().join("setup/sketch/tool.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("start_timeout_s = 20", "start_timeout_s = 9")).unwrap();
    let program = restarted(folder.path());
    let admin = Admin::log_in(&program).await;
    let files = up(&admin, &program).await;
    let stop = async || {
        admin.api(Method::POST, "/tools/sketch/stop").await;
        admin.until_tool("stopped").await;
    };
    stop().await;
    // Longer than three questions take once it runs.
    fs::write(files.join("slow"), "5").unwrap();
    admin.api(Method::POST, "/tools/sketch/start").await;
    admin.until_tool("running").await;
    assert_eq!(admin.starts().await, 2, "it was left alone until it was well");
    stop().await;
    fs::write(files.join("slow"), "100").unwrap();
    let begun = Instant::now();
    admin.api(Method::POST, "/tools/sketch/start").await;
    let broken = admin.until_tool("broken").await;
    let took = begun.elapsed();
    println!("given up after {took:.1?} of 9 s");
    assert_eq!(broken["why"], "It did not answer on /health within 9 s.");
    assert!(took > Duration::from_secs(9), "{took:?}");
    assert_eq!(admin.starts().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_script_is_heard_at_once_and_processes_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path());
    let admin = Admin::log_in(&program).await;
    admin.api(Method::POST, "/tools/sketch/install").await;
    while admin.sessions().await[0]["state"] == "running" {
        tokio::time::sleep(POLL).await;
    }
    let ended = Instant::now();
    admin.until_tool("stopped").await;
    let heard = ended.elapsed();
    println!("the end of a script is heard after {heard:.0?}");
    assert!(heard < Duration::from_millis(400), "{heard:?}");
    admin.api(Method::POST, "/tools/sketch/start").await;
    admin.until_tool("running").await;
    admin.shell().await;
    let begun = Instant::now();
    loop {
        // Processes are looked at while somebody watches.
        let system = admin.get("/system").await;
        let trees = system["now"]["processes"].as_array().unwrap();
        let names: Vec<&str> = trees.iter().filter_map(|tree| tree["name"].as_str()).collect();
        if ["Panel", "Sketch server", "Shell"].iter().all(|name| names.contains(name)) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{names:?}");
        tokio::time::sleep(POLL).await;
    }
}
