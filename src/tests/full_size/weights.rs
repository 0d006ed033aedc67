//! A Stable Diffusion 1.5 of full size with generated weights, in diffusers' layout, f16, 2.1 GB: for figures of time and
//! memory. Its pictures are noise. Knows the names and shapes of the family; nothing of the engine.
//!
//! Weights keep activations near unit variance, so that nothing overflows and no timing profits from zeros or denormals.

use half::f16;
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

/// How a tensor is filled.
#[derive(Clone, Copy)]
enum Fill {
    /// Normal, by its fan-in.
    Matrix(usize),
    /// All ones.
    Ones,
    /// Small.
    Bias,
}

/// Tensors of one file, in order.
#[derive(Default)]
struct Tensors(Vec<(String, Vec<usize>, Fill)>);

impl Tensors {
    fn weight(&mut self, name: &str, shape: &[usize]) {
        self.0.push((format!("{name}.weight"), shape.to_vec(), Fill::Matrix(shape[1..].iter().product())));
    }

    fn bias(&mut self, name: &str, n: usize) {
        self.0.push((format!("{name}.bias"), vec![n], Fill::Bias));
    }

    fn linear(&mut self, name: &str, from: usize, to: usize) {
        self.weight(name, &[to, from]);
        self.bias(name, to);
    }

    fn conv(&mut self, name: &str, from: usize, to: usize, size: usize) {
        self.weight(name, &[to, from, size, size]);
        self.bias(name, to);
    }

    fn norm(&mut self, name: &str, n: usize) {
        self.0.push((format!("{name}.weight"), vec![n], Fill::Ones));
        self.bias(name, n);
    }

    /// A residual block; `time` is the width of the time embedding, where there is one.
    fn resnet(&mut self, name: &str, from: usize, to: usize, time: Option<usize>) {
        self.norm(&format!("{name}.norm1"), from);
        self.conv(&format!("{name}.conv1"), from, to, 3);
        if let Some(time) = time {
            self.linear(&format!("{name}.time_emb_proj"), time, to);
        }
        self.norm(&format!("{name}.norm2"), to);
        self.conv(&format!("{name}.conv2"), to, to, 3);
        if from != to {
            self.conv(&format!("{name}.conv_shortcut"), from, to, 1);
        }
    }

    /// A spatial transformer of one layer.
    fn transformer(&mut self, name: &str, width: usize, text: usize) {
        self.norm(&format!("{name}.norm"), width);
        self.conv(&format!("{name}.proj_in"), width, width, 1);
        let block = format!("{name}.transformer_blocks.0");
        for (attention, from) in [("attn1", width), ("attn2", text)] {
            self.weight(&format!("{block}.{attention}.to_q"), &[width, width]);
            self.weight(&format!("{block}.{attention}.to_k"), &[width, from]);
            self.weight(&format!("{block}.{attention}.to_v"), &[width, from]);
            self.linear(&format!("{block}.{attention}.to_out.0"), width, width);
        }
        (1..=3).for_each(|i| self.norm(&format!("{block}.norm{i}"), width));
        self.linear(&format!("{block}.ff.net.0.proj"), width, 8 * width);
        self.linear(&format!("{block}.ff.net.2"), 4 * width, width);
        self.conv(&format!("{name}.proj_out"), width, width, 1);
    }

    fn write(self, path: &Path) {
        let (mut header, mut at) = (Map::new(), 0);
        for (name, shape, _) in &self.0 {
            let end = at + 2 * shape.iter().product::<usize>();
            header.insert(name.clone(), json!({ "dtype": "F16", "shape": shape, "data_offsets": [at, end] }));
            at = end;
        }
        let header = Value::Object(header).to_string();
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        let mut noise = Noise(1);
        for (_, shape, fill) in self.0 {
            let n = shape.iter().product();
            match fill {
                Fill::Matrix(fan_in) => noise.fill(&mut file, n, 1.0 / (fan_in as f32).sqrt()),
                Fill::Ones => (0..n).for_each(|_| file.write_all(&f16::ONE.to_le_bytes()).unwrap()),
                Fill::Bias => noise.fill(&mut file, n, 0.02),
            }
        }
        file.flush().unwrap();
    }
}

/// A xorshift generator.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Values of this deviation, drawn from 4096 that are the sum of four evenly spread ones.
    fn fill(&mut self, file: &mut impl std::io::Write, n: usize, deviation: f32) {
        let mut even = || (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let table: Vec<[u8; 2]> = (0..4096)
            .map(|_| f16::from_f32((even() + even() + even() + even()) * 3f32.sqrt() * deviation).to_le_bytes())
            .collect();
        let mut bytes = Vec::with_capacity(1 << 16);
        let mut left = n;
        while left > 0 {
            bytes.clear();
            for _ in 0..left.min(1 << 15).div_ceil(5) {
                let word = self.next();
                (0..5).for_each(|i| bytes.extend(table[(word >> (12 * i)) as usize & 4095]));
            }
            let take = left.min(bytes.len() / 2);
            file.write_all(&bytes[..2 * take]).unwrap();
            left -= take;
        }
    }
}

/// Channels of the denoiser's levels, and what else it is made of.
const UNET: [usize; 4] = [320, 640, 1280, 1280];
const TIME: usize = 1280;
const TEXT: usize = 768;
/// Channels of the autoencoder's levels.
const VAE: [usize; 4] = [128, 256, 512, 512];

fn unet() -> Tensors {
    let mut t = Tensors::default();
    t.conv("conv_in", 4, UNET[0], 3);
    t.linear("time_embedding.linear_1", UNET[0], TIME);
    t.linear("time_embedding.linear_2", TIME, TIME);
    let (mut width, mut skips) = (UNET[0], vec![UNET[0]]);
    for (level, to) in UNET.into_iter().enumerate() {
        for i in 0..2 {
            t.resnet(&format!("down_blocks.{level}.resnets.{i}"), width, to, Some(TIME));
            if level < 3 {
                t.transformer(&format!("down_blocks.{level}.attentions.{i}"), to, TEXT);
            }
            width = to;
            skips.push(width);
        }
        if level < 3 {
            t.conv(&format!("down_blocks.{level}.downsamplers.0.conv"), width, width, 3);
            skips.push(width);
        }
    }
    t.resnet("mid_block.resnets.0", width, width, Some(TIME));
    t.transformer("mid_block.attentions.0", width, TEXT);
    t.resnet("mid_block.resnets.1", width, width, Some(TIME));
    for (level, to) in UNET.into_iter().rev().enumerate() {
        for i in 0..3 {
            t.resnet(&format!("up_blocks.{level}.resnets.{i}"), width + skips.pop().unwrap(), to, Some(TIME));
            if level > 0 {
                t.transformer(&format!("up_blocks.{level}.attentions.{i}"), to, TEXT);
            }
            width = to;
        }
        if level < 3 {
            t.conv(&format!("up_blocks.{level}.upsamplers.0.conv"), width, width, 3);
        }
    }
    t.norm("conv_norm_out", width);
    t.conv("conv_out", width, 4, 3);
    t
}

fn vae() -> Tensors {
    let mut t = Tensors::default();
    t.conv("encoder.conv_in", 3, VAE[0], 3);
    let mut width = VAE[0];
    for (level, to) in VAE.into_iter().enumerate() {
        for i in 0..2 {
            t.resnet(&format!("encoder.down_blocks.{level}.resnets.{i}"), width, to, None);
            width = to;
        }
        if level < 3 {
            t.conv(&format!("encoder.down_blocks.{level}.downsamplers.0.conv"), width, width, 3);
        }
    }
    let middle = |t: &mut Tensors, part: &str| {
        (0..2).for_each(|i| t.resnet(&format!("{part}.mid_block.resnets.{i}"), VAE[3], VAE[3], None));
        let attention = format!("{part}.mid_block.attentions.0");
        t.norm(&format!("{attention}.group_norm"), VAE[3]);
        for name in ["to_q", "to_k", "to_v", "to_out.0"] {
            t.linear(&format!("{attention}.{name}"), VAE[3], VAE[3]);
        }
    };
    middle(&mut t, "encoder");
    t.norm("encoder.conv_norm_out", width);
    t.conv("encoder.conv_out", width, 8, 3);
    t.conv("decoder.conv_in", 4, width, 3);
    middle(&mut t, "decoder");
    for (level, to) in VAE.into_iter().rev().enumerate() {
        for i in 0..3 {
            t.resnet(&format!("decoder.up_blocks.{level}.resnets.{i}"), width, to, None);
            width = to;
        }
        if level < 3 {
            t.conv(&format!("decoder.up_blocks.{level}.upsamplers.0.conv"), width, width, 3);
        }
    }
    t.norm("decoder.conv_norm_out", width);
    t.conv("decoder.conv_out", width, 3, 3);
    t.conv("quant_conv", 8, 8, 1);
    t.conv("post_quant_conv", 4, 4, 1);
    t
}

fn text_encoder() -> Tensors {
    let mut t = Tensors::default();
    t.weight("text_model.embeddings.token_embedding", &[49_408, TEXT]);
    t.weight("text_model.embeddings.position_embedding", &[77, TEXT]);
    for layer in (0..12).map(|i| format!("text_model.encoder.layers.{i}")) {
        for name in ["k_proj", "v_proj", "q_proj", "out_proj"] {
            t.linear(&format!("{layer}.self_attn.{name}"), TEXT, TEXT);
        }
        t.norm(&format!("{layer}.layer_norm1"), TEXT);
        t.linear(&format!("{layer}.mlp.fc1"), TEXT, 4 * TEXT);
        t.linear(&format!("{layer}.mlp.fc2"), 4 * TEXT, TEXT);
        t.norm(&format!("{layer}.layer_norm2"), TEXT);
    }
    t.norm("text_model.final_layer_norm", TEXT);
    t
}

/// Writes the model's folder.
pub(super) fn write(folder: &Path) {
    let json = |path: &str, value: Value| fs::write(folder.join(path), value.to_string()).unwrap();
    for part in ["unet", "vae", "text_encoder", "scheduler"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    json(
        "model_index.json",
        json!({
            "_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"], "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }),
    );
    json(
        "scheduler/scheduler_config.json",
        json!({
            "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "num_train_timesteps": 1000,
            "prediction_type": "epsilon", "timestep_spacing": "leading",
        }),
    );
    json(
        "unet/config.json",
        json!({
            "_class_name": "UNet2DConditionModel", "sample_size": 64, "in_channels": 4, "out_channels": 4, "cross_attention_dim": TEXT,
            "attention_head_dim": 8, "block_out_channels": UNET, "layers_per_block": 2, "norm_num_groups": 32,
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        }),
    );
    json(
        "vae/config.json",
        json!({
            "_class_name": "AutoencoderKL", "sample_size": 512, "in_channels": 3, "out_channels": 3, "latent_channels": 4,
            "block_out_channels": VAE, "layers_per_block": 2, "norm_num_groups": 32, "scaling_factor": 0.18215,
            "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
        }),
    );
    json(
        "text_encoder/config.json",
        json!({
            "architectures": ["CLIPTextModel"], "vocab_size": 49_408, "hidden_size": TEXT, "intermediate_size": 4 * TEXT,
            "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
            "eos_token_id": 2, "layer_norm_eps": 1e-5,
        }),
    );
    unet().write(&folder.join("unet/diffusion_pytorch_model.safetensors"));
    vae().write(&folder.join("vae/diffusion_pytorch_model.safetensors"));
    text_encoder().write(&folder.join("text_encoder/model.safetensors"));
}
