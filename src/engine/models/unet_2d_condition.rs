//! The denoiser of Stable Diffusion 1.x and 2.x (Rombach et al. 2022; diffusers: `UNet2DConditionModel`): noisy latents,
//! timestep and text to a prediction. Knows no sampler and no guidance.

use crate::{
    EngineError,
    nn::{
        attention::{self, Attention},
        layers::{Conv2d, Linear, Norm},
        resnet::{ResnetBlock2D, ResnetConfig},
    },
    ops::{Activation, Backend, Buf, Op, Shape, TimestepEmbedding},
    plan::{Graph, Planner},
    weights::{Loader, bad},
};
use serde::Deserialize;

/// Added to the variance in the norm before a transformer.
const TRANSFORMER_EPS: f32 = 1e-6;

/// `unet/config.json`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "fields are configuration keys")]
pub struct Config {
    pub in_channels: usize,
    pub out_channels: usize,
    pub block_out_channels: Vec<usize>,
    pub down_block_types: Vec<String>,
    pub up_block_types: Vec<String>,
    pub layers_per_block: usize,
    pub cross_attention_dim: usize,
    /// In spite of its name the number of heads, one for all blocks or one each.
    pub attention_head_dim: Heads,
    #[serde(default)]
    pub num_attention_heads: Option<Heads>,
    #[serde(default)]
    pub use_linear_projection: bool,
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    #[serde(default = "eps")]
    pub norm_eps: f32,
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    #[serde(default)]
    pub freq_shift: f32,
    #[serde(default = "one")]
    pub downsample_padding: usize,
    #[serde(default)]
    pub sample_size: Option<usize>,
    #[serde(default)]
    pub addition_embed_type: Option<String>,
    #[serde(default)]
    pub class_embed_type: Option<String>,
    #[serde(default)]
    pub time_cond_proj_dim: Option<usize>,
}

/// One number for all blocks, or one each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Heads {
    /// The same everywhere.
    All(usize),
    /// From the largest picture to the smallest.
    Each(Vec<usize>),
}

fn groups() -> usize {
    32
}

fn eps() -> f32 {
    1e-5
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

impl Config {
    /// The denoiser of every SD 1.x checkpoint; 9 channels in for inpainting.
    pub fn sd1(in_channels: usize) -> Config {
        let [cross_down, down] = ["CrossAttnDownBlock2D", "DownBlock2D"].map(String::from);
        let [cross_up, up] = ["CrossAttnUpBlock2D", "UpBlock2D"].map(String::from);
        Config {
            in_channels,
            out_channels: 4,
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: vec![cross_down.clone(), cross_down.clone(), cross_down, down],
            up_block_types: vec![up, cross_up.clone(), cross_up.clone(), cross_up],
            layers_per_block: 2,
            cross_attention_dim: 768,
            attention_head_dim: Heads::All(8),
            num_attention_heads: None,
            use_linear_projection: false,
            norm_num_groups: groups(),
            norm_eps: eps(),
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            downsample_padding: 1,
            sample_size: Some(64),
            addition_embed_type: None,
            class_embed_type: None,
            time_cond_proj_dim: None,
        }
    }

    fn heads(&self, block: usize) -> usize {
        match self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim) {
            Heads::All(n) => *n,
            Heads::Each(all) => all.get(block).copied().unwrap_or(0),
        }
    }

    /// Refuses what this network does not do, rather than doing something else.
    fn check(&self) -> Result<(), EngineError> {
        let levels = self.block_out_channels.len();
        if levels == 0 || self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return Err(bad("The denoiser's configuration contradicts itself: blocks and channels differ in number."));
        }
        if let Some(kind) = self.addition_embed_type.as_ref().or(self.class_embed_type.as_ref()) {
            return Err(bad(format!("The denoiser wants \"{kind}\" embeddings, which Stable Diffusion 1.x does not have.")));
        }
        if self.time_cond_proj_dim.is_some() {
            return Err(bad("The denoiser wants its guidance embedded, which is not offered yet."));
        }
        Ok(())
    }

    fn resnet(&self, inputs: usize, out: usize) -> ResnetConfig {
        let time = Some(4 * self.block_out_channels[0]);
        ResnetConfig { inputs, out, time, groups: self.norm_num_groups, eps: self.norm_eps }
    }
}

/// The denoiser.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Unet2DCondition {
    pub conv_in: Conv2d,
    /// `time_embedding.linear_1`, `time_embedding.linear_2`
    pub time_embedding: [Linear; 2],
    pub down_blocks: Vec<DownBlock>,
    pub mid_block: MidBlock,
    pub up_blocks: Vec<UpBlock>,
    pub conv_norm_out: Norm,
    pub conv_out: Conv2d,
    config: Config,
}

/// `down_blocks.i`
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct DownBlock {
    pub resnets: Vec<ResnetBlock2D>,
    /// As many as `resnets`, or none.
    pub attentions: Vec<Transformer2D>,
    /// `downsamplers.0.conv`
    pub downsampler: Option<Conv2d>,
}

/// `mid_block`
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct MidBlock {
    pub resnets: [ResnetBlock2D; 2],
    pub attention: Transformer2D,
}

/// `up_blocks.i`
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct UpBlock {
    pub resnets: Vec<ResnetBlock2D>,
    /// As many as `resnets`, or none.
    pub attentions: Vec<Transformer2D>,
    /// `upsamplers.0.conv`
    pub upsampler: Option<Conv2d>,
}

/// `attentions.j`: pixels as tokens, attending to each other and to the text.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Transformer2D {
    pub norm: Norm,
    pub proj_in: Linear,
    pub transformer_blocks: Vec<TransformerBlock>,
    pub proj_out: Linear,
}

/// `transformer_blocks.k`
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct TransformerBlock {
    pub norm1: Norm,
    pub attn1: Attention,
    pub norm2: Norm,
    pub attn2: Attention,
    pub norm3: Norm,
    /// `ff.net.0.proj` with its gates, `ff.net.2`
    pub ff: [Linear; 2],
}

/// Keys and values of the text for every cross-attention, in the order of the forward pass: computed once a run, since
/// the prompt does not change between steps.
#[derive(Clone, Debug)]
pub struct TextKv {
    packed: Vec<Buf>,
    tokens: usize,
}

/// Where the forward pass is in [`TextKv`].
struct TextReader<'a> {
    packed: std::slice::Iter<'a, Buf>,
    tokens: usize,
}

impl Unet2DCondition {
    /// Loads the denoiser.
    pub fn load(l: &mut Loader<'_>, config: Config) -> Result<Unet2DCondition, EngineError> {
        config.check()?;
        let widths = &config.block_out_channels;
        let (first, last, time) = (widths[0], widths[widths.len() - 1], 4 * widths[0]);
        Ok(Unet2DCondition {
            conv_in: Conv2d::load(l, "conv_in", 3, config.in_channels, first)?,
            time_embedding: [
                Linear::load(l, "time_embedding.linear_1", first, time)?,
                Linear::load(l, "time_embedding.linear_2", time, time)?,
            ],
            down_blocks: (0..widths.len()).map(|i| DownBlock::load(l, &config, i)).collect::<Result<_, _>>()?,
            mid_block: MidBlock {
                resnets: [
                    ResnetBlock2D::load(l, "mid_block.resnets.0", config.resnet(last, last))?,
                    ResnetBlock2D::load(l, "mid_block.resnets.1", config.resnet(last, last))?,
                ],
                attention: Transformer2D::load(l, "mid_block.attentions.0", &config, last, config.heads(widths.len() - 1))?,
            },
            up_blocks: (0..widths.len()).map(|i| UpBlock::load(l, &config, i)).collect::<Result<_, _>>()?,
            conv_norm_out: Norm::group(l, "conv_norm_out", first, config.norm_num_groups, config.norm_eps)?,
            conv_out: Conv2d::load(l, "conv_out", 3, first, config.out_channels)?,
            config,
        })
    }

    /// Sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every transformer block, in the order of the forward pass.
    fn transformer_blocks(&self) -> impl Iterator<Item = &TransformerBlock> {
        let down = self.down_blocks.iter().flat_map(|b| &b.attentions);
        let up = self.up_blocks.iter().flat_map(|b| &b.attentions);
        down.chain([&self.mid_block.attention]).chain(up).flat_map(|t| &t.transformer_blocks)
    }

    /// Buffers for the text's keys and values: `n` sequences of `tokens`.
    pub fn keep_text(&self, planner: &mut Planner, backend: &dyn Backend, n: usize, tokens: usize) -> TextKv {
        let packed = self.transformer_blocks().map(|b| b.attn2.keep(planner, backend, n, tokens)).collect();
        TextKv { packed, tokens }
    }

    /// Fills them from `text [n, 1, tokens, cross_attention_dim]`. A program of its own, run once.
    pub fn pack_text(&self, g: &mut Graph<'_>, text: Buf, kv: &TextKv) {
        for (block, dst) in self.transformer_blocks().zip(&kv.packed) {
            block.attn2.pack(g, text, *dst);
        }
    }

    /// `sample [n, h, w, in_channels]`, `timesteps [n]` and packed text; to a prediction `[n, h, w, out_channels]`.
    pub fn forward(&self, g: &mut Graph<'_>, sample: Buf, timesteps: Buf, kv: &TextKv) -> Buf {
        let mut text = TextReader { packed: kv.packed.iter(), tokens: kv.tokens };
        // 1. Time.
        let dst = g.buffer(Shape::new(sample.shape.n, 1, 1, self.config.block_out_channels[0]));
        let (flip_sin_to_cos, freq_shift) = (self.config.flip_sin_to_cos, self.config.freq_shift);
        g.push(Op::TimestepEmbedding(TimestepEmbedding { dst, timesteps, flip_sin_to_cos, freq_shift }));
        let time = g.linear(dst, &self.time_embedding[0], Activation::Silu);
        let time = g.linear(time, &self.time_embedding[1], Activation::None);
        let time = g.activate(time, Activation::Silu);
        // 2. Down, keeping every result for the way up.
        let mut x = g.conv2d(sample, &self.conv_in);
        let mut skips = vec![x];
        for block in &self.down_blocks {
            x = block.forward(g, x, time, &mut text, &mut skips, self.config.downsample_padding);
        }
        // 3. The middle.
        x = self.mid_block.resnets[0].forward(g, x, Some(time));
        x = self.mid_block.attention.forward(g, x, &mut text);
        x = self.mid_block.resnets[1].forward(g, x, Some(time));
        // 4. Up, each block with what the way down had at its size.
        for block in &self.up_blocks {
            x = block.forward(g, x, time, &mut text, &mut skips);
        }
        // 5. Out.
        let x = g.group_norm_silu(x, &self.conv_norm_out);
        g.conv2d(x, &self.conv_out)
    }
}

impl DownBlock {
    fn load(l: &mut Loader<'_>, config: &Config, i: usize) -> Result<DownBlock, EngineError> {
        let widths = &config.block_out_channels;
        let (inputs, out) = (widths[i.saturating_sub(1)], widths[i]);
        let name = format!("down_blocks.{i}");
        let attention = has_attention(&config.down_block_types[i], ["DownBlock2D", "CrossAttnDownBlock2D"])?;
        let layers = config.layers_per_block;
        Ok(DownBlock {
            resnets: (0..layers)
                .map(|j| {
                    ResnetBlock2D::load(l, &format!("{name}.resnets.{j}"), config.resnet(if j == 0 { inputs } else { out }, out))
                })
                .collect::<Result<_, _>>()?,
            attentions: (0..if attention { layers } else { 0 })
                .map(|j| Transformer2D::load(l, &format!("{name}.attentions.{j}"), config, out, config.heads(i)))
                .collect::<Result<_, _>>()?,
            downsampler: (i + 1 < widths.len())
                .then(|| Conv2d::load(l, &format!("{name}.downsamplers.0.conv"), 3, out, out))
                .transpose()?,
        })
    }

    fn forward(
        &self,
        g: &mut Graph<'_>,
        mut x: Buf,
        time: Buf,
        text: &mut TextReader<'_>,
        skips: &mut Vec<Buf>,
        padding: usize,
    ) -> Buf {
        for (j, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(g, x, Some(time));
            if let Some(attention) = self.attentions.get(j) {
                x = attention.forward(g, x, text);
            }
            skips.push(x);
        }
        if let Some(conv) = &self.downsampler {
            x = g.downsample(x, conv, padding);
            skips.push(x);
        }
        x
    }
}

impl UpBlock {
    fn load(l: &mut Loader<'_>, config: &Config, i: usize) -> Result<UpBlock, EngineError> {
        let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let last = widths.len() - 1;
        let (below, out, above) = (widths[i.saturating_sub(1)], widths[i], widths[(i + 1).min(last)]);
        let name = format!("up_blocks.{i}");
        let attention = has_attention(&config.up_block_types[i], ["UpBlock2D", "CrossAttnUpBlock2D"])?;
        let layers = config.layers_per_block + 1;
        let resnet = |l: &mut Loader<'_>, j: usize| {
            let comes = if j == 0 { below } else { out };
            let skip = if j + 1 == layers { above } else { out };
            ResnetBlock2D::load(l, &format!("{name}.resnets.{j}"), config.resnet(comes + skip, out))
        };
        Ok(UpBlock {
            resnets: (0..layers).map(|j| resnet(l, j)).collect::<Result<_, _>>()?,
            attentions: (0..if attention { layers } else { 0 })
                .map(|j| Transformer2D::load(l, &format!("{name}.attentions.{j}"), config, out, config.heads(last - i)))
                .collect::<Result<_, _>>()?,
            upsampler: (i < last).then(|| Conv2d::load(l, &format!("{name}.upsamplers.0.conv"), 3, out, out)).transpose()?,
        })
    }

    fn forward(&self, g: &mut Graph<'_>, mut x: Buf, time: Buf, text: &mut TextReader<'_>, skips: &mut Vec<Buf>) -> Buf {
        for (j, resnet) in self.resnets.iter().enumerate() {
            let skip = skips.pop().expect("the way down keeps one result for each block of the way up");
            x = g.concat(x, skip);
            x = resnet.forward(g, x, Some(time));
            if let Some(attention) = self.attentions.get(j) {
                x = attention.forward(g, x, text);
            }
        }
        if let Some(conv) = &self.upsampler {
            // Halving an odd size rounded up, so twice the size would be one too many: the next skip knows.
            let Shape { h, w, .. } = skips.last().expect("every level but the last has skips left").shape;
            x = g.upsample(x, conv, h, w);
        }
        x
    }
}

/// Whether a block of that type attends to the text.
fn has_attention(kind: &str, [without, with]: [&str; 2]) -> Result<bool, EngineError> {
    match kind {
        k if k == with => Ok(true),
        k if k == without => Ok(false),
        other => Err(bad(format!("The denoiser has a block of type \"{other}\", which is not known here."))),
    }
}

impl Transformer2D {
    fn load(l: &mut Loader<'_>, name: &str, config: &Config, c: usize, heads: usize) -> Result<Transformer2D, EngineError> {
        Ok(Transformer2D {
            norm: Norm::group(l, &format!("{name}.norm"), c, config.norm_num_groups, TRANSFORMER_EPS)?,
            // A 1 x 1 convolution or a linear layer: channels-last they are the same.
            proj_in: Linear::load(l, &format!("{name}.proj_in"), c, c)?,
            transformer_blocks: vec![TransformerBlock::load(
                l,
                &format!("{name}.transformer_blocks.0"),
                c,
                config.cross_attention_dim,
                heads,
            )?],
            proj_out: Linear::load(l, &format!("{name}.proj_out"), c, c)?,
        })
    }

    /// `[n, h, w, c]` to the same.
    fn forward(&self, g: &mut Graph<'_>, x: Buf, text: &mut TextReader<'_>) -> Buf {
        let Shape { n, h, w, c } = x.shape;
        let tokens = Shape::sequence(n, h * w, c);
        let normed = g.group_norm(x, &self.norm).reshaped(tokens);
        let mut y = g.linear(normed, &self.proj_in, Activation::None);
        for block in &self.transformer_blocks {
            y = block.forward(g, y, text);
        }
        g.linear_add(y, &self.proj_out, x.reshaped(tokens)).reshaped(x.shape)
    }
}

impl TransformerBlock {
    fn load(l: &mut Loader<'_>, name: &str, c: usize, context: usize, heads: usize) -> Result<TransformerBlock, EngineError> {
        Ok(TransformerBlock {
            norm1: Norm::layer(l, &format!("{name}.norm1"), c, 1e-5)?,
            attn1: Attention::load(l, &format!("{name}.attn1"), attention::NAMES, c, c, heads)?,
            norm2: Norm::layer(l, &format!("{name}.norm2"), c, 1e-5)?,
            attn2: Attention::load(l, &format!("{name}.attn2"), attention::NAMES, c, context, heads)?,
            norm3: Norm::layer(l, &format!("{name}.norm3"), c, 1e-5)?,
            ff: [
                Linear::load_geglu(l, &format!("{name}.ff.net.0.proj"), c, 4 * c)?,
                Linear::load(l, &format!("{name}.ff.net.2"), 4 * c, c)?,
            ],
        })
    }

    /// `[n, 1, tokens, c]` to the same.
    fn forward(&self, g: &mut Graph<'_>, x: Buf, text: &mut TextReader<'_>) -> Buf {
        // 1. Pixels attend to pixels.
        let h = g.layer_norm(x, &self.norm1);
        let x = self.attn1.to_itself(g, h, x, false);
        // 2. Pixels attend to the text.
        let h = g.layer_norm(x, &self.norm2);
        let kv = *text.packed.next().expect("the text is packed for each of this network's blocks");
        let x = self.attn2.to_packed(g, h, kv, text.tokens, x);
        // 3. Two linear layers, the first gated.
        let h = g.layer_norm(x, &self.norm3);
        let h = g.linear(h, &self.ff[0], Activation::Geglu);
        g.linear_add(h, &self.ff[1], x)
    }
}
