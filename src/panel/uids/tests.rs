//! Users of tools on a real disk: numbers that stay, folders that are handed over, ways that are closed. Where the tests are
//! not root, that all share Easel's user. Knows no tool.

use super::*;

/// A studio's folders, which others may enter.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["workspace", "models/loras", "outputs", "setup"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Scene(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn look(&self) -> ToolUsers {
        let [workspace, models, outputs, setup] = ["workspace", "models", "outputs", "setup"].map(|name| self.path(name));
        ToolUsers::look(Folders { workspace: &workspace, models: &models, outputs: &outputs, setup: &setup })
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn each_tool_has_a_number_of_its_own_and_keeps_it() {
    let scene = Scene::new();
    let users = scene.look();
    if !is_root() {
        assert!(users.why_shared().unwrap().contains("only root"));
        assert_eq!(users.of("comfy").unwrap(), None);
        return;
    }
    assert_eq!(users.why_shared(), None);
    let [comfy, swarm] = ["comfy", "swarm-ui"].map(|home| users.of(home).unwrap().unwrap());
    assert!(comfy != swarm && is_tools(comfy.uid) && is_tools(swarm.uid) && comfy.gid == swarm.gid);
    assert_eq!((scene.mode("workspace/comfy"), owner_of(&scene.path("workspace/comfy")).unwrap()), (0o700, comfy));
    // Another start, perhaps on another machine.
    assert_eq!(scene.look().of("comfy").unwrap(), Some(comfy));
    assert_eq!((scene.mode("outputs"), scene.mode("models/loras")), (0o711, 0o3775));
}

#[test]
fn what_root_installed_before_is_handed_over_whole_and_links_are_not_followed() {
    let scene = Scene::new();
    if !is_root() {
        return;
    }
    fs::create_dir_all(scene.path("workspace/comfy/app/models")).unwrap();
    fs::write(scene.path("workspace/comfy/app/main.py"), "").unwrap();
    fs::write(scene.path("outside"), "").unwrap();
    std::os::unix::fs::symlink(scene.path("outside"), scene.path("workspace/comfy/app/link")).unwrap();
    let user = scene.look().of("comfy").unwrap().unwrap();
    for name in ["comfy", "comfy/app", "comfy/app/models", "comfy/app/main.py", "comfy/app/link"] {
        assert_eq!(owner_of(&scene.path("workspace").join(name)).unwrap(), user, "{name}");
    }
    assert_eq!(owner_of(&scene.path("outside")).unwrap().uid, 0);
}

#[test]
fn a_profiles_folder_is_passed_through_and_not_listed() {
    let scene = Scene::new();
    let users = scene.look();
    let user = users.of("comfy").unwrap();
    fs::create_dir_all(scene.path("outputs/zoe/2026-01")).unwrap();
    fs::set_permissions(scene.path("outputs/zoe/2026-01"), Permissions::from_mode(0o700)).unwrap();
    users.give_in_passage(&scene.path("outputs/zoe/comfy"), user).unwrap();
    // A folder that Easel made for itself alone, as it does with all of its own.
    users.give_in_passage(&scene.path("backup/comfy"), user).unwrap();
    assert_eq!(scene.mode("outputs/zoe/comfy"), 0o700);
    if let Some(user) = user {
        assert_eq!(owner_of(&scene.path("outputs/zoe/comfy")).unwrap(), user);
        assert_eq!((scene.mode("outputs/zoe"), scene.mode("outputs/zoe/2026-01")), (0o711, 0o700));
        assert_eq!(scene.mode("backup"), 0o711);
    }
}

#[test]
fn a_folder_that_nobody_else_may_enter_is_named() {
    let scene = Scene::new();
    fs::set_permissions(scene.0.path(), Permissions::from_mode(0o700)).unwrap();
    let users = scene.look();
    if is_root() {
        let why = users.why_shared().unwrap();
        assert!(why.contains(&format!("chmod o+x {}", scene.0.path().display())), "{why}");
    }
    assert_eq!(users.of("comfy").unwrap(), None);
}

#[test]
fn only_what_others_may_reach_can_be_run() {
    let scene = Scene::new();
    let uv = scene.path("uv");
    fs::write(&uv, "").unwrap();
    let users = scene.look();
    fs::set_permissions(&uv, Permissions::from_mode(0o755)).unwrap();
    assert!(users.may_run(&uv));
    fs::set_permissions(&uv, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(users.may_run(&uv), !is_root());
    if is_root() {
        let hidden = scene.path("hidden");
        DirBuilder::new().mode(0o700).create(&hidden).unwrap();
        assert_eq!(users.path(&format!("{}:/usr/bin:/none:/bin", hidden.display())), "/usr/bin:/bin");
    }
}
