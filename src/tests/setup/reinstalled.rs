//! Reinstalling where people have arranged things their own way: links in what is kept, no node of the list, a database of an
//! older program. Knows what the fixtures bring along.

use super::world::World;
use std::{fs, os::unix::fs::symlink, path::Path};

const NODE: (&str, &str) = ("EASEL_PICKS", "ComfyUI-GGUF");

/// ComfyUI with models on another volume and outputs in a shared folder, both by links in place of its own folders.
fn linked() -> World {
    let world = World::new();
    world.run("comfy", "install", &[NODE]).ok();
    world.put("big/x.safetensors", "x");
    world.put("shared/o.png", "o");
    for folder in ["models/checkpoints", "output"] {
        fs::remove_dir_all(world.at("comfy/app").join(folder)).unwrap();
    }
    symlink(world.at("big"), world.at("comfy/app/models/checkpoints")).unwrap();
    symlink("../../shared", world.at("comfy/app/output")).unwrap();
    symlink("/nowhere", world.at("comfy/app/input")).unwrap();
    world
}

#[track_caller]
fn assert_linked(world: &World) {
    let link = |path: &str| fs::read_link(world.at("comfy/app").join(path)).unwrap();
    assert_eq!(link("models/checkpoints"), world.at("big"));
    assert_eq!((link("output"), link("input")), ("../../shared".into(), "/nowhere".into()));
    assert_eq!(world.get("comfy/app/models/checkpoints/x.safetensors"), "x");
    assert_eq!((world.get("comfy/app/output/o.png"), world.get("shared/o.png")), ("o".into(), "o".into()));
}

#[test]
fn links_come_back_also_over_folders_that_the_new_program_brings_along() {
    let world = linked();
    world.run("comfy", "reinstall", &[("EASEL_VERSION", "main")]).failed(1, "Everything is as it was.");
    assert_linked(&world);
    for _ in 0..2 {
        world.run("comfy", "reinstall", &[NODE]).ok();
        assert_linked(&world);
        assert!(!world.at("comfy/.easel-changing").exists() && !world.at("comfy/app.old").exists());
    }
}

#[test]
fn what_cannot_come_back_is_told_and_keeps_nothing_from_running() {
    let world = World::new();
    world.run("comfy", "install", &[NODE]).ok();
    world.put("comfy/app/models/loras/mine.safetensors", "mine");
    // As on a volume that refuses this one rename.
    let shims = world.at("shims");
    fs::create_dir_all(&shims).unwrap();
    let mv = "#!/bin/bash\ncase $* in -fT*/backup/*/mine.safetensors*) exit 1 ;; esac\nexec /bin/mv \"$@\"\n";
    let path = shims.join("mv");
    fs::write(&path, mv).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The new program brings a folder of that name along, so what is in it is moved one by one.
    let node = world.setup("comfy/install_comfy.sh");
    let text = fs::read_to_string(&node).unwrap().replace("\nfinish ", "\nmkdir -p \"$APP/models/loras\"\nfinish ");
    fs::write(&node, text).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", shims.display());
    let done = world.run("comfy", "reinstall", &[NODE, ("PATH", &path)]).ok();
    assert!(done.out.contains("could be moved back"), "{}", done.out);
    let backup = fs::read_dir(world.at("backup")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(backup.join("models/loras/mine.safetensors")).unwrap(), "mine");
    assert!(!world.at("comfy/.easel-changing").exists() && world.at("comfy/.easel-installed").exists());
}

#[test]
fn a_comfy_without_nodes_of_the_list_gets_none() {
    let world = World::new();
    world.run("comfy", "install", &[NODE]).ok();
    fs::remove_dir_all(world.at("comfy/app/custom_nodes/ComfyUI-GGUF")).unwrap();
    world.put("comfy/app/custom_nodes/mine/__init__.py", "");
    world.run("comfy", "reinstall", &[]).ok();
    let nodes = fs::read_dir(world.at("comfy/app/custom_nodes")).unwrap().flatten().map(|e| e.file_name());
    assert_eq!(nodes.collect::<Vec<_>>(), ["example.py"], "what the program itself brings along");
}

#[test]
fn a_database_that_comes_back_is_brought_up_to_date() {
    let world = World::new();
    world.run("ai-toolkit", "install", &[]).ok();
    let database = "ai-toolkit/app/aitk_db.db";
    world.put(database, "jobs;");
    world.run("ai-toolkit", "reinstall", &[]).ok();
    assert_eq!(world.get(database), "jobs;save_now;");
    // As a kill leaves it, once what is kept is back: a start ends it.
    world.put(database, "jobs;");
    let backup = world.at("backup/ai-toolkit-20260101-000000");
    fs::create_dir_all(&backup).unwrap();
    let note = format!("change=reinstall\nphase=back\nbackup={}\nkept=aitk_db.db\n", backup.display());
    world.put("ai-toolkit/.easel-changing", &note);
    let mut running = world.start("ai-toolkit", &[("EASEL_TOKEN", "t0ken")]);
    running.answers("/api/auth", None, 401);
    assert_eq!(world.get(database), "jobs;save_now;");
    assert!(!world.at("ai-toolkit/.easel-changing").exists() && !Path::new(&backup).exists());
}
