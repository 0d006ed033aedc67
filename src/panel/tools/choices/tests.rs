//! Choices as they ship, and what is refused.

use super::*;

fn picks(file: &str, below: Option<&str>) -> Picks {
    Picks { file: file.into(), below: below.map(Into::into) }
}

fn shipped_sets() -> Choices {
    Choices::parse(&picks("models/sets.toml", None), include_str!("../../../../setup/models/sets.toml")).unwrap()
}

#[test]
fn the_shipped_nodes_are_44_with_the_manager_first() {
    let text = include_str!("../../../../setup/comfy/nodes.txt");
    let choices = Choices::parse(&picks("comfy/nodes.txt", Some("app/custom_nodes")), text).unwrap();
    let ids: Vec<_> = choices.all().iter().map(|c| c.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0]), (44, "ComfyUI-Manager"));
    assert!(ids.contains(&"ComfyUI-GGUF") && ids.contains(&"rgthree-comfy"));
}

#[test]
fn the_shipped_sets_hold_what_the_studio_itself_can_load() {
    let sets = shipped_sets();
    for id in ["sd15", "sd15-inpainting", "flux-dev", "qwen-image", "wan22-i2v", "z-image", "uso", "svi"] {
        assert!(sets.all().iter().any(|c| c.id == id), "{id}");
    }
}

#[test]
fn presence_counts_files_and_asks_only_for_tokens_of_missing_ones() {
    let (sets, folder) = (shipped_sets(), tempfile::tempdir().unwrap());
    let set = sets.all().iter().find(|c| c.id == "flux-full").unwrap();
    let models = folder.path();
    let none = sets.presence(set, models, models);
    assert_eq!((none.there, none.of), (0, set.files.len()));
    assert!(none.tokens.contains("HF_TOKEN") && none.missing_gb > 70.0);
    for file in set.files.iter().filter(|f| f.token.is_some()) {
        let path = models.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let some = sets.presence(set, models, models);
    assert_eq!((some.there, some.tokens.len()), (4, 0));
    assert!(some.missing_gb < none.missing_gb);
}

#[test]
fn what_was_chosen_must_exist() {
    let sets = shipped_sets();
    assert_eq!(sets.check(&["sd15".into(), "svi".into()]), Ok(()));
    assert_eq!(
        sets.check(&["sd15-inpaint".into()]).unwrap_err(),
        "There is no \"sd15-inpaint\" to choose; did you mean \"sd15-inpainting\"?"
    );
    assert_eq!(sets.check(&["\n; id".into()]).unwrap_err(), "There is no \"\n; id\" to choose.");
}

#[test]
fn repositories_that_run_something_or_lie_elsewhere_are_refused() {
    for line in [
        "git@github.com:a/b",
        "file:///a/b",
        "ext::sh -c id",
        "https://a b",
        "http://example.org/a/b",
        "https://example.org/../b",
        "https://example.org/a/b --upload-pack=x",
        "https://example.org/a/b main x",
        "https://example.org/a/.git",
        "https://u:p@example.org/a",
    ] {
        let parsed = Choices::parse(&picks("a/nodes.txt", Some("app")), line);
        assert!(parsed.is_err(), "{line}: {parsed:?}");
    }
    let twice = "https://example.org/a/x\nhttps://example.org/b/x.git main # pinned\n";
    assert_eq!(Choices::parse(&picks("a/nodes.txt", Some("app")), twice).unwrap_err(), ["line 2: x stands there twice"]);
}

#[test]
fn files_of_a_set_stay_below_the_models_folder() {
    let set = |url: &str, path: &str, more: &str| {
        format!(
            "[[set]]\nid = \"a\"\nname = \"A\"\nabout = \"A.\"\nlicence = \"MIT\"\n[[set.file]]\nurl = \"{url}\"\npath = \"{path}\"\n{more}\n"
        )
    };
    let parse = |text: &str| Choices::parse(&picks("a/sets.toml", None), text);
    let url = "https://example.org/a.safetensors";
    assert!(parse(&set(url, "loras/a.safetensors", "")).is_ok());
    for path in ["a.safetensors", "../a", "loras/../../a", "/etc/a", "loras/.a", "loras//a", "loras/$(id)"] {
        assert!(parse(&set(url, path, "")).is_err(), "{path}");
    }
    for bad in ["http://example.org/a", "https://example.org/a?token=x", "https://example.org"] {
        assert!(parse(&set(bad, "loras/a", "")).is_err(), "{bad}");
    }
    for more in ["sha256 = \"AB\"", "token = \"hf\"", "gb = -1.0", "md5 = \"a\""] {
        assert!(parse(&set(url, "loras/a", more)).is_err(), "{more}");
    }
}
