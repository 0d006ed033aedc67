//! JupyterLab for real, through the product: an admin installs it, starts it, opens it through its gate, runs a cell and a
//! terminal, and stops it. Knows its pages only as a person does.

use super::{Browser, tools::become_admin};
use crate::{program::Program, supervise::living, tool_folder};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};
use thirtyfour::Key;

/// The shipped folder of JupyterLab, at a port that is free here.
fn setup(to: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup");
    for folder in ["lib", "jupyter"] {
        tool_folder::copy(&shipped.join(folder), &to.join(folder));
    }
    let file = to.join("jupyter/tool.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("public_port = 8888"));
    fs::write(&file, text.replace("8888", &tool_folder::free_port().to_string())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jupyterlab_runs_a_cell_and_a_terminal_through_its_gate() {
    let folder = tempfile::tempdir().unwrap();
    // As a volume's folder is: where the test is root, the tool gets a user of its own.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    setup(&folder.path().join("setup"));
    fs::write(folder.path().join("users.toml"), "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n").unwrap();
    let program = Program::start_in(folder.path(), &["--setup", folder.path().join("setup").to_str().unwrap()]);
    tool_folder::set_password(&program, "ada", super::tools::PASSWORD);
    let b = Browser::open(1440, 900).await;
    become_admin(&b, &program).await;
    b.go(&program.at("/tools")).await;
    b.click("[data-tool=jupyter] [data-act=install]").await;
    for _ in 0..6 {
        // Packages of the size of a browser's patience.
        let state = b.run("return document.getElementById('state-word')?.textContent ?? ''").await;
        if state == "Done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
    b.until("it is installed", "return document.getElementById('state-word')?.textContent === 'Done'").await;
    b.screenshot("jupyter-installed").await;
    b.go(&program.at("/tools")).await;
    b.click("[data-tool=jupyter] [data-act=start]").await;
    b.see("[data-tool=jupyter][data-state=running]").await;
    let before = b.driver.window().await.unwrap();
    b.click("[data-tool=jupyter] [data-act=open]").await;
    let tab = b.new_tab(&before).await;
    b.driver.switch_to_window(tab).await.unwrap();
    b.click(".jp-LauncherCard[data-category='Notebook']").await;
    b.click(".jp-Notebook .cm-content").await;
    let cell = b.driver.active_element().await.unwrap();
    cell.send_keys("print(6 * 7, 'from the kernel')").await.unwrap();
    cell.send_keys(Key::Shift + Key::Enter).await.unwrap();
    b.until(
        "the cell has run",
        "return [...document.querySelectorAll('.jp-OutputArea-output')].some(o => o.textContent.includes('42 from the kernel'))",
    )
    .await;
    b.screenshot("jupyter-cell").await;
    b.driver.close_window().await.unwrap();
    b.driver.switch_to_window(before).await.unwrap();
    b.click("[data-tool=jupyter] [data-act=stop]").await;
    b.see("[data-tool=jupyter][data-state=stopped]").await;
    let mark = format!("EASEL_TOOL_DIR={}", std::path::absolute(program.data()).unwrap().join("workspace/jupyter").display());
    assert_eq!(living(&mark), Vec::<String>::new());
    // The console of its pages is its makers' business, so this journey does not ask for it.
    b.driver.clone().quit().await.unwrap();
}
