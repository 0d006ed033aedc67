//! What artists do with ComfyUI through its gate: a workflow with its progress, pictures in the folder of whoever made them,
//! and two profiles at two gates at once. Knows ComfyUI's API.

use super::{
    guest::{Gate, Guest},
    studio,
};
use crate::terminal::socket::{BINARY, TEXT};
use serde_json::{Value, json};

/// A picture of one colour, passed through some steps, saved under a name.
fn workflow(prefix: &str, steps: u32, seconds: f64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 4_161_535}},
        "2": {"class_type": "Steps", "inputs": {"images": ["1", 0], "steps": steps, "seconds": seconds}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}}
    })
}

/// Runs a workflow to its end; what was told meanwhile, and the prompt's id.
async fn run(gate: &Gate, prefix: &str) -> (Vec<Value>, String) {
    let (status, socket) = gate.socket("/ws?clientId=me", &gate.url);
    assert_eq!(status, 101);
    let mut socket = socket.unwrap();
    let (status, queued) = gate.post("/prompt", json!({"prompt": workflow(prefix, 5, 0.1), "client_id": "me"})).await;
    assert_eq!(status, 200, "{queued}");
    let mut told = Vec::new();
    loop {
        let (kind, body) = socket.next().unwrap();
        if kind == BINARY {
            continue;
        }
        assert_eq!(kind, TEXT);
        let message: Value = serde_json::from_slice(body).unwrap();
        let end = message["type"] == "executing" && message["data"]["node"].is_null();
        told.push(message);
        if end {
            return (told, queued["prompt_id"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_runs_through_the_gate_with_progress_into_the_profiles_folder() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    Guest::admin(&program).await.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("comfy").await;
    let gate = zoe.enter("comfy").await;
    assert!(gate.json("/object_info").await["SaveImage"]["output_node"].as_bool().unwrap());
    let (told, id) = run(&gate, "gate").await;
    let kinds: Vec<&str> = told.iter().map(|m| m["type"].as_str().unwrap()).collect();
    for kind in ["status", "execution_start", "executing", "executed", "execution_success"] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    let steps: Vec<u64> = told.iter().filter(|m| m["type"] == "progress").filter_map(|m| m["data"]["value"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    let image = &gate.json(&format!("/history/{id}")).await[&id]["outputs"]["3"]["images"][0];
    assert_eq!(image, &json!({"filename": "gate_00001_.png", "subfolder": "@zoe", "type": "output"}));
    let kept = std::fs::read(program.data().join("workspace/comfy/app/output/@zoe/gate_00001_.png")).unwrap();
    for subfolder in ["", "@zoe"] {
        let shown = gate.get(&format!("/view?filename=gate_00001_.png&subfolder={subfolder}&type=output")).await;
        assert_eq!(shown.bytes().await.unwrap(), kept);
    }
    assert!(kept.starts_with(b"\x89PNG"));
    // What it refuses comes back as it is.
    let (status, refused) = gate.post("/prompt", json!({"prompt": {"1": {"class_type": "No", "inputs": {}}}})).await;
    assert_eq!((status, &refused["error"]["type"]), (400, &json!("invalid_prompt")));
    // Nobody talks to it from elsewhere, and it sees its own address only.
    assert_eq!(gate.socket("/ws", "https://evil.example").0, 403);
    assert_eq!(gate.with("").get("/object_info").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_profiles_at_two_gates_at_once_each_see_only_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    ada.install("comfy-two").await;
    let (zoe, mateo) = (Guest::pick(&program, "zoe").await, Guest::pick(&program, "mateo").await);
    tokio::join!(zoe.start("comfy"), mateo.start("comfy-two"));
    let (hers, his) = tokio::join!(zoe.enter("comfy"), mateo.enter("comfy-two"));
    let (of_hers, of_his) = tokio::join!(run(&hers, "hers"), run(&his, "his"));
    assert!(of_hers.0.len() > 5 && of_his.0.len() > 5);
    let outputs = |folder: &str| -> Vec<String> {
        let folder = program.data().join(folder);
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.map(|e| e.file_name().into_string().unwrap()).collect()
    };
    assert_eq!(
        (outputs("workspace/comfy/app/output/@zoe"), outputs("outputs/mateo/comfy-two/output")),
        (vec!["hers_00001_.png".into()], vec!["his_00001_.png".into()])
    );
    assert_eq!(hers.json("/history").await.as_object().unwrap().keys().collect::<Vec<_>>(), [&of_hers.1]);
    // A pass of one gate is worth nothing at the other, nor are both together somebody else's.
    for cookie in [&his.cookie, &format!("{}; {}", his.cookie, "easel-gate-1=x")] {
        assert_eq!(hers.with(cookie).get("/history").await.status(), 401);
        assert_eq!(hers.with(cookie).socket("/ws", &hers.url).0, 401);
    }
    // Nor is a ticket: for the other gate, for the other's browser, or twice.
    assert_eq!(zoe.post("/tools/comfy-two/ticket").await.0, 403);
    let (action, ticket) = zoe.ticket("comfy").await;
    let elsewhere = action.replace(&hers.url, &his.url);
    let (status, gate) = zoe.enter_with(&elsewhere, &ticket).await;
    assert!(status >= 400 && gate.cookie.is_empty(), "{status}");
    let (action, ticket) = zoe.ticket("comfy").await;
    assert!(zoe.enter_with(&action, &ticket).await.0 < 400);
    let (status, gate) = zoe.enter_with(&action, &ticket).await;
    assert!(status >= 400 && gate.cookie.is_empty(), "{status}");
    // Neither stops the other's.
    assert_eq!(mateo.post("/tools/comfy/stop").await.0, 403);
    assert_eq!(zoe.tool("comfy-two").await["state"], "running");
}
