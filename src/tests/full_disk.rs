//! Disks that take nothing more, for real: a small tmpfs that is filled, and a limit on the size of files. What was
//! acknowledged is done, nothing is half-written under a final name, and all goes on by itself once there is room.
//! Knows the API and where files lie.

use crate::{
    jobs_survive::{Api, assert_sound, quick},
    program::Program,
};
use panel::outgoing::client;
use reqwest::{Method, multipart};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n";
/// How long a change of the disk may take to be noticed; the panel tries every 2 s, and a busy machine
/// takes its time to paint.
const NOTICED: Duration = Duration::from_secs(240);

/// A small file system of its own; unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None where this process may not mount: then the test says so.
    fn mount(megabytes: u32) -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "easel-test"]).arg(folder.path());
        let output = mount.output().ok()?;
        if !output.status.success() {
            println!("SKIPPED, it needs root to mount: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(Disk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut filler = fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A picture that an artist brings; each number is another file, of about 190 kB.
pub(crate) fn picture(n: u32) -> Vec<u8> {
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_add(n * 77)) as u8;
    let pixels = image::RgbImage::from_fn(256, 256, |x, y| image::Rgb([noise(x, y), noise(y, x + 1), noise(x * y, 3)]));
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// What the API says to a request: status, body, offset of an upload.
async fn ask(
    api: &Api,
    method: Method,
    path: &str,
    change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
) -> (u16, Value) {
    let request = client().build().unwrap().request(method, format!("{}{path}", api.base)).bearer_auth(&api.token);
    let answer = change(request).send().await.unwrap();
    let (status, offset) = (answer.status().as_u16(), answer.headers().get("upload-offset").cloned());
    let body = answer.json().await.unwrap_or_default();
    (status, offset.map_or(body, |offset| json!(offset.to_str().unwrap())))
}

pub(crate) async fn upload(api: &Api, file: Vec<u8>) -> (u16, Value) {
    let form = multipart::Form::new().part("file", multipart::Part::bytes(file).file_name("x.png"));
    ask(api, Method::POST, "/uploads", |r| r.multipart(form)).await
}

async fn piece(api: &Api, id: &str, offset: usize, piece: &[u8]) -> (u16, Value) {
    let body = piece.to_vec();
    ask(api, Method::PATCH, &format!("/uploads/{id}"), |r| r.header("upload-offset", offset).body(body)).await
}

pub(crate) fn is_about_the_disk((status, body): &(u16, Value)) -> bool {
    *status == 503 && body["detail"].as_str().is_some_and(|words| words.contains("disk"))
}

/// Everything that a reader needs still works.
pub(crate) async fn serves(api: &Api, artifact: &Value) {
    assert_eq!(api.get("/me").await["id"], "zoe");
    assert!(api.get("/artifacts").await["total"].as_u64().unwrap() >= 1);
    assert!(api.file(artifact["url"].as_str().unwrap()).await.unwrap().len() > 1_000);
    assert_eq!(api.file("/healthz").await.unwrap(), b"ok\n");
}

/// Files below a folder that are no finished picture, thumbnail, upload or unfinished upload.
fn half_written(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let broken = |path: &PathBuf| {
        let whole = || image::ImageReader::open(path).unwrap().with_guessed_format().unwrap().decode().is_ok();
        path.extension().is_none_or(|e| e != "part") && !whole()
    };
    folders.iter().flat_map(|folder| half_written(folder)).chain(files.into_iter().filter(broken)).collect()
}

pub(crate) fn assert_whole(data: &Path) {
    let found: Vec<_> = ["outputs", "spool"].iter().flat_map(|name| half_written(&data.join(name))).collect();
    assert!(found.is_empty(), "half-written: {found:?}");
}

/// Submits until it is refused because of the disk; the jobs that were acknowledged before.
async fn submit_until_refused(api: &Api) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0..500 {
        let answer = api.send(Method::POST, "/jobs", Some(&quick(n))).await;
        if is_about_the_disk(&answer) {
            return acknowledged;
        }
        assert_eq!(answer.0, 202, "{answer:?}");
        acknowledged.push(answer.1["id"].as_str().unwrap().to_owned());
    }
    panic!("the disk takes everything");
}

pub(crate) async fn until_job(api: &Api, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let job = api.get(&format!("/jobs/{id}")).await;
        if is(&job) {
            return job;
        }
        assert!(begin.elapsed() < NOTICED, "never {what}: {job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Bar Q5 with ENOSPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_everything_goes_on_once_there_is_room() {
    let Some(disk) = Disk::mount(32) else { return };
    fs::write(disk.path().join("users.toml"), USERS).unwrap();
    let program = Program::start_in(disk.path(), &[]);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let id = api.submit("first", &quick(1)).await.unwrap();
    let first = api.over(&id).await["artifacts"][0].clone();
    let file = picture(1);
    let begun = ask(&api, Method::POST, "/uploads", |r| r.json(&json!({ "bytes": file.len() }))).await;
    let part = begun.1["id"].as_str().unwrap().to_owned();
    let half = file.len() / 2;
    assert_eq!(piece(&api, &part, 0, &file[..half]).await.0, 200);
    let running = api.submit("running", &json!({ "prompt": "a lake", "steps": 12, "seed": 9 })).await.unwrap();
    until_job(&api, &running, "running", |job| job["step"] != 0).await;

    disk.fill();
    let acknowledged = submit_until_refused(&api).await;
    for answer in [upload(&api, picture(2)).await, piece(&api, &part, half, &file[half..]).await] {
        assert!(is_about_the_disk(&answer), "{answer:?}");
    }
    serves(&api, &first).await;
    let stalled = until_job(&api, &running, "told that the disk is full", |job| job["error"].is_object()).await;
    assert!(stalled["error"]["what"].as_str().unwrap().contains("disk"), "{stalled}");
    disk.fill();
    assert_whole(program.data());
    serves(&api, &first).await;

    disk.make_room();
    let begin = Instant::now();
    let over = api.over(&running).await;
    assert_eq!((over["state"].as_str(), over["artifacts"].as_array().unwrap().len()), (Some("failed"), 0), "{over}");
    assert!(over["error"]["what"].as_str().unwrap().contains("full"), "{over}");
    let (status, again) = api.send(Method::POST, &format!("/jobs/{running}/again"), None).await;
    assert_eq!(status, 202, "{again}");
    println!("{} jobs taken on the full disk; new ones again after {:.1?}", acknowledged.len(), begin.elapsed());
    for id in acknowledged.iter().map(String::as_str).chain(again["id"].as_str()) {
        let job = api.over(id).await;
        assert_eq!((job["state"].as_str(), job["artifacts"].as_array().unwrap().len()), (Some("done"), 1), "{job}");
    }
    let (_, offset) = ask(&api, Method::HEAD, &format!("/uploads/{part}"), |r| r).await;
    assert_eq!(offset.as_str(), Some(half.to_string().as_str()), "the offset stayed true");
    assert_eq!(piece(&api, &part, half, &file[half..]).await.0, 201);
    assert_eq!(upload(&api, picture(2)).await.0, 200);
    assert_whole(program.data());
    drop(program);
    assert_sound(&disk.path().join("data"));
}

/// The same with EFBIG: a disk that fails otherwise than by being full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_fail_are_told_and_everything_goes_on_once_they_work() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let program = Program::start_in(folder.path(), &[]);
    let api = Api::of(&program, "zoe");
    api.ready().await;
    let id = api.submit("first", &quick(1)).await.unwrap();
    let first = api.over(&id).await["artifacts"][0].clone();
    let pid = Pid::from_raw(program.pid().cast_signed());
    let limit = |bytes| prlimit(pid, Resource::Fsize, Rlimit { current: bytes, ..getrlimit(Resource::Fsize) }).unwrap();
    // No file grows beyond this any more: not the store's log, not a picture.
    limit(Some(4096));
    for answer in [api.send(Method::POST, "/jobs", Some(&quick(2))).await, upload(&api, picture(1)).await] {
        assert!(is_about_the_disk(&answer), "{answer:?}");
    }
    serves(&api, &first).await;
    assert_whole(program.data());
    limit(None);
    let id = api.submit("second", &quick(2)).await.unwrap();
    assert_eq!(api.over(&id).await["state"], "done");
    assert_eq!(upload(&api, picture(1)).await.0, 200);
    assert_whole(program.data());
    drop(program);
    assert_sound(&folder.path().join("data"));
}
