//! A terminal that is flooded, in a real page: the page stays quick, shows what comes, and a key ends it.

use crate::browser::{Browser, tools};
use crate::program::is_long;
use std::time::{Duration, Instant};
use thirtyfour::Key;

/// Whether megabytes have come, as the page counts them.
const MUCH: &str = "return document.getElementById('bytes').textContent.includes('MB')";
/// A click that takes longer feels broken, on any machine; the bar is the printed figure.
const AT_MOST_MS: f64 = 2_000.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_leaves_its_page_quick() {
    if !is_long() {
        println!("only with --long: a figure of time, and a browser that is kept busy for it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = tools::studio(folder.path());
    let b = Browser::open(1440, 900).await;
    tools::become_admin(&b, &program).await;
    b.go(&program.at("/tools")).await;
    b.click("#shell").await;
    b.see("#screen .xterm").await;
    b.click("#keyboard").await;
    b.until("this page types", "return document.querySelector('main').hasAttribute('data-typing')").await;
    let watch = "window.inp = []; new PerformanceObserver(l => l.getEntries().forEach(e => { if (e.interactionId) window.inp.push(e.duration); })) \
                 .observe({type: 'event', durationThreshold: 16}); return true";
    b.run(watch).await;
    let keys = b.driver.active_element().await.unwrap();
    keys.send_keys("yes 0123456789012345678901234567890123456789012345678901234567890123\n").await.unwrap();
    let begun = Instant::now();
    b.until("the flood has come", MUCH).await;
    println!("a megabyte shown after {:.1?}", begun.elapsed());
    for _ in 0..3 {
        b.click("#find").await;
        b.see("#find-bar").await;
        b.click("#find-close").await;
    }
    let begun = Instant::now();
    let keys = b.driver.active_element().await.unwrap();
    keys.send_keys(Key::Control + "c").await.unwrap();
    keys.send_keys("clear; echo $((40+2)) done\n").await.unwrap();
    b.until("it has ended", "return window.easelScreen().includes('42 done')").await;
    let ended = begun.elapsed();
    let slowest = b.run("return Math.max(0, ...window.inp)").await.as_f64().unwrap();
    println!("in a flood: slowest interaction {slowest:.0} ms; ended and answered after {ended:.0?}");
    assert!(slowest < AT_MOST_MS, "{slowest} ms");
    assert!(ended < Duration::from_secs(20), "{ended:?}");
    b.close().await;
}
