//! Videos that ComfyUI and VideoHelperSuite save: into the gallery of whoever made them, there as files that players ask for in
//! parts, and never a reference. Knows ComfyUI's API.

use super::{
    apart::{both, queue},
    guest::{Gate, Guest},
    studio,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Saves a video each way, and what is none.
pub(crate) async fn filmed(gate: &Gate) {
    let graph = json!({
        "1": {"class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0, "positive": ["6", 0]}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}},
        "3": {"class_type": "SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "video/core"}},
        "4": {"class_type": "VHS_VideoCombine",
            "inputs": {"images": ["1", 0], "frame_rate": 8, "filename_prefix": "combined", "save_output": true}},
        "5": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "latents/a"}},
        "6": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0, "text": "a lake"}}
    });
    queue(gate, graph, "the film").await;
}

/// A gallery, once it has so many.
pub(crate) async fn gallery(guest: &Guest, total: u64) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let (_, page) = guest.api(Method::GET, "/artifacts", Value::Null).await;
        if page["total"] == total {
            return page["items"].as_array().unwrap().clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Status, the part that it says it is, and bytes.
async fn part(guest: &Guest, path: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let answer = guest.send(Method::GET, path, headers, Vec::new()).await;
    let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    if answer.status().is_success() {
        assert_eq!((header("x-content-type-options").as_str(), header("accept-ranges").as_str()), ("nosniff", "bytes"));
        assert!(header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    }
    (answer.status().as_u16(), header("content-range"), answer.bytes().await.unwrap().to_vec())
}

async fn is_answered_in_parts(zoe: &Guest, path: &str, whole: &[u8]) {
    let last = whole.len() - 1;
    let all = format!("bytes 0-{last}/{}", whole.len());
    let tag = zoe.send(Method::GET, path, &[], Vec::new()).await.headers()["etag"].to_str().unwrap().to_owned();
    let get = async |headers: &[(&str, &str)]| part(zoe, path, headers).await;
    assert_eq!(get(&[]).await, (200, String::new(), whole.to_vec()));
    assert_eq!(get(&[("range", "bytes=0-")]).await, (206, all.clone(), whole.to_vec()));
    let range = format!("bytes 10-19/{}", whole.len());
    assert_eq!(get(&[("range", "bytes=10-19"), ("if-range", &tag)]).await, (206, range, whole[10..20].to_vec()));
    assert_eq!(get(&[("range", "bytes=-4")]).await.2, whole[last - 3..]);
    assert_eq!(get(&[("range", "bytes=10-19"), ("if-range", "\"another\"")]).await, (200, String::new(), whole.to_vec()));
    let (status, range, _) = get(&[("range", &format!("bytes={}-", whole.len()))]).await;
    assert_eq!((status, range), (416, format!("bytes */{}", whole.len())));
    assert_eq!(get(&[("if-none-match", &tag)]).await.0, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_come_into_the_gallery_of_whoever_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, _) = both(&program).await;
    let (zoe, mateo) = (Guest::pick(&program, "zoe").await, Guest::pick(&program, "mateo").await);
    filmed(&hers).await;
    let films = gallery(&zoe, 2).await;
    let mut mimes = Vec::new();
    for film in &films {
        let facts = ["kind", "width", "height", "duration_ms", "prompt"].map(|key| film[key].clone());
        assert_eq!(json!(facts), json!(["video", 64, 48, 2000, "a lake"]), "{film}");
        mimes.push(film["mime"].as_str().unwrap());
        let path = format!("/artifacts/{}", film["id"].as_str().unwrap());
        assert_eq!(zoe.api(Method::GET, &format!("{path}/workflow"), Value::Null).await, (200, json!({"title": "the film"})));
        let made = std::fs::read_dir(program.data().join("workspace/comfy/app/output/@zoe"));
        let names = made.unwrap().map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "webm"));
        if film["mime"] == "video/webm" {
            is_answered_in_parts(&zoe, &format!("{path}/file"), &std::fs::read(names.last().unwrap()).unwrap()).await;
        }
        // A still, once a browser has made it.
        let thumb = format!("{path}/thumb");
        assert_eq!(zoe.send(Method::GET, &thumb, &[], Vec::new()).await.status(), 204);
        let still = hers.get("/view?filename=combined_00001.png&subfolder=@zoe&type=output").await.bytes().await.unwrap();
        assert_eq!(mateo.send(Method::PUT, &thumb, &[], still.to_vec()).await.status(), 404);
        assert_eq!(zoe.send(Method::PUT, &thumb, &[], b"no picture".to_vec()).await.status(), 422);
        assert_eq!(zoe.send(Method::PUT, &thumb, &[], still.to_vec()).await.status(), 204);
        let kept = zoe.send(Method::GET, &thumb, &[], Vec::new()).await;
        assert_eq!((kept.status().as_u16(), kept.headers()["content-type"].to_str().unwrap()), (200, "image/webp"));
        for path in [path.clone(), thumb, format!("{path}/file"), format!("{path}/workflow")] {
            assert_eq!(mateo.api(Method::GET, &path, Value::Null).await.0, 404, "{path}");
        }
        // It is no reference, neither from here nor brought along.
        let id = film["id"].as_str().unwrap();
        let draft = json!({"prompt": "x", "image": format!("artifact:{id}"), "strength": 0.5});
        let (status, refused) = zoe.api(Method::POST, "/jobs", draft).await;
        assert!(status == 422 && refused.to_string().contains("A video cannot be a reference."), "{refused}");
        let file = part(&zoe, &format!("{path}/file"), &[]).await.2;
        let head = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n";
        let form = [&head[..], &file[..], b"\r\n--b--"].concat();
        let brought = zoe.send(Method::POST, "/uploads", &[("content-type", "multipart/form-data; boundary=b")], form).await;
        let (status, words) = (brought.status().as_u16(), brought.text().await.unwrap());
        assert!(status == 422 && words.contains("Video files cannot be read"), "{status} {words}");
    }
    mimes.sort_unstable();
    assert_eq!(mimes, ["video/mp4", "video/webm"]);
    let ids: Vec<&str> = films.iter().map(|film| film["id"].as_str().unwrap()).collect();
    let zip =
        zoe.send(Method::POST, "/artifacts/zip", &[("content-type", "application/json")], json!({"ids": ids}).to_string().into());
    let zip = zip.await.bytes().await.unwrap();
    let names = |ends: &[u8]| zip.windows(ends.len()).any(|window| window == ends);
    assert!(names(b".mp4") && names(b".webm"));
    assert!(gallery(&mateo, 0).await.is_empty());
    assert_eq!(zoe.api(Method::POST, "/artifacts/delete", json!({"ids": ids})).await.0, 204);
    gallery(&zoe, 0).await;
}
