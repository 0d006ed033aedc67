//! A panel that is told to end while a tool runs that somebody started from a page: the tool is asked to end, nothing of it
//! stays, the panel goes, and the next one starts the tool again. Knows no API of the tool.

use super::{end_in_order, guest::Guest, is_free, studio};
use crate::supervise::living;

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_takes_the_tools_along_and_they_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("comfy").await;
    // A shell runs too.
    assert_eq!(Guest::admin(&program).await.post("/sessions").await.0, 202);
    let took = end_in_order(&mut program);
    println!("an orderly end with a tool and a shell that run takes {took:.1?}");
    let mark = format!("EASEL_TOOL_DIR={}", std::path::absolute(program.data()).unwrap().join("workspace/comfy").display());
    assert_eq!(living(&mark), Vec::<String>::new());
    assert!(is_free(&program));
    let logs = program.data().join("logs/comfy");
    let said = std::fs::read_dir(logs).unwrap().flatten().map(|e| std::fs::read_to_string(e.path()).unwrap()).collect::<String>();
    assert!(said.contains("Stopped server"), "it was asked by its own script, and not killed: {said}");
    let again = studio(folder.path(), &[]);
    Guest::pick(&again, "zoe").await.until("comfy", "running").await;
}
