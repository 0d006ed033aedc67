//! JupyterLab for real, from PyPI: installed by its own script, started, healthy, asked to end, nothing left.

use super::world::{World, get};
use std::{fs, time::Instant};

/// Processes whose environment names this folder: the tool and all that it started.
fn processes_of(folder: &str) -> Vec<String> {
    let of = |pid: &str| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(folder)
    };
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    pids.filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && of(name)).collect()
}

#[test]
fn jupyterlab_is_installed_started_healthy_and_leaves_no_process() {
    let world = World::outside();
    let begin = Instant::now();
    let installed = world.run("jupyter", "install", &[]).ok();
    assert_eq!(installed.steps().len(), 3);
    let (installed_in, begin) = (begin.elapsed(), Instant::now());
    let base = ("EASEL_BASE_URL", "https://pod-8888.proxy.example.net/");
    let mut running = world.start("jupyter", &[("EASEL_TOKEN", "jupyter-canary"), base]);
    running.answers("/api", None, 200);
    println!("JupyterLab {}", world.get("jupyter/.easel-installed").lines().next().unwrap());
    println!("installed in {installed_in:.1?}, healthy after {:.1?}", begin.elapsed());
    // Its own token opens it, and nothing else does.
    assert_eq!(get(running.port, "/api/contents", None).unwrap().0, 403);
    assert_eq!(get(running.port, "/api/contents", Some("token wrong")).unwrap().0, 403);
    running.answers("/api/contents", Some("token jupyter-canary"), 200);
    let line = fs::read_to_string(format!("/proc/{}/cmdline", running.pid())).unwrap();
    assert!(line.contains("jupyterlab") && !line.contains("jupyter-canary"), "{line}");
    assert!(!running.log().contains("jupyter-canary"), "{}", running.log());
    world.run("jupyter", "kill", &[("EASEL_PID", &running.pid().to_string())]).ok();
    running.ended();
    let left = processes_of(&world.at("jupyter").display().to_string());
    assert!(left.is_empty(), "{left:?}");
}
