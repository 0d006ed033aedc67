//! Two profiles inside one ComfyUI at once: neither sees, hears, stops or reads what is the other's, whatever they ask for.
//! What is in front is the double, which keeps nobody apart. Knows ComfyUI's API.

use super::{
    guest::{Gate, Guest},
    studio,
};
use crate::{
    program::Program,
    terminal::socket::{BINARY, Socket, TEXT},
};
use reqwest::{Method, multipart::Form, multipart::Part};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Colours that the pictures of each are of.
const HERS: u32 = 0x00c0_ffee;
const HIS: u32 = 0x000b_adfa;

/// A graph that takes so long, and shows and saves its picture.
fn graph(prefix: &str, color: u32, steps: u32, seconds: f64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 16, "batch_size": 1, "color": color}},
        "2": {"class_type": "Steps", "inputs": {"images": ["1", 0], "steps": steps, "seconds": seconds}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}
    })
}

/// Queues a graph with its workflow; its id.
pub(super) async fn queue(gate: &Gate, prompt: Value, workflow: &str) -> String {
    let extra = json!({"extra_pnginfo": {"workflow": {"title": workflow}}});
    let (status, told) = gate.post("/prompt", json!({"prompt": prompt, "client_id": "tab", "extra_data": extra})).await;
    assert_eq!(status, 200, "{told}");
    told["prompt_id"].as_str().unwrap().to_owned()
}

/// Waits until a prompt has run; its history.
async fn ran(gate: &Gate, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let told = gate.json(&format!("/history/{id}")).await;
        if !told[id].is_null() {
            return told[id].clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a prompt of one's own runs.
async fn runs(gate: &Gate) {
    let begun = Instant::now();
    while gate.json("/queue").await["queue_running"] == json!([]) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that a socket is told until it is silent for a while.
fn told(mut socket: Socket) -> (Vec<Value>, Vec<Vec<u8>>) {
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    socket.be_patient_for(Duration::from_secs(4));
    while let Ok((kind, body)) = socket.next() {
        match kind {
            TEXT => texts.push(serde_json::from_slice(body).unwrap()),
            BINARY => pictures.push(body.to_vec()),
            other => panic!("a frame of kind {other}"),
        }
    }
    (texts, pictures)
}

fn count(gate: &Value) -> u64 {
    gate["exec_info"]["queue_remaining"].as_u64().unwrap()
}

/// A studio with one ComfyUI that runs, and both at its gate.
pub(super) async fn both(program: &Program) -> (Gate, Gate) {
    Guest::admin(program).await.install("comfy").await;
    let (zoe, mateo) = (Guest::pick(program, "zoe").await, Guest::pick(program, "mateo").await);
    zoe.start("comfy").await;
    (zoe.enter("comfy").await, mateo.enter("comfy").await)
}

/// Messages and previews were about the own two prompts and none of the others', and the count was the own.
fn heard_only((texts, pictures): &(Vec<Value>, Vec<Vec<u8>>), own: [&String; 2], others: [&String; 2], color: u32) {
    let all = format!("{texts:?}");
    assert!(own.iter().all(|id| all.contains(*id)) && !others.iter().any(|id| all.contains(*id)), "{all}");
    let named = texts.iter().find(|text| text["type"] == "status" && !text["data"]["sid"].is_null()).unwrap();
    assert_eq!(named["data"]["sid"], "tab");
    let most = texts.iter().filter(|text| text["type"] == "status").map(|text| count(&text["data"]["status"])).max();
    assert_eq!(most, Some(2), "{all}");
    // Two put in, two begun, two done, and the beginning: what the other does is not even heard of as a change.
    let changes = texts.iter().filter(|text| text["type"] == "status").count();
    assert!((4..=7).contains(&changes), "{changes} changes: {all}");
    assert!(pictures.len() >= 10, "{} previews", pictures.len());
    assert!(pictures.iter().all(|bytes| bytes.ends_with(&color.to_be_bytes()[1..])));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_sees_hears_or_stops_what_the_other_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    // Both call their browser the same.
    let sockets = [&hers, &his].map(|gate| gate.socket("/ws?clientId=tab", &gate.url).1.unwrap());
    let [of_hers, of_his] = sockets.map(|socket| std::thread::spawn(|| told(socket)));
    let first = queue(&hers, graph("a", HERS, 20, 2.0), "hers").await;
    runs(&hers).await;
    let second = queue(&hers, graph("b", HERS, 2, 0.1), "hers").await;
    let third = queue(&his, graph("a", HIS, 10, 0.5), "his").await;

    // The queue, and how long it is.
    let (queue_of_hers, queue_of_his) = (hers.json("/queue").await, his.json("/api/queue").await);
    let ids = |queue: &Value, list: &str| -> Vec<String> {
        queue[list].as_array().unwrap().iter().map(|entry| entry[1].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids(&queue_of_hers, "queue_running"), ids(&queue_of_hers, "queue_pending")),
        (vec![first.clone()], vec![second.clone()])
    );
    assert_eq!((ids(&queue_of_his, "queue_running"), ids(&queue_of_his, "queue_pending")), (vec![], vec![third.clone()]));
    assert!(!queue_of_his.to_string().contains("zoe") && queue_of_hers["queue_pending"][0][3]["client_id"] == "tab");
    assert_eq!((count(&hers.json("/prompt").await), count(&his.json("/prompt").await)), (2, 1));

    // He neither stops hers nor takes them out, nor his own before hers.
    for body in [json!({}), json!({"prompt_id": first}), Value::Null, json!({"prompt_id": ["x"]})] {
        assert_eq!(his.post("/interrupt", body).await.0, 200);
    }
    assert_eq!(his.post("/queue", json!({"delete": [first, second]})).await.0, 200);
    assert_eq!(his.post("/api/queue", json!({"delete": [second], "clear": false})).await.0, 200);
    let (status, refused) = his.post("/prompt", json!({"prompt": graph("x", HIS, 1, 0.0), "prompt_id": first})).await;
    assert_eq!((status, &refused["error"]["type"]), (400, &json!("easel_refused")), "{refused}");
    let jumped = json!({"prompt": graph("c", HIS, 1, 0.0), "number": -1e9, "front": true, "client_id": "tab"});
    let last = his.post("/prompt", jumped).await.1["prompt_id"].as_str().unwrap().to_owned();

    let entries = [ran(&hers, &first).await, ran(&hers, &second).await];
    assert!(entries.iter().all(|entry| entry["status"]["completed"] == true), "{entries:?}");
    ran(&his, &third).await;
    ran(&his, &last).await;

    // What each has heard meanwhile.
    heard_only(&of_hers.join().unwrap(), [&first, &second], [&third, &last], HERS);
    heard_only(&of_his.join().unwrap(), [&third, &last], [&first, &second], HIS);

    // What has run, and who forgets it.
    let keys = async |gate: &Gate, query: &str| -> Vec<String> {
        gate.json(&format!("/history{query}")).await.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&hers, "").await, [first.clone(), second.clone()]);
    assert_eq!(keys(&his, "?max_items=1").await, std::slice::from_ref(&last));
    assert_eq!(keys(&his, "?max_items=9&offset=0").await, [third.clone(), last.clone()]);
    assert_eq!(his.json(&format!("/history/{first}")).await, json!({}));
    assert_eq!(his.post("/history", json!({"clear": true, "delete": [first]})).await.0, 200);
    assert_eq!((keys(&hers, "").await.len(), keys(&his, "").await.len()), (2, 0));
    // She does stop her own.
    let long = queue(&hers, graph("d", HERS, 100, 30.0), "hers").await;
    runs(&hers).await;
    assert_eq!(hers.post("/interrupt", json!({})).await.0, 200);
    assert_eq!(ran(&hers, &long).await["status"]["status_str"], "error");
}

/// An upload as ComfyUI's page sends it.
async fn upload(gate: &Gate, path: &str, name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> (u16, Value) {
    let mut form = Form::new().part("image", Part::bytes(bytes.to_vec()).file_name(name.to_owned()));
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    gate.form(path, form).await
}

/// Every way that he tries to get a file of hers.
fn ways(name: &str) -> Vec<String> {
    let mut ways = Vec::new();
    for kind in ["output", "input", "temp"] {
        for (subfolder, name) in [
            ("@zoe", name.to_owned()),
            ("", format!("@zoe/{name}")),
            ("", format!("@zoe%2F{name}")),
            ("../@zoe", name.to_owned()),
            ("@mateo/../@zoe", name.to_owned()),
            ("@mateo/%2e%2e/@zoe", name.to_owned()),
            ("@zoe/", name.to_owned()),
            ("./@zoe", name.to_owned()),
            ("@mateo", format!("../@zoe/{name}")),
            ("", format!("../output/@zoe/{name}")),
        ] {
            for annotated in [name.clone(), format!("{name}%20[output]"), format!("{name}%20[input]%20[output]")] {
                ways.push(format!("/view?filename={annotated}&subfolder={subfolder}&type={kind}"));
                ways.push(format!(
                    "/api/view?type={kind}&subfolder={subfolder}&filename={annotated}&channel=rgb&preview=webp;90"
                ));
            }
        }
        ways.push(format!("/view?filename={name}&subfolder=@mateo&subfolder=@zoe&type={kind}"));
        ways.push(format!("/view?filename=nothing&filename=@zoe/{name}&type={kind}"));
        ways.push(format!("/viewvideo?filename={name}&subfolder=@zoe&type={kind}"));
    }
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_gets_the_others_pictures_uploads_and_previews() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    let id = queue(&hers, graph("secret", HERS, 1, 0.0), "hers").await;
    let outputs = ran(&hers, &id).await["outputs"].clone();
    let (saved, shown) = (&outputs["3"]["images"][0], &outputs["4"]["images"][0]);
    assert_eq!(
        (saved["subfolder"].as_str(), shown["subfolder"].as_str(), shown["type"].as_str()),
        (Some("@zoe"), Some(""), Some("temp"))
    );
    let shown = shown["filename"].as_str().unwrap();
    let view = |name: &str, kind: &str| format!("/view?filename={name}&subfolder=&type={kind}");
    let picture = hers.get(&view("secret_00001_.png", "output")).await.bytes().await.unwrap();
    assert!(picture.starts_with(b"\x89PNG") && String::from_utf8_lossy(&picture).contains("hers"), "with its workflow");
    assert_eq!(hers.get(&view(shown, "temp")).await.status(), 200);
    assert_eq!(upload(&hers, "/upload/image", "up.png", &picture, &[]).await, {
        (200, json!({"name": "up.png", "subfolder": "@zoe", "type": "input"}))
    });
    for name in ["secret_00001_.png", "up.png", shown] {
        for way in ways(name) {
            let answer = his.get(&way).await;
            let status = answer.status().as_u16();
            assert!(
                status >= 400 && !answer.bytes().await.unwrap().windows(3).any(|w| w == &HERS.to_be_bytes()[1..]),
                "{way}: {status}"
            );
        }
    }
    assert_eq!(his.get(&view(shown, "temp")).await.status(), 404, "a preview of hers");

    // Nor by a graph that loads it, nor by a mask that is laid over it.
    let load = |image: Value| json!({"1": {"class_type": "LoadImage", "inputs": {"image": image}}, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}});
    for image in ["@zoe/up.png", "@zoe/secret_00001_.png [output]", "../@zoe/up.png", "up.png", "@zoe/up.png [input]"] {
        let (status, refused) = his.post("/prompt", json!({"prompt": load(json!(image))})).await;
        assert_eq!(status, 400, "{image}: {refused}");
    }
    let preview = json!(format!("{shown} [temp]"));
    assert_eq!(his.post("/prompt", json!({"prompt": load(preview.clone())})).await.0, 400);
    for own in [json!("up.png"), json!("@zoe/up.png"), json!("secret_00001_.png [output]"), preview] {
        let (status, told) = hers.post("/prompt", json!({"prompt": load(own)})).await;
        assert_eq!(status, 200, "{told}");
    }
    let of = r#"{"filename": "up.png", "subfolder": "@zoe", "type": "input"}"#;
    assert_eq!(upload(&his, "/upload/mask", "m.png", b"x", &[("original_ref", of)]).await.0, 400);
    assert_eq!(upload(&hers, "/upload/mask", "m.png", b"x", &[("original_ref", of)]).await.0, 200);

    // He overwrites nothing of hers, and lands in his own folder whatever he says.
    for (name, subfolder) in [("up.png", "@zoe"), ("up.png", "../@zoe"), ("../@zoe/up.png", "")] {
        upload(&his, "/upload/image", name, b"his", &[("subfolder", subfolder), ("overwrite", "true")]).await;
    }
    let inputs = program.data().join("workspace/comfy/app/input");
    assert_eq!(std::fs::read(inputs.join("@zoe/up.png")).unwrap(), picture);
    assert_eq!(std::fs::read(inputs.join("@mateo/@zoe/up.png")).unwrap(), b"his");
    assert_eq!(upload(&his, "/upload/image", "own.png", b"his", &[]).await.0, 200);
    // What each may choose from.
    let choices =
        async |gate: &Gate| gate.json("/object_info/LoadImage").await["LoadImage"]["input"]["required"]["image"][0].clone();
    assert_eq!((choices(&hers).await, choices(&his).await), (json!(["@zoe/m.png", "@zoe/up.png"]), json!(["@mateo/own.png"])));
    assert_eq!(his.json("/internal/files/output").await, json!([]));
    assert_eq!(hers.json("/internal/files/output").await[0], "@zoe/secret_00001_.png");
    assert!(!his.json("/object_info").await.to_string().contains("zoe"));
    assert_eq!(his.json("/system_stats").await["system"]["argv"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_leaves_the_folder_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, _) = both(&program).await;
    for prefix in [json!("../x"), json!("/tmp/x"), json!("a/../../@mateo/x"), json!(["1", 0]), json!({"__value__": "../x"})] {
        let mut graph = graph("x", HERS, 1, 0.0);
        graph["3"]["inputs"]["filename_prefix"] = prefix.clone();
        let (status, refused) = hers.post("/prompt", json!({"prompt": graph})).await;
        let why = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && why.starts_with("Node 3 (SaveImage): "), "{prefix}: {refused}");
    }
    for prefix in ["", "a/b", "@mateo/x"] {
        let id = queue(&hers, graph(prefix, HERS, 1, 0.0), "w").await;
        let entry = ran(&hers, &id).await;
        assert!(entry["outputs"]["3"]["images"][0]["subfolder"].as_str().unwrap().starts_with("@zoe"), "{entry}");
    }
    let outputs = program.data().join("workspace/comfy/app/output");
    let names: Vec<_> = std::fs::read_dir(outputs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["@zoe"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_none_takes_nothing_from_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    let first = queue(&hers, graph("a", HERS, 20, 20.0), "hers").await;
    runs(&hers).await;
    let mut wrong = graph("b", HIS, 1, 0.0);
    wrong["2"]["inputs"]["seconds"] = json!("nan");
    let odd = queue(&his, wrong, "his").await;
    let socket = hers.socket("/ws?clientId=tab", &hers.url).1.unwrap();
    let told = std::thread::spawn(|| told(socket));
    // While it waits, each knows and stops their own.
    assert_eq!(hers.json("/queue").await["queue_running"][0][1], first.as_str());
    let waits = &his.json("/queue").await["queue_pending"][0];
    assert_eq!((&waits[1], &waits[2]["2"]["inputs"]["seconds"]), (&json!(odd), &Value::Null));
    assert_eq!((count(&hers.json("/prompt").await), count(&his.json("/prompt").await)), (1, 1));
    assert_eq!(hers.post("/interrupt", json!({})).await.0, 200);
    assert_eq!(ran(&hers, &first).await["status"]["status_str"], "error");
    // And afterwards, when the history has it.
    assert_eq!(ran(&his, &odd).await["prompt"][2]["2"]["inputs"]["seconds"], Value::Null);
    assert_eq!(his.json("/history").await.as_object().unwrap().len(), 1);
    let (texts, _) = told.join().unwrap();
    assert!(texts.iter().any(|text| text["type"] == "status"), "{texts:?}");
    let zoe = Guest::pick(&program, "zoe").await;
    queue(&hers, graph("kept", HERS, 1, 0.0), "hers").await;
    let begun = Instant::now();
    while zoe.api(Method::GET, "/artifacts", Value::Null).await.1["total"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "her picture does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_has_looked_at_gets_no_folder_until_an_admin_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    let secret = queue(&hers, graph("secret", HERS, 1, 0.0), "hers").await;
    ran(&hers, &secret).await;
    let look = |directory: Value| json!({"1": {"class_type": "CountFiles", "inputs": {"directory": directory}}});
    let asked = async |directory: Value| his.post("/prompt", json!({"prompt": look(directory)})).await;
    for directory in
        [json!("output"), json!("."), json!("output/@zoe"), json!("/"), json!(["1", 0]), json!({"__value__": "output"})]
    {
        let (status, refused) = asked(directory.clone()).await;
        let why = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && why.starts_with("Node 1 (CountFiles): \"directory\""), "{directory}: {refused}");
    }
    assert_eq!(asked(json!("@mateo/x")).await.0, 200, "a folder of his own");
    let table = program.data().join("comfyui-nodes.txt");
    std::fs::write(&table, "# Ours\nCountFiles directory maybe\n").unwrap();
    let (status, refused) = asked(json!("@mateo/x")).await;
    assert!(status == 400 && refused["error"]["message"].as_str().unwrap().starts_with("Line 2 of "), "{refused}");
    std::fs::write(&table, "# Ours\nCountFiles directory pass\n").unwrap();
    let (status, told) = asked(json!("output")).await;
    assert_eq!(status, 200, "{told}");
    let seen = ran(&his, told["prompt_id"].as_str().unwrap()).await;
    assert!(seen["outputs"]["1"]["text"].to_string().contains("secret"), "what an admin has allowed: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_settings_and_workflows_of_its_own_that_outlive_comfyui() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    assert_eq!(hers.post("/settings", json!({"Comfy.Theme": "dark"})).await.0, 200);
    assert_eq!(hers.post("/api/settings/Comfy.Other", json!(7)).await.0, 200);
    assert_eq!(hers.post("/userdata/workflows%2Fsecret.json", json!({"hers": true})).await.0, 200);
    assert_eq!(his.json("/settings").await, json!({}));
    assert_eq!(hers.json("/settings").await, json!({"Comfy.Theme": "dark", "Comfy.Other": 7}));
    assert_eq!(hers.json("/userdata?dir=workflows&recurse=true").await, json!(["secret.json"]));
    assert_eq!(hers.json("/users").await, json!({"storage": "server", "migrated": true}));
    let users = std::fs::read_to_string(program.data().join("workspace/comfy/app/user/users.json")).unwrap();
    let users: Value = serde_json::from_str(&users).unwrap();
    let her_id = users.as_object().unwrap().iter().find(|(_, name)| *name == "zoe").unwrap().0.clone();
    // He says that he is she, in every way there is.
    for path in [
        "/userdata/workflows%2Fsecret.json".to_owned(),
        format!("/userdata/..%2F{her_id}%2Fworkflows%2Fsecret.json"),
        format!("/userdata/%252e%252e%2F{her_id}%2Fworkflows%2Fsecret.json"),
        format!("/userdata/%2e%2e%2f{her_id}%2fworkflows%2fsecret.json"),
        format!("/userdata/../{her_id}/workflows/secret.json"),
        "/userdata?dir=..".to_owned(),
        "/userdata?dir=.&recurse=true".to_owned(),
    ] {
        let answer = his.get_as(&path, &[("comfy-user", &her_id), ("Comfy-User", "default")]).await;
        let text = answer.text().await.unwrap();
        assert!(!text.contains("hers") && !text.contains("secret.json"), "{path}: {text}");
    }
    assert_eq!(his.send(Method::DELETE, "/userdata/workflows%2Fsecret.json").await, 404);
    assert_eq!(his.post("/users", json!({"username": "zoe2"})).await.0, 403);

    // What was made outlives ComfyUI; queue and history do not, and nobody inherits them.
    let id = queue(&hers, graph("kept", HERS, 1, 0.0), "w").await;
    ran(&hers, &id).await;
    let zoe = Guest::pick(&program, "zoe").await;
    assert_eq!(zoe.post("/tools/comfy/stop").await.0, 202);
    zoe.until("comfy", "stopped").await;
    zoe.start("comfy").await;
    let (hers, his) = (zoe.enter("comfy").await, Guest::pick(&program, "mateo").await.enter("comfy").await);
    assert_eq!(hers.json("/history").await, json!({}));
    assert_eq!(hers.get("/view?filename=kept_00001_.png&type=output").await.status(), 200);
    assert_eq!(his.get("/view?filename=kept_00001_.png&type=output").await.status(), 404);
    assert_eq!((hers.json("/settings").await["Comfy.Theme"].clone(), his.json("/settings").await), (json!("dark"), json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_comes_into_the_gallery_of_whoever_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let (hers, his) = both(&program).await;
    let (zoe, mateo) = (Guest::pick(&program, "zoe").await, Guest::pick(&program, "mateo").await);
    let mut words = graph("kept", HERS, 1, 0.0);
    words["2"]["inputs"]["positive"] = json!(["5", 0]);
    words["5"] =
        json!({"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0, "text": "a lake"}});
    // Nobody looks on: no socket, no history.
    queue(&hers, words, "the lake").await;
    queue(&his, graph("kept", HIS, 1, 0.0), "his").await;
    let gallery = async |guest: &Guest| guest.api(Method::GET, "/artifacts", Value::Null).await.1;
    let begun = Instant::now();
    while gallery(&zoe).await["total"] != 1 || gallery(&mateo).await["total"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} {}", gallery(&zoe).await, gallery(&mateo).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let picture = gallery(&zoe).await["items"][0].clone();
    assert_eq!((&picture["source"], &picture["prompt"], &picture["recipe"]), (&json!("comfyui"), &json!("a lake"), &Value::Null));
    let id = picture["id"].as_str().unwrap();
    let (status, workflow) = zoe.api(Method::GET, &format!("/artifacts/{id}/workflow"), Value::Null).await;
    assert_eq!((status, workflow), (200, json!({"title": "the lake"})));
    for path in [format!("/artifacts/{id}"), format!("/artifacts/{id}/workflow"), format!("/artifacts/{id}/file")] {
        assert_eq!(mateo.api(Method::GET, &path, Value::Null).await.0, 404, "{path}");
    }
    let folder = program.data().join("outputs/zoe");
    let months = std::fs::read_dir(folder).unwrap().map(|month| month.unwrap().path());
    let kept = months.map(|month| month.join(format!("{id}.png"))).find(|file| file.exists()).unwrap();
    let made = std::fs::read(program.data().join("workspace/comfy/app/output/@zoe/kept_00001_.png")).unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), made);
}
