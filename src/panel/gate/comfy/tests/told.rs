//! What ComfyUI tells of two profiles, as one of them sees it.

use super::*;
use crate::users::ProfileId;

fn zoe() -> Owner {
    Owner::of(&ProfileId::parse("zoe").unwrap())
}

fn hers(id: &str) -> bool {
    id.starts_with('z')
}

#[test]
fn history_says_what_was_made_and_by_which_browser() {
    let output =
        json!({ "images": [{ "filename": "a.png", "subfolder": "@zoe", "type": "output" }, { "filename": 7 }], "text": ["x"] });
    let told = json!({ "z1": { "prompt": [1, "z1", {}, { "client_id": "zoe.t" }, []], "outputs": { "9": output } } });
    let entry = history(told.clone(), "z1", &zoe()).unwrap();
    assert_eq!(entry["prompt"][3]["client_id"], "t");
    let file = File { kind: Kind::Output, subfolder: "@zoe".into(), name: "a.png".into() };
    assert_eq!(outputs(&entry), [file]);
    assert_eq!(history(told, "z2", &zoe()), None);
    let video = json!({ "filename": "a.mp4", "fullpath": "/data/comfy/output/@zoe/a.mp4" });
    let entry = history(json!({ "z1": { "outputs": { "9": { "gifs": [video, 7] } } } }), "z1", &zoe()).unwrap();
    assert_eq!(entry["outputs"]["9"]["gifs"], json!([{ "filename": "a.mp4" }, 7]));
}

#[test]
fn what_a_viewer_gives_back_was_not_made_by_it() {
    let hers = json!({ "filename": "ComfyUI_temp_abcde_00001_.png", "subfolder": "", "type": "temp" });
    for key in ["result", "text", "camera_info", "value"] {
        assert_eq!(files(&json!({ key: ["", hers] })), [], "{key}");
    }
    for key in ["images", "gifs", "a_images", "bg_image", "audio", "3d", "latents"] {
        assert_eq!(files(&json!({ key: [hers] })).len(), 1, "{key}");
    }
}

#[test]
fn jobs_are_counted_anew() {
    let told =
        json!({ "jobs": [{"id": "m1"}, {"id": "z1"}, {"id": "z2"}, {"id": "z3"}, {"no": 1}], "pagination": { "total": 5 } });
    let page = jobs(&told, 1, Some(1), hers);
    assert_eq!(page, json!({ "jobs": [{"id": "z2"}], "pagination": { "offset": 1, "limit": 1, "total": 3, "has_more": true } }));
    assert_eq!(jobs(&told, 9, None, hers)["jobs"], json!([]));
}

#[test]
fn nodes_choose_among_the_own_files() {
    let told = json!({
        "LoadImage": { "input": { "required": { "image": [["a.png", "@mateo/b.png"], { "image_upload": true }] } } },
        "LoadVideo": { "input": { "required": { "file": ["COMBO", { "options": ["b.mp4"], "video_upload": true }] } } },
        "LoadAudio": { "input": { "required": { "audio": [[], { "audio_upload": true }] } } },
        "Load3D": { "input": { "required": { "model_file": [[], { "file_upload": true }] } } },
        "LoadImageOutput": { "input": { "required": { "image": ["COMBO", { "options": ["c"], "image_upload": true, "image_folder": "output" }] } } },
        "Folders": { "input": { "required": { "folder": [["@mateo", "@mateo/deep", "@zoe", "shared"], {}] } } },
        "KSampler": { "input": { "required": { "sampler_name": [["euler"], {}], "seed": ["INT", { "default": 0 }] } }, "output": ["LATENT"] }
    });
    let files = ["x.png", "x.MP4", "x.wav", "x.glb"].map(|name| format!("@zoe/{name}"));
    let shown = nodes(told.clone(), &files, &zoe());
    let required = |node: &str| shown[node]["input"]["required"].clone();
    assert_eq!(required("LoadImage")["image"][0], json!(["@zoe/x.png"]));
    assert_eq!(required("LoadVideo")["file"][1]["options"], json!(["@zoe/x.MP4"]));
    assert_eq!(required("LoadAudio")["audio"][0], json!(["@zoe/x.MP4", "@zoe/x.wav"]));
    assert_eq!(required("Load3D")["model_file"][0], json!(files));
    assert_eq!(required("LoadImageOutput")["image"][1]["options"], json!([]));
    assert_eq!(required("Folders")["folder"][0], json!(["@zoe", "shared"]));
    assert_eq!(shown["KSampler"], told["KSampler"]);
    assert!(!shown.to_string().contains("mateo"));
}

#[test]
fn lists_and_stats_say_nothing_of_others() {
    let told = json!(["a.safetensors", "@mateo/b.safetensors", { "name": "@mateo/c", "pathIndex": 0 }, { "name": "d" }]);
    assert_eq!(without_others(told, &zoe()), json!(["a.safetensors", { "name": "d" }]));
    assert_eq!(without_others(json!({ "@mateo": 1, "a": 2 }), &zoe()), json!({ "a": 2 }));
    let told = folders(json!([{ "name": "loras", "folders": ["/data/models/loras", 7] }, { "name": "x" }, 7]));
    assert_eq!(told, json!([{ "name": "loras", "folders": ["loras", null] }, { "name": "x" }, 7]));
    let told = folders(json!({ "loras": ["/data/models/loras", 7], "x": 7 }));
    assert_eq!(told, json!({ "loras": ["loras", null], "x": 7 }));
    let told = stats(json!({ "system": { "os": "posix", "argv": ["main.py", "--listen", "/data"] }, "devices": [] }));
    assert_eq!(told, json!({ "system": { "os": "posix", "argv": [] }, "devices": [] }));
}

#[test]
fn what_is_told_keeps_its_order() {
    let text = r#"{"Z":{"input":{"required":{"seed":["INT"],"cfg":["FLOAT"]}}},"A":{"output":["B","A"],"name":"A"}}"#;
    assert_eq!(nodes(serde_json::from_str(text).unwrap(), &[], &zoe()).to_string(), text);
    // A tool of the tests asks for it too, so what the program asks for itself is looked at.
    let mut asked = include_str!("../../../../../Cargo.toml").lines().filter(|line| line.starts_with("serde_json = "));
    assert!(asked.any(|line| line.contains("\"preserve_order\"")));
}
