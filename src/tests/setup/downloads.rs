//! Sets of models from a server in fair weather and foul: only whole and right files appear, downloads go on where they
//! stopped, and a token goes to whom it belongs.

use super::{
    server::Server,
    world::{World, kill_group},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A small safetensors file, with some weight to it.
fn model(seed: u8) -> Vec<u8> {
    let header = br#"{"a":{"dtype":"U8","shape":[300000],"data_offsets":[0,300000]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend((0..300_000u32).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)));
    file
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A world whose sets are files of a server of its own.
struct Shop {
    world: World,
    server: Server,
    _files: TempDir,
}

impl Shop {
    /// Sets as lines `id path extra-toml`; every path is a file there.
    fn open(files: &[(&str, &str, &str)]) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::of_folder(folder.path());
        let mut sets = String::new();
        for (i, (id, path, more)) in files.iter().enumerate() {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, model(i as u8)).unwrap();
            if i == 0 || files[i - 1].0 != *id {
                sets += &format!("[[set]]\nid = \"{id}\"\nname = \"{id}\"\nabout = \"A.\"\nlicence = \"MIT\"\n");
            }
            sets += &format!("[[set.file]]\nurl = \"{}\"\npath = \"{path}\"\n{more}\n", server.url(&format!("/{path}")));
        }
        let world = World::new();
        fs::write(world.setup("models/sets.toml"), sets).unwrap();
        Shop { world, server, _files: folder }
    }

    fn get(&self, picks: &str, more: &[(&str, &str)]) -> super::world::Ended {
        self.world.run("models", "install", &[&[("EASEL_PICKS", picks)], more].concat())
    }

    fn model(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.world.at("models-of-all").join(path)).ok()
    }

    /// What lies in a folder of the models.
    fn listed(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.world.at("models-of-all").join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn only_what_is_missing_is_got_and_counted() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", ""), ("a", "loras/2.safetensors", ""), ("b", "vae/3.safetensors", "")]);
    shop.world.put("models-of-all/loras/1.safetensors", "there already");
    let got = shop.get("a\nb", &[]).ok();
    assert!(got.out.contains("1 of 3 files are there"), "{}", got.out);
    assert_eq!(got.steps(), ["1/2 Getting 2.safetensors", "2/2 Getting 3.safetensors"]);
    assert_eq!((shop.model("loras/2.safetensors"), shop.listed("vae")), (Some(model(1)), vec!["3.safetensors".to_owned()]));
    let asked = shop.server.asked().len();
    assert!(shop.get("a\nb", &[]).ok().out.contains("3 of 3 files are there"));
    assert_eq!(shop.server.asked().len(), asked);
    shop.get("c", &[]).failed(3, "There is no set \"c\"");
    shop.get("", &[]).failed(3, "EASEL_PICKS is not set");
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "")]);
    shop.server.cut(&[100_000, 50_000]);
    shop.get("a", &[]).ok();
    assert_eq!(shop.model("loras/1.safetensors"), Some(model(0)));
    let ranges: Vec<_> = shop.server.asked().into_iter().map(|(_, range, _)| range).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=150000-".into())]);
    assert_eq!(shop.listed("loras"), ["1.safetensors"], "nothing is left beside it");
}

#[test]
fn another_version_of_a_file_is_not_joined_to_the_first() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "")]);
    shop.world.put("models-of-all/loras/1.safetensors.part", "the beginning of another version");
    shop.world.put("models-of-all/loras/1.safetensors.part.head", "HTTP/1.1 200 OK\r\nETag: \"v0\"\r\n\r\n");
    shop.get("a", &[]).ok();
    assert_eq!(shop.model("loras/1.safetensors"), Some(model(0)));
}

#[test]
fn what_is_not_the_file_never_gets_its_name() {
    let wrong = format!("sha256 = \"{}\"", sha256(b"another"));
    let right = format!("sha256 = \"{}\"", sha256(&model(1)));
    let shop = Shop::open(&[("wrong", "loras/1.safetensors", &wrong), ("right", "loras/2.safetensors", &right)]);
    shop.get("wrong", &[]).failed(1, "1.safetensors: its SHA-256 is not");
    shop.get("right", &[]).ok();
    assert_eq!(shop.listed("loras"), ["2.safetensors"]);
    let shop = Shop::open(&[("a", "loras/1.safetensors", "")]);
    for (body, why) in [
        ("<!DOCTYPE html><title>Log in</title>", "the server sent a web page"),
        ("\n <HTML>", "the server sent a web page"),
        ("{\"error\": \"Access denied\"}", "it probably asks for a token"),
        ("version https://git-lfs.github.com/spec/v1", "this is no safetensors file"),
    ] {
        shop.server.answer_with(Some(body));
        shop.get("a", &[]).failed(1, why);
        assert_eq!(shop.listed("loras"), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn what_a_hub_states_about_a_file_is_held_against_it() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "")]);
    shop.server.say(&format!("X-Linked-Etag: \"{}\"\r\n", sha256(b"another")));
    shop.get("a", &[]).failed(1, "its SHA-256 is not");
    shop.server.say(&format!("X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n", sha256(&model(0)), model(0).len() + 1));
    shop.get("a", &[]).failed(1, "bytes came instead of");
    shop.server.say(&format!("X-Linked-Etag: \"{}\"\r\n", sha256(&model(0))));
    shop.get("a", &[]).ok();
}

#[test]
fn a_token_is_asked_for_only_when_needed_and_goes_to_no_other_host() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "token = \"HF_TOKEN\""), ("b", "loras/2.safetensors", "")]);
    shop.get("b", &[]).ok();
    shop.get("a", &[]).failed(3, "It goes into HF_TOKEN.");
    // The hub sends on to a storage of another name, which refuses a token that is not its own.
    let storage = Server::of_folder(shop._files.path());
    storage.want_none();
    let other_name = storage.url("/loras/1.safetensors").replace("127.0.0.1", "localhost");
    shop.server.move_to("1.safetensors", other_name);
    let got = shop.get("a", &[("HF_TOKEN", "hf_canary")]).ok();
    assert!(!got.out.contains("hf_canary"), "{}", got.out);
    let sent = shop.server.asked().pop().unwrap().2;
    assert_eq!((sent.as_deref(), storage.asked()[0].2.as_deref()), (Some("Bearer hf_canary"), None));
    assert_eq!(shop.listed("loras"), ["1.safetensors", "2.safetensors"], "no file with the token is left");
}

#[test]
fn a_wrong_token_is_told_and_tried_once() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "token = \"HF_TOKEN\"")]);
    shop.server.want("Bearer right");
    shop.get("a", &[("HF_TOKEN", "wrong")]).failed(1, "this file needs a token, or its licence");
    assert_eq!(shop.server.asked().len(), 1);
}

/// The token is in no command line while a download is under way.
#[test]
fn a_token_is_in_no_command_line() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "token = \"HF_TOKEN\"")]);
    // Many short connections, to have time to look.
    shop.server.cut(&[4_000; 60]);
    let mut child = shop.world.command("models", "install", &[("EASEL_PICKS", "a"), ("HF_TOKEN", "hf_canary")]).spawn().unwrap();
    let (mut seen, mut curls) = (Vec::new(), 0);
    while child.try_wait().unwrap().is_none() {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(Path::new("/proc").join(process.file_name()).join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            curls += usize::from(line.starts_with("curl\0") && line.contains("1.safetensors"));
            if line.contains("hf_canary") {
                seen.push(line);
            }
        }
    }
    assert!(seen.is_empty(), "{seen:?}");
    assert!(curls > 0, "nobody looked in time");
    println!("curl was seen {curls} times, the token never");
}

/// A download takes hours, and whatever ends it ends the script too.
#[test]
fn a_token_is_in_no_file_after_a_download_was_killed() {
    let shop = Shop::open(&[("a", "loras/1.safetensors", "token = \"HF_TOKEN\"")]);
    // Of a version that kept it in a file.
    shop.world.put("models-of-all/loras/0.safetensors.part.auth", "Authorization: Bearer hf_canary");
    let held = shop.server.hold();
    let mut child = shop.world.command("models", "install", &[("EASEL_PICKS", "a"), ("HF_TOKEN", "hf_canary")]).spawn().unwrap();
    let group = child.id();
    let begun = Instant::now();
    let curl = |pid: &str| {
        let read = |what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let ours = read("stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(2) == Some(&group.to_string()));
        ours && read("cmdline").starts_with("curl\0")
    };
    while !fs::read_dir("/proc").unwrap().flatten().any(|e| e.file_name().to_str().is_some_and(curl)) {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "curl never ran");
    }
    kill_group(group);
    child.wait().unwrap();
    drop(held);
    for name in shop.listed("loras") {
        let text = fs::read(shop.world.at("models-of-all/loras").join(&name)).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("hf_canary"), "{name}");
    }
}
