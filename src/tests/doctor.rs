//! `easel doctor` in every state that it knows: each is provoked, and its text read. Knows its lines; nothing of how they are made.

use crate::program::{Program, easel};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// What doctor says of a data folder, and its exit code.
fn doctor(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = easel();
    command.arg("doctor").arg("--data").arg(folder.join("data")).arg("--users").arg(folder.join("users.toml"));
    let output = command.args(arguments).env("HOME", folder).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn config(folder: &Path, text: &str) -> Vec<String> {
    let file = folder.join("easel.toml");
    fs::write(&file, text).unwrap();
    vec!["--config".into(), file.display().to_string()]
}

fn said(folder: &Path, text: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let arguments = config(folder, text);
    doctor(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), env)
}

#[track_caller]
fn assert_says(told: &(Option<i32>, String), code: i32, lines: &[&str]) {
    for line in lines {
        assert!(told.1.lines().any(|other| other.contains(line)), "{line} is not in\n{}", told.1);
    }
    assert_eq!(told.0, Some(code), "{}", told.1);
}

const PORT: &str = "port = 0\n";

#[test]
fn a_fresh_folder_has_notes_and_nothing_bad() {
    let folder = tempfile::tempdir().unwrap();
    let told = said(folder.path(), PORT, &[]);
    let lines = [
        "note server: none runs on this data folder",
        "note studio key: not made yet",
        "there is no such file; profiles are made in Easel",
        "note tools: the first start unpacks them",
        "ok   disk: ",
        "ok   clock: set",
        "ok   port: 0 is free",
        "memory: ",
        "GPU: ",
        "models: run on ",
    ];
    assert_says(&told, 0, &lines);
    assert!(!told.1.contains("bad  "), "{}", told.1);
}

#[test]
fn a_running_studio_is_told_with_its_engine_and_profiles() {
    let program = Program::start("[[user]]\nname = \"Ada\"\n");
    let folder = program.data().parent().unwrap().to_path_buf();
    let told = doctor(&folder, &["--config", "/dev/null"], &[]);
    for line in ["ok   server: Easel ", "ok   engine: ", "ok   studio key: made", "1 profiles", "ok   tools: "] {
        assert!(told.1.contains(line), "{line} is not in\n{}", told.1);
    }
}

#[test]
fn a_taken_port_names_who_has_it_and_a_broken_list_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(folder.path().join("users.toml"), "[[user]]\nnaem = \"Ada\"\n").unwrap();
    let told = said(folder.path(), &format!("port = {port}\n"), &[]);
    let owner = format!("process {})", std::process::id());
    assert_says(
        &told,
        1,
        &[&format!("bad  port: {port} on 127.0.0.1 cannot be taken"), &owner, "choose another with --port", "bad  users: "],
    );
}

#[test]
fn tools_that_are_broken_or_whose_port_is_taken_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    crate::tool_folder::write(&folder.path().join("setup"), taken.local_addr().unwrap().port());
    fs::create_dir(folder.path().join("setup/broken")).unwrap();
    let text = format!("{PORT}setup = \"{}\"\n", folder.path().join("setup").display());
    let told = said(folder.path(), &text, &[]);
    assert_says(&told, 1, &["bad  tools: broken: tool.toml", "of Sketch server cannot be taken", "set another public_port"]);
    let told = said(folder.path(), &format!("{PORT}setup = \"/nowhere\"\n"), &[]);
    assert_says(&told, 1, &["bad  tools: /nowhere cannot be read"]);
    // Those of the studio's repository are in use, and not the ones that came with Easel.
    let repo = folder.path().join("repo");
    fs::create_dir_all(repo.join("setup/lost")).unwrap();
    let text = format!("boot.repos.studio.url = \"https://127.0.0.1/x.git\"\nboot.repos.studio.path = \"{}\"\n", repo.display());
    let told = said(folder.path(), &format!("{PORT}{text}"), &[]);
    assert_says(&told, 1, &["bad  tools: lost: tool.toml"]);
}

#[test]
fn models_that_are_to_run_on_a_gpu_that_is_not_there_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let told = said(folder.path(), &format!("{PORT}engine_device = \"gpu:99\"\n"), &[]);
    assert_says(&told, 1, &["bad  models: ", "gpu:99 cannot be used", "auto takes the CPU"]);
    let told = said(folder.path(), &format!("{PORT}engine_device = \"cpu\"\n"), &[]);
    assert_says(&told, 0, &["ok   models: run on the CPU (engine_device"]);
    let told = said(folder.path(), &format!("{PORT}engine_device = \"cpu,gpu:99\"\n"), &[]);
    assert_says(&told, 1, &["ok   models: run on the CPU (engine_device", "bad  models: ", "gpu:99 cannot be used"]);
    let told = said(folder.path(), &format!("{PORT}engine_device = \"tpu\"\n"), &[]);
    // A configuration that cannot be read is told of on standard error, as by every subcommand.
    assert_says(&told, 3, &[]);
}

#[test]
fn a_gpu_and_what_does_its_linear_layers_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (card, library) = crate::comfy::card(folder.path(), crate::gpu::TOTAL);
    let put = |name| fs::copy(crate::gpu::libraries().join(name), library.join(name)).unwrap();
    let env = [("CARD_DOUBLE", card.to_str().unwrap()), ("LD_LIBRARY_PATH", library.to_str().unwrap())];
    put("libcuda.so");
    let told = said(folder.path(), PORT, &env);
    // Where this machine has one, it does not take a played card.
    let own = "note cuBLASLt: linear layers are the engine's own kernels'. cuBLASLt ";
    assert_says(&told, 0, &["ok   models: run on Played GPU 0, f16, which computes right", own]);
    put("libcublasLt.so.12");
    let told = said(folder.path(), PORT, &env);
    assert_says(&told, 0, &["ok   models: run on Played GPU 0, f16, cuBLASLt 12.9, which computes right"]);
    assert!(!told.1.contains(own), "{}", told.1);
    let told = said(folder.path(), &format!("{PORT}engine_cublaslt = false\n"), &env);
    assert_says(&told, 0, &["ok   models: run on Played GPU 0, f16, which computes right"]);
    assert!(!told.1.contains(own), "{}", told.1);
    // What crashes does not take the report with it.
    fs::write(card.join("blas-crashes"), "").unwrap();
    let told = said(folder.path(), PORT, &env);
    let why = format!(
        "{own}is not used, because the GPU passes its trial only without: The GPU cannot be used: a process that tried it was ended by signal 6."
    );
    assert_says(&told, 0, &["ok   models: run on Played GPU 0, f16, which computes right", &why]);
    fs::write(card.join("crashes"), "").unwrap();
    let told = said(folder.path(), PORT, &env);
    let why = "bad  models: run on the CPU although there is a GPU. The GPU cannot be used: a process that tried it was ended by signal 6.";
    assert_says(&told, 1, &[why]);
}

#[test]
fn a_pod_without_a_volume_an_id_or_its_card_is_told_what_to_do() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let pod = [("RUNPOD_POD_ID", "p4x7k2"), ("RUNPOD_GPU_COUNT", "1")];
    let told = said(folder.path(), "port = 0\nidle_stop_min = 30\n", &pod);
    let lines = [
        "ok   pod: p4x7k2 of RunPod",
        "bad  volume: ",
        "container's own disk, which is gone when the pod stops",
        "https://p4x7k2-0.proxy.runpod.net",
        "bad  idle stop: idle_stop_min is set, and the pod is not stopped: its data folder is on the container's own disk",
        "bad  GPU: the provider rents out 1, and none is to be seen",
    ];
    assert_says(&told, 1, &lines);
    let told = said(folder.path(), PORT, &[("RUNPOD_DC_ID", "EU-RO-1")]);
    assert_says(&told, 1, &["bad  pod: RunPod's variables are here but RUNPOD_POD_ID is not"]);
    let told = said(folder.path(), "port = 0\nidle_stop_min = 30\n", &[("CONTAINER_ID", "C.1")]);
    assert_says(&told, 1, &["ok   pod: C.1 of Vast", "Easel knows no way to stop an instance of Vast"]);
}

#[test]
fn a_repository_that_is_not_there_and_keys_that_are_missing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let repo = format!("{PORT}boot.repos.studio.url = \"git@127.0.0.1:me/studio.git\"\n");
    let told = said(folder.path(), &repo, &[]);
    assert_says(
        &told,
        1,
        &["note repository studio: not synced yet; `easel sync` does that now", "bad  ssh: there is no folder"],
    );
    let ssh = folder.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    assert_says(&said(folder.path(), &repo, &[]), 1, &["bad  ssh: no key in "]);
    fs::write(ssh.join("id_ed25519"), "not a key").unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    assert_says(&said(folder.path(), &repo, &[]), 0, &["note ssh: others may look into "]);
    // A sync that fails is remembered.
    let mut sync = easel();
    sync.arg("sync").arg("--data").arg(folder.path().join("data")).arg("--config").arg(folder.path().join("easel.toml"));
    assert_eq!(sync.env("HOME", folder.path()).stdout(Stdio::null()).status().unwrap().code(), Some(1));
    assert_says(&said(folder.path(), &repo, &[]), 1, &["bad  repository studio: it is not here. "]);
}

#[test]
fn the_probe_of_the_disk_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "kept").unwrap();
    let mut doctor = easel();
    doctor.arg("doctor").arg("--data").arg(folder.path().join("data")).env("HOME", folder.path()).stdout(Stdio::null());
    // Whoever may write here lays out links under every name that could be guessed: those of the next processes.
    let next = std::process::id();
    for pid in next..next + 3_000 {
        std::os::unix::fs::symlink(&precious, folder.path().join(format!(".easel-doctor-{pid}"))).unwrap();
    }
    doctor.status().unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "kept");
}

#[test]
fn a_full_disk_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "easel-test"]).arg(folder.path()).output().unwrap();
    if !mounted.status.success() {
        println!("SKIPPED, it needs root to mount: {}", String::from_utf8_lossy(&mounted.stderr).trim());
        return;
    }
    let told = said(folder.path(), PORT, &[]);
    let _ = Command::new("umount").arg("--lazy").arg(folder.path()).status();
    assert_says(&told, 1, &["bad  disk: 33 MB cannot be written to", "remove something, or take a larger disk"]);
}

#[test]
fn a_container_engine_is_named_or_why_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = [("DOCKER_HOST", "unix:///no/such.sock")];
    let told = said(folder.path(), PORT, &nowhere);
    assert_says(&told, 0, &["note containers: There is no container engine on this machine (looked for /no/such.sock)"]);
    let told = said(folder.path(), &format!("{PORT}containers = \"container\"\n"), &nowhere);
    assert_says(&told, 1, &["bad  containers: There is no container engine"]);
    let told = said(folder.path(), &format!("{PORT}containers = \"process\"\n"), &nowhere);
    assert_says(&told, 0, &["ok   containers: not used"]);
    let Some(dockerd) = crate::image::dockerd::Dockerd::shared() else { return };
    let host = format!("unix://{}", dockerd.socket().display());
    let told = said(folder.path(), PORT, &[("DOCKER_HOST", &host)]);
    assert_says(&told, 0, &["ok   containers: Docker ", &format!("answers at {}", dockerd.socket().display())]);
}
