//! The same as an admin sees it in a browser: the last good copy told on the tools page, new scripts looked at before they run, the
//! page of the repositories, a sync in a live terminal.

use super::{PASSWORD, Remote, first_clone, program};
use crate::browser::{Browser, access, tools};
use crate::tool_folder::{free_port, set_password};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_what_changed_lets_it_run_and_syncs_in_a_live_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::start(folder.path(), free_port());
    // What looks like a header, and what turns the text around it.
    fs::write(remote.work().join("setup/sketch/helper.py"), "++ evil\n# \u{202e}nothing\r hidden\n").unwrap();
    remote.push("A helper");
    first_clone(folder.path(), &remote);
    remote.down();
    let program = program(folder.path(), &remote, false);
    set_password(&program, "ada", PASSWORD);
    let b = Browser::open(1440, 900).await;
    access::calm(&b).await;
    tools::become_admin(&b, &program).await;
    let card = "[data-tool=sketch]";
    let mut all = access::look_at(&b, &program.at("/tools"), "[data-notice=sync]", "tools-unsynced").await;
    b.resize(1440, 900).await;
    b.go(&program.at("/tools")).await;
    assert!(b.text("[data-notice=sync]").await.contains("Running from the last good copy"));
    assert!(b.text(&format!("{card} .why")).await.contains("Scripts changed"));
    b.click(&format!("{card} [data-act=review]")).await;
    b.see("dialog[open] .diffs details").await;
    let shown = b.run("return [...document.querySelectorAll('dialog[open] .diff')].map((pre) => pre.textContent).join('')").await;
    let shown = shown.as_str().unwrap().to_owned();
    assert!(shown.contains("+++ evil\n+# \\u{202e}nothing\\u{d} hidden\n"), "{shown}");
    access::settle(&b).await;
    all.extend(access::findings(&b, &access::axe()).await);
    b.screenshot("tools-review").await;
    b.click("dialog[open] button[type=submit]").await;
    b.see(&format!("{card} [data-act=install]")).await;

    all.extend(access::look_at(&b, &program.at("/admin/boot"), "[data-repo=studio]", "admin-sync").await);
    b.resize(1440, 900).await;
    remote.up();
    fs::write(remote.work().join("notes.md"), "Something new.\n").unwrap();
    let newest = remote.push("Notes");
    b.go(&program.at("/admin/boot")).await;
    b.click("#sync").await;
    b.see("#screen .xterm").await;
    tools::until_screen(&b, "1 new: ").await;
    b.screenshot("sync-session").await;
    b.go(&program.at("/admin/boot")).await;
    b.see("[data-repo=studio]").await;
    assert!(b.text("[data-repo=studio]").await.contains(&newest[..10]), "{}", b.text("[data-repo=studio]").await);
    assert!(b.complaints().await.is_empty());
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
