//! Graphs of honest artists, and of those who look for a way out.

use super::*;
use crate::gate::comfy::names::Kind;
use crate::gate::comfy::rules::Table;
use crate::gate::comfy::types::{Known, classes};
use crate::users::ProfileId;
use proptest::prelude::*;
use serde_json::json;

fn zoe() -> Owner {
    Owner::of(&ProfileId::parse("zoe").unwrap())
}

/// Nodes that a ComfyUI has: some that nobody has looked at, and how they say what they take.
fn object_info() -> Value {
    let text = json!(["STRING", {}]);
    json!({
        "ANodeOfSomebody": { "input": {
            "required": {
                "filename_prefix": text, "prefix": text, "text": text, "deep": text, "list": text, "file": text,
                "picture": [["x.png"], {}], "photo": [["x.png"], { "image_upload": true }],
                "model_path": [["loras/a.safetensors", "b"], {}], "output_folder": text, "Directory": text, "image_path": text,
                "seed": ["INT", {}], "file_index": ["INT", {}], "names_file": ["VHS_FILENAMES"], "any_file": ["*"],
                "api_url": ["STRING", { "default": "https://api.example.com/v1" }], "usual_path": ["STRING", { "default": "output" }],
                "source": ["STRING", { "placeholder": "X://insert/path/here.png" }]
            },
            "optional": { "pages": text, "steps": ["INT", {}], "model": ["MODEL"], "frames": ["IMAGE"] }
        }, "output": ["STRING"] },
        "VHS_VideoCombine": { "input": {}, "output": ["VHS_FILENAMES"] },
        "PrimitiveString": { "input": { "required": { "value": text } }, "output": ["STRING"] },
        "AnySwitch": { "input": {}, "output": ["*"] },
        "Concat": { "input": { "required": { "a": text } }, "output": ["STRING"] },
        "EmptyImage": { "input": { "required": { "width": ["INT", {}] } }, "output": ["IMAGE"], "output_node": false },
        "PrimitiveInt": { "input": { "required": { "value": ["INT", {}] } }, "output": ["INT"], "output_node": false },
        "CacheBackendData //Inspire": { "input": { "required": { "key": text, "tag": text, "data": ["*"] } }, "output": ["*"] },
        "RetrieveBackendData //Inspire": { "input": { "required": { "key": text } }, "output": ["*"] },
        "GlobalVarGetNode": { "input": { "required": { "key": text } }, "output": ["*"] },
        "Save Image w/Metadata": { "input": {
            "required": { "images": ["IMAGE"], "extension": [["png", "webp"]], "counter": ["INT", {}], "color": ["COLOR"] }
        }, "output": [], "output_node": true },
        "Power Lora Loader (rgthree)": { "input": { "optional": { "model": ["MODEL"] } }, "output": ["MODEL"] },
        "Dynamic": { "input": { "required": { "mode": ["COMFY_DYNAMICCOMBO_V3", {}] } }, "output": ["IMAGE"] },
        "Bag": { "input": { "required": { "a": text } }, "output": ["BAG"] },
        "OutOfBag": { "input": { "required": { "bag": ["BAG"] } }, "output": ["*"] },
        "A": { "input": {}, "output": [], "output_node": false }
    })
}

fn written_by(graph: &Value, admin: bool, rules: &Rules) -> Result<Value, Refusal> {
    let preview = |file: &File| file.kind == Kind::Temp && file.name == "ComfyUI_temp_abcde_00001_.png";
    let mut known = Known::default();
    known.learn(&object_info());
    rewrite(graph, &Sender { owner: &zoe(), has: &preview, admin, rules, types: &known.of(&classes(graph)) })
}

fn written(graph: &Value, admin: bool) -> Result<Value, Refusal> {
    written_by(graph, admin, &Rules::default())
}

/// An input of one node as ComfyUI gets it. Others that it may come from are 1 to 4.
fn input(class: &str, name: &str, value: Value) -> Result<Value, String> {
    let graph = json!({
        "1": { "class_type": "PrimitiveString", "inputs": { "value": "/workspace" } },
        "2": { "class_type": "VHS_VideoCombine", "inputs": {} },
        "3": { "class_type": "AnySwitch", "inputs": {} },
        "9": { "class_type": class, "inputs": { name: value } }
    });
    written(&graph, false).map(|graph| graph["9"]["inputs"][name].clone()).map_err(|refusal| refusal.why)
}

#[test]
fn what_is_saved_lies_in_the_profiles_folder() {
    for (typed, saved) in [
        ("ComfyUI", "@zoe/ComfyUI"),
        ("", "@zoe/ComfyUI"),
        ("  ", "@zoe/ComfyUI"),
        ("portraits/", "@zoe/portraits/ComfyUI"),
        ("portraits/a %width%x%height% [2]", "@zoe/portraits/a %width%x%height% [2]"),
        ("%year%-%month%/%date:yyyy-MM-dd%", "@zoe/%year%-%month%/%date:yyyy-MM-dd%"),
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
fn a_token_that_becomes_another_folder_is_refused() {
    for (class, name, typed) in [
        ("Save Image w/Metadata", "path", "%time/@mateo"),
        ("Save Image w/Metadata", "path", "%model"),
        ("Save Image w/Metadata", "time_format", "../%Y"),
        ("Save Image w/Metadata", "time_format", ".."),
        ("Image Save", "output_path", "[time(..)]/[time(@mateo)]"),
        ("Image Save", "output_path", "[time(%Y/..)]"),
        ("Image Save", "output_path", "[hostname]"),
        ("Save Text File", "path", "[time(..)]/x"),
        ("SaveImage", "filename_prefix", "%time/x"),
        ("SaveImage", "filename_prefix", "%date:..%/@mateo"),
        ("SaveImage", "filename_prefix", "[time(..)]/x"),
    ] {
        assert!(input(class, name, json!(typed)).is_err(), "{class} {name} {typed}");
    }
    assert_eq!(input("Image Save", "output_path", json!("[time(%Y-%m-%d)]")), Ok(json!("@zoe/[time(%Y-%m-%d)]")));
    assert_eq!(input("Save Image w/Metadata", "filename", json!("%time_%seed")), Ok(json!("%time_%seed")));
    assert_eq!(input("Save Image w/Metadata", "time_format", json!("%Y-%m-%d-%H%M%S")), Ok(json!("%Y-%m-%d-%H%M%S")));
    // A text saver writes texts.
    assert!(input("SaveStringKJ", "file_extension", json!(".m3u8")).is_err());
    assert_eq!(input("SaveStringKJ", "file_extension", json!(".txt")), Ok(json!(".txt")));
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
        ("#DATA", "#DATA"),
    ] {
        assert_eq!(input("LoadImage", "image", json!(typed)), Ok(json!(read)), "{typed}");
        assert_eq!(input("ANodeOfSomebody", "photo", json!(typed)), Ok(json!(read)), "an upload of any node's: {typed}");
        let offered = input("ANodeOfSomebody", "picture", json!(typed)).is_ok();
        assert_eq!(offered, typed == "x.png" || typed.ends_with(']'), "of a list of files: {typed}");
    }
    for value in [json!("../@mateo/x.png"), json!("/etc/x.png"), json!("x.png [output] [temp]"), json!("x.m3u8"), json!(["4", 0])]
    {
        assert!(input("LoadImage", "image", value.clone()).is_err(), "{value}");
        assert!(input("ANodeOfSomebody", "photo", value.clone()).is_err(), "{value}");
    }
    for list in ["x.m3u8", "x.txt", "x.json [output]"] {
        assert!(input("LoadVideo", "file", json!(list)).is_err(), "a list of other files: {list}");
    }
    assert_eq!(input("TextLoadFile", "text_file", json!("x.txt")), Ok(json!("@zoe/x.txt")));
    assert_eq!(input("Load3D", "image", json!({ "image": "threed/a.png [temp]", "mask": "", "n": 1 })), {
        Ok(json!({ "image": "@zoe/threed/a.png [temp]", "mask": "", "n": 1 }))
    });
    assert!(input("Load3D", "image", json!({ "image": { "a": "b" } })).is_err());
    assert_eq!(input("VHS_LoadImages", "directory", json!("")), Ok(json!("@zoe")));
    assert!(input("VHS_LoadImages", "directory", json!("..")).is_err());
}

#[test]
fn nodes_that_nobody_knows_get_no_path() {
    for (name, value) in [
        ("text", json!("@mateo/x.png")),
        ("deep", json!({ "a": [{ "b": "@mateo/x.png" }] })),
        ("list", json!(["x", "input/@mateo"])),
        ("picture", json!("../@mateo/x.png [input]")),
        ("image_path", json!("/data/outputs/mateo/x.png")),
        ("Directory", json!("../input")),
        ("file", json!("C:\\x")),
        ("output_folder", json!("~/x")),
        // The folders in which those of all profiles lie.
        ("Directory", json!("output")),
        ("output_folder", json!("user")),
        ("image_path", json!("output/x.png")),
        ("image_path", json!("@zoe/%time/x")),
        ("any_file", json!({ "__value__": ["output"] })),
        ("names_file", json!({ "__value__": [true, ["output/x.png"]] })),
        ("model_path", json!("../loras/b")),
        ("usual_path", json!("output")),
        ("source", json!("output/x.png")),
        ("source", json!(["1", 0])),
        ("api_url", json!("http://127.0.0.1:8188/view?filename=x.png")),
        // A picture is no text.
        ("frames", json!("https://example.com/leads/elsewhere.png")),
        ("frames", json!({ "__value__": ["input/x.png"] })),
        // The same by way of another node.
        ("Directory", json!(["1", 0])),
        ("any_file", json!(["1", 0])),
        ("names_file", json!(["3", 0])),
        ("names_file", json!(["1", 0])),
        ("model_path", json!(["1", 0])),
        ("picture", json!(["3", 0])),
        ("not_there_path", json!(["1", 0])),
        ("file_index", json!(["1", 0])),
    ] {
        let why = input("ANodeOfSomebody", name, value.clone()).unwrap_err();
        assert!(why.starts_with("Node 9 (ANodeOfSomebody): ") && why.contains(&format!("\"{name}\"")), "{name} {value}: {why}");
    }
    let why = input("ANodeOfSomebody", "Directory", json!("output")).unwrap_err();
    assert!(why.contains("admin") && why.contains("\"ANodeOfSomebody Directory pass\""), "{why}");
    for (name, value) in [
        ("text", json!("a cat / a dog .. by @somebody else, 1:2")),
        ("text", json!(["1", 0])),
        ("model_path", json!("loras/a.safetensors")),
        ("Directory", json!("")),
        ("image_path", json!("@zoe/made/x.png")),
        ("names_file", json!(["2", 0])),
        ("source", json!("@zoe/made/x.png")),
        ("file_index", json!(["4", 0])),
        ("file_index", json!(3)),
        ("api_url", json!("https://api.example.com/v1")),
        ("pages", json!("/imagine a cat")),
        ("steps", json!(20)),
        ("model", json!(["4", 0])),
        ("frames", json!(["4", 0])),
        ("frames", json!(null)),
        ("seed", json!(u64::MAX)),
    ] {
        assert_eq!(input("ANodeOfSomebody", name, value.clone()), Ok(value), "{name}");
    }
    assert_eq!(input("ANodeOfSomebody", "choose folder to upload", json!("image")), Ok(Value::Null), "nothing that it has");
    assert!(input("NotThere", "image_path", json!("x")).is_err() && input("NotThere", "text", json!("x")).is_ok());
}

#[test]
fn an_admin_allows_what_nobody_has_looked_at() {
    let graph = json!({ "1": { "class_type": "ANodeOfSomebody", "inputs": { "Directory": "output" } }, "2": { "class_type": "CopyFiles|Mie", "inputs": {} } });
    let rules = |text: &str| Rules::with(Table::parse(text).unwrap());
    assert!(written_by(&graph, false, &rules("ANodeOfSomebody Directory pass")).unwrap_err().why.contains("Node 2"));
    assert!(written_by(&graph, false, &rules("ANodeOfSomebody * pass\nCopyFiles|Mie * pass")).is_ok());
    assert!(written(&graph, true).is_ok(), "and in admin mode runs it");
}

#[test]
fn nodes_of_the_packs_that_come_with_easel_do_no_harm() {
    for class in [
        "CopyFiles|Mie",
        "DeleteFiles|Mie",
        "GetDirectoryFilesInfo|Mie",
        "BatchConvertImageFiles|Mie",
        "LoadText|pysssss",
        "SaveText|pysssss",
        "Image History Loader",
        "Load Cache",
        "Image Load",
        "Text File History Loader",
        "Sigmas Math1",
        "Base64ToConditioning",
        "LoadImageFromUrl",
        "ShowCachedInfo //Inspire",
        "VHS_LoadVideoPath",
        "Power Puter (rgthree)",
        "Base64DecodeNode",
        "LayerSystem",
        "ResizeImageNode",
        "ClownsharKSamplerOptions",
        "Legacy_ClownsharKSampler",
        "SamplerOptions_TimestepScaling",
        "Diffusers Hub Model Down-Loader",
    ] {
        let graph = json!({ "1": { "class_type": class, "inputs": {} } });
        let why = written(&graph, false).unwrap_err().why;
        assert!(why.contains("only an admin") && why.contains(" * pass\""), "{class}: {why}");
        assert!(written(&graph, true).is_ok(), "{class}");
    }
    // One store for all, in which each has names of their own.
    for class in ["CacheBackendData //Inspire", "RetrieveBackendData //Inspire", "GlobalVarGetNode"] {
        assert_eq!(input(class, "key", json!("a model")), Ok(json!("@zoe:a model")), "{class}");
        assert!(input(class, "key", json!(["1", 0])).is_err(), "{class}");
    }
}

#[test]
fn nothing_but_a_number_is_put_into_the_inputs_of_others() {
    for class in ["GlobalSeed //Inspire", "easy globalSeed", "ImpactRemoteInt", "ImpactRemoteBoolean"] {
        for path in [json!("../@mateo/x"), json!("7"), json!(["/../@mateo/x", 0]), json!({ "/../@mateo/x": 0 }), json!("")] {
            assert!(input(class, "value", path.clone()).is_err(), "{class} {path}");
        }
        for number in [json!(7), json!(-1.5), json!(true), json!(u64::MAX)] {
            assert_eq!(input(class, "value", number.clone()), Ok(number), "{class}");
        }
    }
    // So the seed may stand in the name of what is saved.
    let name = json!("seeds/$GlobalSeed.value$");
    assert_eq!(input("SaveImage", "filename_prefix", name), Ok(json!("@zoe/seeds/$GlobalSeed.value$")));
}

#[test]
fn what_ffmpeg_reads_as_instructions_is_one_word() {
    let filter = "none [o]; [o] nullsink; movie=output/@ma'te'o/x.png";
    assert!(input("VHS_VideoCombine", "dither", json!(filter)).is_err());
    assert!(input("VHS_VideoCombine", "dither", json!(["1", 0])).is_err());
    assert!(input("VHS_VideoCombine", "manual_format_widgets", json!({ "dither": filter })).is_err());
    assert_eq!(input("VHS_VideoCombine", "dither", json!("sierra2_4a")), Ok(json!("sierra2_4a")));
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
        json!({ "1": { "inputs": { "easel": "@zoe" } } })
    );
}

#[test]
fn what_is_shown_and_not_saved_is_made_for_each_profile() {
    for (class, admin, made) in [
        ("PreviewImage", false, true),
        ("Image Comparer of somebody", false, true),
        ("Save Image w/Metadata", true, true),
        ("A", false, false),
        ("Nobody told of it", true, false),
    ] {
        let graph = json!({ "1": { "class_type": class, "inputs": { "images": ["2", 0], "easel": "@" } } });
        let inputs = written(&graph, admin).unwrap()["1"]["inputs"].clone();
        assert_eq!(inputs["easel"] == json!("@zoe"), made, "{class}: {inputs}");
    }
}

/// A link into the input of a node, out of the node "5" which gives anything and gets this.
fn by_a_switch(class: &str, name: &str, gets: Value) -> Result<Value, String> {
    let graph = json!({
        "1": { "class_type": "PrimitiveString", "inputs": { "value": "../@" } },
        "2": { "class_type": "Concat", "inputs": { "a": ["1", 0] } },
        "3": { "class_type": "EmptyImage", "inputs": {} },
        "4": { "class_type": "AnySwitch", "inputs": { "any_01": gets } },
        "5": { "class_type": "AnySwitch", "inputs": { "any_01": ["4", 0], "any_02": ["5", 0] } },
        "6": { "class_type": "RetrieveBackendData //Inspire", "inputs": { "key": "a/b c, d" } },
        "7": { "class_type": "GlobalVarGetNode", "inputs": { "key": "a" } },
        "10": { "class_type": "Bag", "inputs": { "a": ["2", 0] } },
        "11": { "class_type": "OutOfBag", "inputs": { "bag": ["10", 0] } },
        "12": { "class_type": "OutOfBag", "inputs": { "bag": ["13", 0] } },
        "13": { "class_type": "Bag", "inputs": { "a": "plain" } },
        "9": { "class_type": class, "inputs": { name: ["5", 0] } }
    });
    written(&graph, false).map(|graph| graph["9"]["inputs"][name].clone()).map_err(|refusal| refusal.why)
}

#[test]
fn no_text_comes_where_a_number_a_choice_or_a_picture_is_taken() {
    let link = || Ok(json!(["5", 0]));
    let saver = "Save Image w/Metadata";
    for (class, name) in
        [(saver, "images"), (saver, "extension"), (saver, "counter"), (saver, "dither"), ("PrimitiveInt", "value")]
    {
        for text in [
            json!(["1", 0]),
            json!(["2", 0]),
            json!(["7", 0]),
            json!(["11", 0]),
            json!(["3", -1]),
            json!(["3", 0.0]),
            json!(["3", 7]),
        ] {
            let why = by_a_switch(class, name, text.clone()).unwrap_err();
            assert!(why.contains(&format!("Node 9 ({class}): \"{name}\" takes no text")), "{name} {text}: {why}");
        }
        for other in
            [json!(["3", 0]), json!(["6", 0]), json!(["12", 0]), json!(["99", 0]), json!(["5", 0]), json!(7), json!("euler")]
        {
            assert_eq!(by_a_switch(class, name, other.clone()), link(), "{name} {other}");
        }
    }
    // Texts go where texts are taken, and through what passes them on.
    assert_eq!(by_a_switch("Concat", "a", json!(["2", 0])), link());
    assert_eq!(by_a_switch("AnySwitch", "any_03", json!(["2", 0])), link());
    // Nothing that is a text gets into a store out of which pictures come.
    assert!(by_a_switch("CacheBackendData //Inspire", "data", json!(["2", 0])).is_err());
    assert_eq!(by_a_switch("CacheBackendData //Inspire", "data", json!(["3", 0])), link());
    // And none straight out of a node that makes texts.
    assert!(input(saver, "counter", json!(["1", 0])).is_err() && input(saver, "images", json!(["1", 0])).is_err());
}

#[test]
fn a_thing_is_not_typed() {
    for path in [json!("/any/path.png"), json!({ "__value__": "/any/path.png" }), json!({ "__value__": ["a:b"] }), json!("a=b")] {
        for name in ["images", "color"] {
            assert!(input("Save Image w/Metadata", name, path.clone()).is_err(), "{name} {path}");
        }
    }
    for color in [json!("#ff00ff"), json!(7), json!({ "r": 1 }), json!(null)] {
        assert_eq!(input("Save Image w/Metadata", "color", color.clone()), Ok(color));
    }
    // ComfyUI takes this for what is typed when it looks at it, and for a link when it runs it.
    for name in ["images", "text", "nothing"] {
        let why = input("ANodeOfSomebody", name, json!({ "__value__": ["1", 0] })).unwrap_err();
        assert!(why.contains("in two ways"), "{name}: {why}");
    }
}

#[test]
fn what_a_class_does_not_take_is_plain_or_left_out() {
    for text in [
        json!("bayer[q];movie=output/'@'zoe/x.png,scale=64:64[y];[q][y]overlay"),
        json!("bayer,metadata=print:file=input/'@'zoe/victim.png"),
        json!({ "dither": "bayer,metadata=print" }),
        json!("../x"),
        json!("a/../x"),
        json!("/etc/passwd"),
        json!("@mateo"),
    ] {
        assert_eq!(input("VHS_VideoCombine", "pix_fmt", text.clone()), Ok(Value::Null), "{text}");
    }
    for plain in [
        json!("yuv420p10le"),
        json!(19),
        json!(true),
        json!({ "on": true, "lora": "flux/it's a [v2], (1).safetensors", "strength": 1 }),
    ] {
        assert_eq!(input("Power Lora Loader (rgthree)", "lora_1", plain.clone()), Ok(plain));
    }
    let text = json!("a cat, \"sitting\": it is");
    assert_eq!(input("Power Primitive (rgthree)", "value", text.clone()), Ok(text.clone()));
    assert_eq!(input("Dynamic", "mode.prompt", text.clone()), Ok(text), "it changes with what is chosen");
}

#[test]
fn savers_of_the_packs_save_into_the_own_folder() {
    for class in ["SaveImageCustomNode", "SaveTextCustomNode", "DumpTextJsonlNode"] {
        assert_eq!(input(class, "subfolder_dir", json!("")), Ok(json!("@zoe")), "{class}");
        assert_eq!(input(class, "filename_prefix", json!("ComfyUI")), Ok(json!("ComfyUI")), "{class}");
        assert!(input(class, "filename_prefix", json!("a/b")).is_err(), "{class}");
    }
    assert_eq!(input("SaveStringKJ", "output_folder", json!("output")), Ok(json!("@zoe/output")));
    assert_eq!(input("SaveStringKJ", "filename_prefix", json!("t")), Ok(json!("t")));
    assert_eq!(input("Save Image w/Metadata", "path", json!("%date/x")), Ok(json!("@zoe/%date/x")));
    assert_eq!(input("Save Image w/Metadata", "path", json!("%date/%year%")), Ok(json!("@zoe/%date/%year%")));
    assert!(input("Save Image w/Metadata", "path", json!("%date%time/x")).is_err());
}

/// What a node makes of a text whose tokens it replaces by what somebody likes best.
fn expanded(saved: &str) -> String {
    let mut text = saved.to_owned();
    for counted in ["year", "month", "day", "hour", "minute", "second", "width", "height", "batch_num"] {
        text = text.replace(&format!("%{counted}%"), "7");
    }
    // A date is digits to every node that knows it by this alone.
    let text = text.replace("%date", "7");
    ["%time", "%model", "[time(..)]", "%a", "%Y"].iter().fold(text, |text, token| text.replace(token, ".."))
}

proptest! {
    #[test]
    fn whatever_is_typed_is_refused_or_saved_below_the_own_folder(
        typed in "([@a-z./\\\\ %\\[\\]]|%time|%date|\\[time\\(\\.\\.\\)\\]|%year%){0,24}",
    ) {
        for (class, name) in [("SaveImage", "filename_prefix"), ("Image Save", "output_path"), ("Save Image w/Metadata", "path")] {
            if let Ok(Value::String(saved)) = input(class, name, json!(typed)) {
                // As ComfyUI reads it: folders, and a name.
                let whole = expanded(&saved);
                prop_assert!(whole.split('/').next() == Some("@zoe"), "{}", whole);
                prop_assert!(whole.split('/').all(|part| !part.is_empty() && part != ".." && part != "."), "{}", whole);
            }
        }
    }
}
