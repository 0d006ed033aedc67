//! The scripts of each tool in fair weather and foul: order, doing it again, going back, what stays, how it runs and ends.

use super::{
    server::Server,
    world::{World, fixtures},
};
use serde_json::Value;
use std::fs;

/// The version that the mark of a tool names.
fn version(world: &World, tool: &str) -> String {
    let mark = world.get(&format!("{tool}/.easel-installed"));
    mark.lines().find_map(|line| line.strip_prefix("version=")).unwrap_or_default().to_owned()
}

fn packages(world: &World) -> String {
    let folder = fs::read_dir(world.at("comfy/app/venv/lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".dist-info") && !name.starts_with(['p', 's', 'w']));
    names.sort();
    names.join(" ").replace(".dist-info", "")
}

#[test]
fn comfy_is_installed_in_order_and_again_without_change() {
    let world = World::new();
    let first = world.run("comfy", "install", &[]).ok();
    let steps = ["1/6 Getting ComfyUI", "2/6 Making its Python environment", "3/6 Installing PyTorch"];
    assert_eq!(first.steps()[..3], steps);
    assert_eq!(first.steps().len(), 6);
    assert_eq!(version(&world, "comfy"), "v0.10.0", "the highest release, not the newest commit or the last in the alphabet");
    assert_eq!(packages(&world), "aiohttp-2.0 gguf-1.0 managerdep-1.0 torch-2.0 torchaudio-1.0 torchvision-1.0");
    assert!(first.out.contains("these nodes are not: broken-node"), "{}", first.out);
    let again = world.run("comfy", "install", &[]).ok();
    assert!(!again.out.contains("Installed 1 package"), "{}", again.out);
    assert_eq!(
        world.get("comfy/app/custom_nodes/rgthree-comfy/installed"),
        "once\n",
        "a node's own installer runs once a commit"
    );
    assert!(!world.at("comfy/.easel-changing").exists());
}

#[test]
fn without_uv_pythons_own_means_do() {
    let mut world = World::new();
    world.env.push(("EASEL_UV".into(), String::new()));
    world.run("comfy", "install", &[("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    assert_eq!(version(&world, "comfy"), "v0.10.0");
    assert!(
        world.at("comfy/app/custom_nodes/ComfyUI-GGUF").is_dir() && !world.at("comfy/app/custom_nodes/rgthree-comfy").exists()
    );
}

#[test]
fn an_update_keeps_what_was_changed_by_hand_and_goes_back_when_it_fails() {
    let world = World::new();
    world.run("comfy", "install", &[("EASEL_VERSION", "v0.9.0"), ("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    let main = world.get("comfy/app/main.py");
    world.put("comfy/app/main.py", &format!("{main}# by hand\n"));
    world.run("comfy", "update", &[]).ok();
    assert!(version(&world, "comfy") == "v0.10.0" && world.get("comfy/app/main.py").ends_with("# by hand\n"));
    let before = packages(&world);
    world.run("comfy", "update", &[("EASEL_VERSION", "main")]).failed(1, "it is as it was before the update");
    assert_eq!((version(&world, "comfy").as_str(), packages(&world)), ("v0.10.0", before));
    assert!(!world.at("comfy/.easel-changing").exists());
    // In the way of the old release, which has another requirements.txt.
    world.put("comfy/app/requirements.txt", "aiohttp==1.0\n# by hand\n");
    world.run("comfy", "update", &[("EASEL_VERSION", "v0.9.0")]).failed(1, "changed by hand are in the way");
    assert!(world.get("comfy/app/requirements.txt").contains("# by hand") && version(&world, "comfy") == "v0.10.0");
}

#[test]
fn what_an_update_replaced_comes_back_with_its_packages_and_can_be_left_again() {
    const BACK: &[(&str, &str)] = &[("EASEL_GO_BACK", "1")];
    let world = World::new();
    world.run("comfy", "install", &[("EASEL_VERSION", "v0.9.0"), ("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    world.run("comfy", "update", BACK).failed(1, "no earlier version to go back to");
    assert!(!world.at("comfy/.easel-changing").exists(), "nothing was begun");
    let main = world.get("comfy/app/main.py");
    world.put("comfy/app/main.py", &format!("{main}# by hand\n"));
    let old = packages(&world);
    world.run("comfy", "update", &[]).ok();
    let new = packages(&world);
    assert!(version(&world, "comfy") == "v0.10.0" && new != old);
    assert!(world.get("comfy/.easel-earlier").contains("version=v0.9.0\n"));
    // An update that brings nothing new forgets nothing.
    world.run("comfy", "update", &[]).ok();
    assert!(world.get("comfy/.easel-earlier").contains("version=v0.9.0\n"));

    world.run("comfy", "update", BACK).ok();
    assert_eq!((version(&world, "comfy").as_str(), packages(&world)), ("v0.9.0", old));
    assert!(world.get("comfy/app/main.py").ends_with("# by hand\n"));
    assert!(world.get("comfy/.easel-earlier").contains("version=v0.10.0\n"));
    world.run("comfy", "update", BACK).ok();
    assert_eq!((version(&world, "comfy").as_str(), packages(&world)), ("v0.10.0", new));
    world.run("comfy", "reinstall", &[("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    assert!(!world.at("comfy/.easel-earlier").exists(), "the commit that it names is gone");
}

/// As git leaves it when it is killed in the middle of a checkout: some files are of the new commit already, one of them
/// half, the index and HEAD are of the old one, and there is a lock.
#[test]
fn a_checkout_that_was_killed_is_no_edit() {
    let world = World::new();
    world.run("comfy", "install", &[("EASEL_VERSION", "v0.9.0"), ("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    let main = world.get("comfy/app/main.py");
    world.put("comfy/app/main.py", &format!("{main}# by hand\n"));
    world.put("comfy/app/.git/easel-edits", " M main.py\0");
    world.put("comfy/app/.git/index.lock", "");
    world.put("comfy/app/requirements.txt", "aiohttp==2.0\n");
    world.put("comfy/app/new.py", "");
    world.run("comfy", "update", &[]).ok();
    assert_eq!((version(&world, "comfy").as_str(), world.get("comfy/app/new.py").as_str()), ("v0.10.0", "1\n"));
    assert!(world.get("comfy/app/main.py").ends_with("# by hand\n"));
}

#[test]
fn commits_made_by_hand_stay_reachable() {
    let world = World::new();
    world.run("comfy", "install", &[("EASEL_VERSION", "v0.9.0"), ("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    world.put("comfy/app/mine.py", "1\n");
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(world.at("comfy/app")).args(["-c", "user.name=A", "-c", "user.email=a@b"]).args(args);
        String::from_utf8(git.output().unwrap().stdout).unwrap()
    };
    git(&["add", "mine.py"]);
    git(&["commit", "-m", "mine"]);
    world.run("comfy", "update", &[]).ok();
    let branches = git(&["branch", "--list", "kept-by-easel-*", "--format=%(refname:short)"]);
    assert_eq!(git(&["show", &format!("{}:mine.py", branches.trim())]), "1\n");
}

#[test]
fn reinstalling_keeps_what_is_peoples_by_rename() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    world.run("comfy", "install", &[("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    let kept = ["models/checkpoints/mine.safetensors", "output/zoe/a.png", "user/default/workflow.json"];
    for path in kept {
        world.put(&format!("comfy/app/{path}"), path);
    }
    world.put("comfy/app/custom_nodes/mine.py", "mine");
    world.put("comfy/app/leftover.txt", "of an experiment");
    let inode = |path: &str| fs::metadata(world.at(&format!("comfy/app/{path}"))).unwrap().ino();
    let before = kept.map(inode);
    world.run("comfy", "reinstall", &[("EASEL_VERSION", "main")]).failed(1, "Everything is as it was.");
    assert_eq!(kept.map(inode), before);
    assert!(world.get("comfy/app/leftover.txt").contains("experiment") && world.get("comfy/app/custom_nodes/mine.py") == "mine");
    assert_eq!(fs::read_dir(world.at("backup")).unwrap().count(), 0);
    let done = world.run("comfy", "reinstall", &[]).ok();
    assert_eq!(done.steps().len(), 8, "{}", done.out);
    assert_eq!(kept.map(inode), before, "moved, not copied");
    assert!(
        !world.at("comfy/app/leftover.txt").exists() && world.at("comfy/app/models/checkpoints/put_checkpoints_here").exists()
    );
    let backup = fs::read_dir(world.at("backup")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(backup.join("custom_nodes/mine.py")).unwrap(), "mine", "old nodes stay in the backup");
    assert!(version(&world, "comfy") == "v0.10.0" && !world.at("comfy/app.old").exists());
    let nodes = world.at("comfy/app/custom_nodes");
    assert!(nodes.join("ComfyUI-GGUF").is_dir(), "the nodes that it had are there again");
    assert!(!nodes.join("rgthree-comfy").exists() && !nodes.join("ComfyUI-Manager").exists(), "and no others");
}

#[test]
fn custom_nodes_are_picked_from_the_list_or_by_address() {
    let world = World::new();
    world.run("custom-nodes", "install", &[]).failed(3, "it is not installed");
    world.run("comfy", "install", &[("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    world.run("custom-nodes", "install", &[("EASEL_PICKS", "rgthree-comfy")]).ok();
    assert!(world.at("comfy/app/custom_nodes/rgthree-comfy").is_dir());
    world.run("custom-nodes", "install", &[("EASEL_PICKS", "https://github.com/Comfy-Org/ComfyUI-Manager")]).ok();
    let both = world.run("custom-nodes", "install", &[("EASEL_PICKS", "broken-node\nComfyUI-GGUF")]);
    both.failed(1, "These nodes could not be installed: broken-node");
    // ComfyUI runs every folder among its nodes, also what is left of a clone that failed or was killed.
    fs::create_dir(world.at("comfy/app/custom_nodes/killed-node.part")).unwrap();
    let missing = world.run("custom-nodes", "install", &[("EASEL_PICKS", "https://github.com/nobody/missing-node")]);
    missing.failed(1, "These nodes could not be installed: missing-node");
    let left = fs::read_dir(world.at("comfy/app/custom_nodes")).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(left.filter(|n| n.to_string_lossy().ends_with(".part")).count(), 0);
    for pick in ["nothing", "file:///etc", "--upload-pack=id", "https://github.com/../x", "ext::sh -c id"] {
        world.run("custom-nodes", "install", &[("EASEL_PICKS", pick)]).failed(3, "neither in nodes.txt");
    }
    world.run("custom-nodes", "update", &[("EASEL_PICKS", "rgthree-comfy")]).ok();
}

#[test]
fn comfy_runs_for_many_users_and_ends_when_asked() {
    let world = World::new();
    let start = [("EASEL_HOST", "127.0.0.1"), ("EASEL_PORT", "1")];
    world.run("comfy", "start", &start).failed(3, "it is not installed");
    world.run("comfy", "install", &[("EASEL_PICKS", "ComfyUI-GGUF")]).ok();
    let mut running = world.start("comfy", &[]);
    let told: Value = serde_json::from_str(&running.answers("/system_stats", None, 200)).unwrap();
    let args: Vec<_> = told["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    let after = |flag: &str| args.iter().position(|a| *a == flag).map(|i| args[i + 1]);
    assert_eq!((after("--listen"), after("--output-directory")), (Some("127.0.0.1"), None));
    assert!(args.contains(&"--multi-user") && args.contains(&"--cpu") && !args.contains(&"--use-sage-attention"));
    let models = fs::read_to_string(after("--extra-model-paths-config").unwrap()).unwrap();
    assert!(
        models.contains(&format!("base_path: '{}'", world.at("models-of-all").display())) && models.contains("  loras: loras\n")
    );
    world.run("comfy", "kill", &[("EASEL_PID", &running.pid().to_string())]).ok();
    assert_eq!(running.ended(), Some(0), "{}", running.log());
    assert!(running.log().contains("ended in order"));
    for pid in ["", "0", "1", "-1", "12x", "$(id)"] {
        world.run("comfy", "kill", &[("EASEL_PID", pid)]).failed(3, "EASEL_PID must be");
    }
}

#[test]
fn ai_toolkit_builds_its_pages_and_runs_both_its_processes_on_loopback() {
    let world = World::new();
    world.run("ai-toolkit", "install", &[]).ok();
    let mut running = world.start("ai-toolkit", &[("EASEL_TOKEN", "t0ken")]);
    running.answers("/api/auth", None, 401);
    running.answers("/api/auth", Some("Bearer t0ken"), 200);
    world.run("ai-toolkit", "kill", &[("EASEL_PID", &running.pid().to_string())]).ok();
    assert_eq!(running.ended(), Some(0), "{}", running.log());
    world.put("ai-toolkit/app/datasets/cats/1.txt", "a cat");
    world.run("ai-toolkit", "update", &[]).ok();
    world.run("ai-toolkit", "reinstall", &[]).ok();
    assert_eq!(world.get("ai-toolkit/app/datasets/cats/1.txt"), "a cat");
}

#[test]
fn swarm_is_built_with_a_net_whose_hash_is_checked() {
    let mut world = World::new();
    let server = Server::of_folder(&fixtures().join("dotnet"));
    world.env.push(("EASEL_DOTNET_FEED".into(), server.url("")));
    world.run("swarm-ui", "install", &[]).ok();
    assert!(
        world
            .get("swarm-ui/app/Data/Settings.fds")
            .contains(&format!("ModelRoot: Models;{}\n", world.at("models-of-all").display()))
    );
    let asked = server.asked().len();
    world.run("swarm-ui", "update", &[]).ok();
    assert_eq!(server.asked().len(), asked + 1, "the list again, .NET itself not");
    let mut running = world.start("swarm-ui", &[]);
    running.answers("/Text2Image", None, 200);
    world.run("swarm-ui", "kill", &[("EASEL_PID", &running.pid().to_string())]).ok();
    assert_eq!(running.ended(), Some(0), "{}", running.log());
    let other = World::new();
    server.damage("tar.gz");
    let feed = server.url("");
    other.run("swarm-ui", "install", &[("EASEL_DOTNET_FEED", &feed)]).failed(1, "not the .NET that its makers list");
    assert!(!other.at("swarm-ui/dotnet").exists());
}
