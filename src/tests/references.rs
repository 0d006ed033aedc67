//! Reference pictures of the real program: what was made from one can be made again after it was deleted, by its
//! owner alone. Knows the API, and where pictures lie on the disk.

use crate::{jobs_survive::Api, program::Program};
use serde_json::{Value, json};
use std::path::Path;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Bob\"\n";

/// Deletes a picture as its owner does, and its file at once, as the sweep does 30 s later.
async fn delete(api: &Api, data: &Path, id: &str) {
    assert_eq!(api.send(reqwest::Method::DELETE, &format!("/artifacts/{id}"), None).await.0, 204);
    let folder = data.join("outputs/zoe");
    let months = std::fs::read_dir(folder).unwrap().map(|month| month.unwrap().path());
    let files: Vec<_> = months.map(|month| month.join(format!("{id}.png"))).filter(|file| file.exists()).collect();
    assert_eq!(files.len(), 1);
    std::fs::remove_file(&files[0]).unwrap();
}

async fn made(api: &Api, key: &str, recipe: &Value) -> Value {
    let id = api.submit(key, recipe).await.unwrap();
    let job = api.over(&id).await;
    assert_eq!(job["state"], "done", "{job}");
    job["artifacts"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_made_again_after_its_reference_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.toml"), USERS).unwrap();
    let mut program = Program::start_in(folder.path(), &[]);
    let (zoe, bob) = (Api::of(&program, "zoe"), Api::of(&program, "bob"));
    zoe.ready().await;
    let source = made(&zoe, "source", &json!({ "prompt": "a lake", "steps": 2, "seed": 1 })).await;
    let id = source["id"].as_str().unwrap();
    let source_file = zoe.file(source["url"].as_str().unwrap()).await.unwrap();
    let name = format!("artifact:{id}");
    let wanted = json!({ "prompt": "a red lake", "steps": 4, "seed": 2, "strength": 0.5, "image": name, "mask": name });
    let first = made(&zoe, "first", &wanted).await;
    let first_file = zoe.file(first["url"].as_str().unwrap()).await.unwrap();
    let image = first["recipe"]["image"].as_str().unwrap();
    let hash = image.strip_prefix("upload:").expect("the recipe names what stays");
    assert_eq!(first["recipe"]["mask"], image);

    // Two that wait for their turn while the picture goes.
    let long = zoe.submit("long", &json!({ "prompt": "a lake", "steps": 40, "batch": 4 })).await.unwrap();
    let waiting = zoe.submit("waiting", &wanted).await.unwrap();
    delete(&zoe, program.data(), id).await;
    program.kill();
    program = Program::start_in(folder.path(), &[]);
    let (zoe, bob) = (zoe.at(&program), bob.at(&program));
    zoe.ready().await;
    zoe.send(reqwest::Method::DELETE, &format!("/jobs/{long}"), None).await;
    let job = zoe.over(&waiting).await;
    assert_eq!(job["state"], "done", "{job}");

    // As "use these settings" sends it, as "run again" does, and the request of before with its key.
    let mut again = first["recipe"].clone();
    again["seed"] = json!(2);
    let second = made(&zoe, "second", &again).await;
    assert_eq!(zoe.file(second["url"].as_str().unwrap()).await.unwrap(), first_file, "the same recipe, the same bytes");
    let (status, rerun) = zoe.send(reqwest::Method::POST, &format!("/jobs/{waiting}/again"), None).await;
    assert_eq!(status, 202, "{rerun}");
    assert_eq!(zoe.over(rerun["id"].as_str().unwrap()).await["state"], "done");
    assert_eq!(zoe.submit("waiting", &wanted).await.unwrap(), waiting, "a lost answer comes again");
    let (status, gone) = zoe.send(reqwest::Method::POST, "/jobs", Some(&wanted)).await;
    assert_eq!((status, gone["errors"][0]["field"].as_str()), (422, Some("image")), "{gone}");

    let file = format!("/api/v1/uploads/{hash}/file");
    assert_eq!(zoe.file(&file).await.unwrap(), source_file);
    assert_eq!(bob.file(&file).await, Err(404));
    for theirs in [image, &name] {
        let wanted = json!({ "prompt": "x", "image": theirs });
        let (status, refused) = bob.send(reqwest::Method::POST, "/jobs", Some(&wanted)).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some("image")), "{refused}");
        let words = refused["errors"][0]["message"].as_str().unwrap();
        let unknown = json!({ "prompt": "x", "image": theirs.replace(char::is_numeric, "7") });
        let (_, nobodys) = bob.send(reqwest::Method::POST, "/jobs", Some(&unknown)).await;
        let unknown = unknown["image"].as_str().unwrap();
        assert_eq!(words.replace(theirs, "X"), nobodys["errors"][0]["message"].as_str().unwrap().replace(unknown, "X"));
    }
}
