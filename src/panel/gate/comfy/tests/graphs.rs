//! Graphs of honest artists, and of those who look for a way out.

use super::*;
use crate::gate::comfy::names::Kind;
use crate::users::ProfileId;
use proptest::prelude::*;
use serde_json::json;

fn zoe() -> Owner {
    Owner::of(&ProfileId::parse("zoe").unwrap())
}

fn written(graph: &Value, admin: bool) -> Result<Value, Refusal> {
    let preview = |file: &File| file.kind == Kind::Temp && file.name == "ComfyUI_temp_abcde_00001_.png";
    rewrite(graph, &Sender { owner: &zoe(), has: &preview, admin })
}

/// An input of one node as ComfyUI gets it.
fn input(class: &str, name: &str, value: Value) -> Result<Value, String> {
    let graph = json!({ "9": { "class_type": class, "inputs": { name: value } } });
    written(&graph, false).map(|graph| graph["9"]["inputs"][name].clone()).map_err(|refusal| refusal.why)
}

#[test]
fn every_row_of_the_table_is_read() {
    let lines = include_str!("../nodes.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    assert_eq!(ROWS.len(), lines);
}

#[test]
fn what_is_saved_lies_in_the_profiles_folder() {
    for (typed, saved) in [
        ("ComfyUI", "@zoe/ComfyUI"),
        ("", "@zoe/ComfyUI"),
        ("  ", "@zoe/ComfyUI"),
        ("portraits/", "@zoe/portraits/ComfyUI"),
        ("portraits/a %width%", "@zoe/portraits/a %width%"),
        ("@zoe/again", "@zoe/again"),
        ("@zoe", "@zoe/ComfyUI"),
        ("@mateo/x", "@zoe/@mateo/x"),
    ] {
        assert_eq!(input("SaveImage", "filename_prefix", json!(typed)), Ok(json!(saved)), "{typed:?}");
    }
    assert_eq!(input("ANodeOfSomebody", "filename_prefix", json!("a")), Ok(json!("@zoe/a")));
    assert_eq!(input("SaveLoRA", "prefix", json!("loras/a")), Ok(json!("@zoe/loras/a")));
    assert_eq!(input("ANodeOfSomebody", "prefix", json!("a cat, ")), Ok(json!("a cat, ")), "a text like any other");
}

#[test]
fn a_path_that_leaves_the_folder_is_refused_and_told() {
    for typed in ["../x", "/root/x", "a/../../x", "a//x", "..", "C:\\x", "a\\..\\x", "a\nb", "@zoe/../@mateo/x"] {
        let why = input("SaveImage", "filename_prefix", json!(typed)).unwrap_err();
        assert!(why.starts_with("Node 9 (SaveImage): ") && why.contains("leads out"), "{typed}: {why}");
    }
    for value in [json!(["4", 0]), json!({ "__value__": "../x" }), json!(7), json!(null), json!(["a"])] {
        let why = input("SaveImage", "filename_prefix", value.clone()).unwrap_err();
        assert!(why.contains("must be typed in"), "{value}: {why}");
    }
}

#[test]
fn what_is_read_lies_in_the_profiles_folders() {
    for (typed, read) in [
        ("x.png", "@zoe/x.png"),
        ("clipspace/clipspace-mask-1.png [input]", "@zoe/clipspace/clipspace-mask-1.png [input]"),
        ("@zoe/ComfyUI_00001_.png [output]", "@zoe/ComfyUI_00001_.png [output]"),
        ("@mateo/x.png", "@zoe/@mateo/x.png"),
        ("ComfyUI_temp_abcde_00001_.png [temp]", "ComfyUI_temp_abcde_00001_.png [temp]"),
        ("ComfyUI_temp_other_00001_.png [temp]", "@zoe/ComfyUI_temp_other_00001_.png [temp]"),
    ] {
        assert_eq!(input("LoadImage", "image", json!(typed)), Ok(json!(read)), "{typed}");
        assert_eq!(input("ANodeOfSomebody", "picture", json!(typed)).is_ok(), !typed.starts_with("@mateo"), "{typed}");
    }
    for value in [json!("../@mateo/x.png"), json!("/etc/passwd"), json!("x.png [output] [temp]"), json!(["4", 0])] {
        assert!(input("LoadImage", "image", value.clone()).is_err(), "{value}");
    }
    assert_eq!(input("Load3D", "image", json!({ "image": "threed/a.png [temp]", "mask": "", "n": 1 })), {
        Ok(json!({ "image": "@zoe/threed/a.png [temp]", "mask": "", "n": 1 }))
    });
    assert!(input("Load3D", "image", json!({ "image": { "a": "b" } })).is_err());
    assert_eq!(input("VHS_LoadImages", "directory", json!("")), Ok(json!("@zoe")));
    assert!(input("VHS_LoadImages", "directory", json!("..")).is_err());
}

#[test]
fn nodes_that_nobody_knows_get_no_path_out() {
    for (name, value) in [
        ("text", json!("@mateo/x.png")),
        ("deep", json!({ "a": [{ "b": "@mateo/x.png" }] })),
        ("list", json!(["x", "input/@mateo"])),
        ("picture", json!("../@mateo/x.png [input]")),
        ("image_path", json!("/data/outputs/mateo/x.png")),
        ("Directory", json!("../input")),
        ("file", json!("C:\\x")),
        ("output_folder", json!("~/x")),
    ] {
        assert!(input("ANodeOfSomebody", name, value.clone()).is_err(), "{name} {value}");
    }
    for (name, value) in [
        ("text", json!("a cat / a dog .. by @somebody else, 1:2")),
        ("model_path", json!("loras/a.safetensors")),
        ("pages", json!("/imagine a cat")),
        ("steps", json!(20)),
        ("model", json!(["4", 0])),
        ("seed", json!(u64::MAX)),
    ] {
        assert_eq!(input("ANodeOfSomebody", name, value.clone()), Ok(value), "{name}");
    }
}

#[test]
fn nodes_that_read_any_path_are_an_admins() {
    let graph = json!({ "1": { "class_type": "VHS_LoadVideoPath", "inputs": { "video": "clips/x.mp4" } } });
    assert!(written(&graph, false).unwrap_err().why.contains("only an admin"));
    assert!(written(&graph, true).is_ok());
    let empty = json!({ "1": { "class_type": "VHS_LoadVideoPath" } });
    assert!(written(&empty, false).is_err(), "an input less is no way in");
}

#[test]
fn of_a_node_nothing_else_is_left() {
    let graph = json!({ "1": { "class_type": "A", "inputs": {}, "_meta": { "title": "T" }, "is_changed": "x", "override": 1 } });
    assert_eq!(written(&graph, false).unwrap(), json!({ "1": { "class_type": "A", "_meta": { "title": "T" }, "inputs": {} } }));
    assert!(written(&json!([]), false).is_err() && written(&json!("x"), false).is_err());
    // A class that is no text is no class: ComfyUI says so itself.
    assert_eq!(
        written(&json!({ "1": { "class_type": ["LoadImage"], "inputs": {} } }), false).unwrap(),
        json!({ "1": { "inputs": {} } })
    );
}

proptest! {
    #[test]
    fn whatever_is_typed_is_refused_or_saved_below_the_own_folder(typed in "[@a-z./\\\\ %\\[\\]]{0,24}") {
        if let Ok(Value::String(saved)) = input("SaveImage", "filename_prefix", json!(typed)) {
            // As ComfyUI reads it: folders, and a name.
            let (folder, name) = saved.rsplit_once('/').unwrap();
            prop_assert!(folder.split('/').next() == Some("@zoe") && !name.is_empty(), "{}", saved);
            prop_assert!(saved.split('/').all(|part| !part.is_empty() && part != ".." && part != "."), "{}", saved);
        }
    }
}
