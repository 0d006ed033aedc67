//! The families of models that this engine runs, as one table: name, how to tell it, how to load it. Telling
//! looks at names and shapes of tensors and at nothing else. Knows no folders and no files.

use crate::{
    EngineError, Pipeline,
    device::Device,
    embedded,
    library::Source,
    pipelines::stable_diffusion::{Parts, StableDiffusion},
    text::{self, Tokenizer},
    weights::{self, Tensors, folder::Folder},
};
use std::{ops::ControlFlow, path::Path};

/// Hears of (bytes read, bytes to read) while a model is loaded; breaks it off.
pub type OnLoad<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Loads a model onto a device.
pub type Load = fn(&Source, &Device, &mut OnLoad<'_>) -> Result<Box<dyn Pipeline>, EngineError>;

/// Counts tokens, without the rest of the model: prompts are counted while a job has the pipeline.
pub trait Counter: Send {
    /// Tokens without begin and end, and the chunks that they fill (at least 1).
    fn count(&self, prompt: &str) -> (u32, u32);
}

/// One family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name in [`protocol::ModelInfo::family`].
    pub name: &'static str,
    /// Takes mask and masked picture as extra channels.
    pub inpaint_channels: bool,
    /// Whether these are the weights of such a model: of its denoiser's folder, or of its single file.
    pub detect: fn(&Tensors) -> bool,
    /// Loads it onto a device.
    pub load: Load,
    /// Reads its tokenizer alone.
    pub counter: fn(&Source) -> Result<Box<dyn Counter>, EngineError>,
}

/// Every family, in the order in which they are tried.
pub const FAMILIES: [Family; 2] = [
    Family {
        name: "sd15",
        inpaint_channels: false,
        detect: |tensors| is_sd1(tensors) && input_channels(tensors) == Some(4),
        load: load_sd15,
        counter: counter_sd15,
    },
    Family {
        name: "sd15-inpaint",
        inpaint_channels: true,
        detect: |tensors| is_sd1(tensors) && input_channels(tensors) == Some(9),
        load: load_sd15,
        counter: counter_sd15,
    },
];

/// Prefix of the denoiser in a single file of Stable Diffusion 1.x.
const SINGLE: &str = "model.diffusion_model.";

fn load_sd15(source: &Source, device: &Device, on_load: &mut OnLoad<'_>) -> Result<Box<dyn Pipeline>, EngineError> {
    let parts = match layout(source) {
        Layout::Folder(folder) => Parts::of_folder(&folder)?,
        Layout::File(path) => Parts::of_single_file(&weights::safetensors::open(path)?)?,
    };
    Ok(Box::new(StableDiffusion::load(parts, device.backend()?, on_load)?))
}

fn counter_sd15(source: &Source) -> Result<Box<dyn Counter>, EngineError> {
    let tokenizer = match layout(source) {
        Layout::Folder(folder) => Parts::tokenizer(&folder)?,
        Layout::File(_) => Tokenizer::clip(),
    };
    Ok(Box::new(tokenizer))
}

impl Counter for Tokenizer {
    fn count(&self, prompt: &str) -> (u32, u32) {
        let counted = text::count(prompt, self);
        (counted.tokens, counted.chunks)
    }
}

/// The two layouts of a model's files.
enum Layout<'a> {
    Folder(Folder),
    File(&'a Path),
}

fn layout(source: &Source) -> Layout<'_> {
    match source {
        Source::Folder(dir) => Layout::Folder(Folder::Disk(dir.clone())),
        Source::Embedded => Layout::Folder(Folder::Static(embedded::file)),
        Source::File(path) => Layout::File(path),
    }
}

/// The family of these weights, or a sentence on what they are instead.
pub fn identify(tensors: &Tensors) -> Result<&'static Family, String> {
    static TABLE: [Family; 2] = FAMILIES;
    TABLE.iter().find(|family| (family.detect)(tensors)).ok_or_else(|| foreign(tensors))
}

/// Whether the denoiser is a U-Net with text attention and nothing more, in either layout.
fn is_sd1(tensors: &Tensors) -> bool {
    if tensors.contains(&format!("{SINGLE}input_blocks.0.0.weight")) {
        return tensors.contains("first_stage_model.decoder.conv_in.weight")
            && tensors.contains("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight")
            && !tensors.contains(&format!("{SINGLE}label_emb.0.0.weight"));
    }
    tensors.contains("conv_in.weight")
        && tensors.contains("time_embedding.linear_1.weight")
        && tensors.names().any(|n| n.starts_with("mid_block.attentions.") && n.contains(".attn2.to_k"))
        && !tensors.contains("add_embedding.linear_1.weight")
        && !tensors.contains("controlnet_cond_embedding.conv_in.weight")
}

/// Channels that the denoiser takes.
fn input_channels(tensors: &Tensors) -> Option<usize> {
    let weight = tensors.get(&format!("{SINGLE}input_blocks.0.0.weight")).or_else(|| tensors.get("conv_in.weight"))?;
    weight.dims.get(1).copied()
}

/// Part of a tensor's name → what has such tensors. The first that fits is told.
const FOREIGN: [(&str, &str); 14] = [
    ("lora_", "A LoRA: it changes a model and is none by itself."),
    ("lora.", "A LoRA: it changes a model and is none by itself."),
    ("controlnet_cond_embedding.", "A ControlNet, which this engine does not run."),
    ("control_model.", "A ControlNet, which this engine does not run."),
    ("conditioner.embedders.", "A Stable Diffusion XL model, which this engine does not run yet."),
    ("add_embedding.", "A Stable Diffusion XL model, which this engine does not run yet."),
    ("cond_stage_model.model.", "A Stable Diffusion 2 file, which this engine does not run yet."),
    ("double_blocks.", "A FLUX model, which this engine does not run yet."),
    ("single_transformer_blocks.", "A FLUX model, which this engine does not run yet."),
    ("joint_blocks.", "A Stable Diffusion 3 model, which this engine does not run yet."),
    ("transformer_blocks.", "A transformer model of a family that this engine does not run yet."),
    ("text_model.encoder.", "A text encoder on its own; a model needs the denoiser and the decoder too."),
    ("post_quant_conv.", "A VAE on its own; a model needs the denoiser and the text encoder too."),
    ("model.diffusion_model.", "A denoiser without its text encoder or decoder, or of a family that this engine does not run."),
];

fn foreign(tensors: &Tensors) -> String {
    // A denoiser with extra channels beyond the two kinds says so itself.
    if is_sd1(tensors)
        && let Some(channels) = input_channels(tensors)
    {
        return format!("A Stable Diffusion denoiser of {channels} input channels; 4 and 9 can be run.");
    }
    let found = FOREIGN.iter().find(|(part, _)| tensors.names().any(|name| name.contains(part)));
    found.map_or("Not a model of a family that this engine runs.", |(_, what)| what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Bytes;

    /// Tensors of these names and shapes, without contents.
    fn tensors(list: &[(&str, &str)]) -> Tensors {
        let lines: Vec<String> = list
            .iter()
            .map(|(name, shape)| format!(r#""{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,0]}}"#))
            .collect();
        let header = format!("{{{}}}", lines.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        weights::safetensors::parse(Bytes::Static(bytes.leak())).unwrap()
    }

    fn folder(channels: usize) -> Vec<(&'static str, String)> {
        vec![
            ("conv_in.weight", format!("0,{channels},3,3")),
            ("time_embedding.linear_1.weight", "0".into()),
            ("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", "0".into()),
        ]
    }

    fn family(list: &[(&str, String)]) -> Result<&'static str, String> {
        let list: Vec<(&str, &str)> = list.iter().map(|(n, s)| (*n, s.as_str())).collect();
        identify(&tensors(&list)).map(|f| f.name)
    }

    #[test]
    fn families_are_told_by_names_and_shapes() {
        assert_eq!(family(&folder(4)), Ok("sd15"));
        assert_eq!(family(&folder(9)), Ok("sd15-inpaint"));
        assert!(family(&folder(8)).unwrap_err().contains("8 input channels"));
        let mut xl = folder(4);
        xl.push(("add_embedding.linear_1.weight", "0".into()));
        assert!(family(&xl).unwrap_err().contains("XL"));
        let single = [
            ("model.diffusion_model.input_blocks.0.0.weight", "0,9,3,3"),
            ("first_stage_model.decoder.conv_in.weight", "0"),
            ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", "0"),
        ];
        assert_eq!(identify(&tensors(&single)).map(|f| f.name), Ok("sd15-inpaint"));
        assert!(identify(&tensors(&single[..1])).is_err());
    }

    #[test]
    fn what_is_no_model_is_named() {
        for (name, word) in [
            ("lora_unet_down_blocks_0.lora_up.weight", "LoRA"),
            ("decoder.up.0.post_quant_conv.weight", "VAE"),
            ("text_model.encoder.layers.0.mlp.fc1.weight", "text encoder"),
            ("double_blocks.0.img_attn.qkv.weight", "FLUX"),
            ("layer.weight", "Not a model"),
        ] {
            assert!(identify(&tensors(&[(name, "0")])).is_err_and(|e| e.contains(word)), "{name}");
        }
    }

    #[test]
    fn damaged_headers_do_not_panic() {
        let whole = br#"{"__metadata__":{"format":"pt"},"conv_in.weight":{"dtype":"F16","shape":[1,4,1,1],"data_offsets":[0,8]}}        "#;
        const MARKS: &[u8] = b"0123456789,{}[]\":-";
        let mut state = 5u64;
        let mut random = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        // Leaked, because bytes of a program live for ever; 20,000 of them are 3 MB.
        for _ in 0..20_000 {
            let mut file = [&(whole.len() as u64).to_le_bytes()[..], whole, &[0; 8]].concat();
            for _ in 0..=random(5) {
                let at = random(file.len());
                match random(4) {
                    0 => file[at] = random(256) as u8,
                    1 => file[at] ^= 1 << random(8),
                    2 => file[at] = MARKS[random(MARKS.len())],
                    _ => file.truncate(at.max(1)),
                }
            }
            if let Ok(tensors) = weights::safetensors::parse(Bytes::Static(file.leak())) {
                let _ = identify(&tensors);
                let _: usize = tensors.names().filter_map(|n| tensors.get(n)).map(|t| t.bytes().len()).sum();
            }
        }
    }
}
