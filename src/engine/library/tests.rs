//! Tests of the library on real folders of tiny files.

use super::*;
use protocol::Sampler;
use std::os::unix::fs::symlink;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("easel-library-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn diffusers(&self, name: &str, channels: usize, scheduler: &str) {
        self.write(&format!("{name}/model_index.json"), b"{}");
        self.write(&format!("{name}/unet/diffusion_pytorch_model.safetensors"), &unet(channels));
        self.write(&format!("{name}/unet/config.json"), br#"{"sample_size":32,"time_cond_proj_dim":null}"#);
        self.write(&format!("{name}/vae/config.json"), br#"{"block_out_channels":[1,2,3,4]}"#);
        let scheduler = format!(r#"{{"_class_name":"{scheduler}"}}"#);
        self.write(&format!("{name}/scheduler/scheduler_config.json"), scheduler.as_bytes());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A safetensors file of empty tensors.
fn file(lines: &[(&str, &str)]) -> Vec<u8> {
    let lines: Vec<String> = lines
        .iter()
        .map(|(name, shape)| format!(r#""{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,0]}}"#))
        .collect();
    let header = format!("{{{}}}", lines.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

fn unet(channels: usize) -> Vec<u8> {
    file(&[
        ("conv_in.weight", &format!("0,{channels},3,3")),
        ("time_embedding.linear_1.weight", "0"),
        ("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", "0"),
    ])
}

fn single() -> Vec<u8> {
    file(&[
        ("model.diffusion_model.input_blocks.0.0.weight", "0,4,3,3"),
        ("first_stage_model.decoder.conv_in.weight", "0"),
        ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", "0"),
    ])
}

/// Ids of the models that are not embedded.
fn ids(library: &Library) -> Vec<&str> {
    library.entries.iter().filter(|e| !e.info.embedded).map(|e| e.info.id.as_str()).collect()
}

#[test]
fn models_are_found_by_their_headers() {
    let folder = Folder::new("found");
    folder.diffusers("Little Painter", 4, "PNDMScheduler");
    folder.diffusers("deep/down/inpainting", 9, "PNDMScheduler");
    folder.diffusers("quick", 4, "LCMScheduler");
    folder.write("a/Dream Shaper.SAFETENSORS", &single());
    folder.write("b/dream-shaper.safetensors", &single());
    folder.write("readme.txt", b"hello");
    folder.write("half.safetensors.part", &single());
    fs::hard_link(folder.0.join("b/dream-shaper.safetensors"), folder.0.join("b/same.safetensors")).unwrap();
    let library = Library::scan(&folder.0);
    assert_eq!(ids(&library), ["little-painter", "dream-shaper", "b-dream-shaper", "inpainting", "quick"]);
    assert!(library.refused.is_empty(), "{:?}", library.refused);
    let painter = &library.get("little-painter").unwrap().info;
    assert_eq!((painter.native, painter.family.as_str()), ((256, 256), "sd15"));
    assert!(!painter.samplers.contains(&Sampler::Lcm));
    assert!(library.get("inpainting").unwrap().info.inpaint_channels);
    let quick = &library.get("quick").unwrap().info;
    assert_eq!((quick.defaults.sampler, quick.defaults.steps), (Sampler::Lcm, 4));
    assert_eq!(library.get("dream-shaper").unwrap().info.native, (512, 512));
}

#[test]
fn what_cannot_be_loaded_says_why() {
    let folder = Folder::new("refused");
    folder.write("page.safetensors", b"<!DOCTYPE html><html>log in</html>");
    folder.write("short.safetensors", &single()[..60]);
    folder.write("empty.safetensors", b"");
    folder.write("lora.safetensors", &file(&[("lora_unet_x.lora_up.weight", "0")]));
    folder.write("old.ckpt", b"PK");
    folder.write("bare/model_index.json", b"{}");
    symlink("/etc/passwd", folder.0.join("link.safetensors")).unwrap();
    symlink("/", folder.0.join("root")).unwrap();
    let library = Library::scan(&folder.0);
    assert!(ids(&library).is_empty());
    let reason = |name: &str| library.refused.iter().find(|(n, _)| n == name).map(|(_, why)| why.as_str()).unwrap_or_default();
    for (name, word) in [
        ("page.safetensors", "web page"),
        ("short.safetensors", "cut short"),
        ("empty.safetensors", "empty"),
        ("lora.safetensors", "LoRA"),
        ("old.ckpt", "pickle"),
        ("bare", "unet"),
        ("link.safetensors", "link"),
        ("root", "link"),
    ] {
        assert!(reason(name).contains(word), "{name}: {:?}", reason(name));
    }
    assert_eq!(library.refused.len(), 8);
}

#[test]
fn words_and_wishes_of_a_model_reach_its_card() {
    let folder = Folder::new("words");
    folder.diffusers("m", 4, "DDIMScheduler");
    folder.write(
        "m/vocabulary.json",
        r#"{"about":"Small landscapes.","chips":[{"group":"Sky","words":["red"]}],"surprises":["x"],"examples":["y"],
            "defaults":{"steps":16,"guidance":3,"sampler":"dpmpp2m","schedule":"plain"},"more":1}"#
            .as_bytes(),
    );
    let library = Library::scan(&folder.0);
    let info = &library.get("m").unwrap().info;
    assert_eq!((info.about.as_str(), info.vocabulary[0].group.as_str()), ("Small landscapes.", "Sky"));
    assert_eq!((info.defaults.steps, info.defaults.guidance, info.presets[0].1), (16, 3.0, 8));
}

#[test]
fn no_folder_is_no_model() {
    assert!(ids(&Library::scan(Path::new("/nowhere/at/all"))).is_empty());
}
