//! The variational autoencoder of latent diffusion (Rombach et al. 2022; diffusers: `AutoencoderKL`): pictures to
//! latents and back. Knows no noise and no pixels of 8 bits.

use crate::{
    EngineError,
    nn::{
        attention::{self, Attention},
        layers::{Conv2d, Norm},
        resnet::{ResnetBlock2D, ResnetConfig},
    },
    ops::{Buf, Shape},
    plan::Graph,
    weights::{Loader, bad},
};
use serde::Deserialize;

/// Added to the variance in every norm.
const EPS: f32 = 1e-6;

/// `vae/config.json`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "fields are configuration keys")]
pub struct Config {
    #[serde(default = "three")]
    pub in_channels: usize,
    #[serde(default = "three")]
    pub out_channels: usize,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub latent_channels: usize,
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    #[serde(default = "scaling")]
    pub scaling_factor: f32,
    #[serde(default)]
    pub shift_factor: Option<f32>,
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
}

fn three() -> usize {
    3
}

fn groups() -> usize {
    32
}

fn scaling() -> f32 {
    0.18215
}

fn yes() -> bool {
    true
}

impl Config {
    /// The autoencoder of every SD 1.x checkpoint.
    pub fn sd1() -> Config {
        Config {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            latent_channels: 4,
            norm_num_groups: groups(),
            scaling_factor: scaling(),
            shift_factor: None,
            mid_block_add_attention: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
        }
    }

    /// Pixels of a latent's side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    fn resnet(&self, inputs: usize, out: usize) -> ResnetConfig {
        ResnetConfig { inputs, out, time: None, groups: self.norm_num_groups, eps: EPS }
    }
}

/// The autoencoder.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct AutoencoderKl {
    pub encoder: Encoder,
    pub quant_conv: Option<Conv2d>,
    pub post_quant_conv: Option<Conv2d>,
    pub decoder: Decoder,
    config: Config,
}

/// Pictures to moments.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Encoder {
    pub conv_in: Conv2d,
    /// Residual blocks, then `downsamplers.0.conv`.
    pub down_blocks: Vec<(Vec<ResnetBlock2D>, Option<Conv2d>)>,
    pub mid_block: MidBlock,
    pub conv_norm_out: Norm,
    pub conv_out: Conv2d,
}

/// Latents to pictures.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Decoder {
    pub conv_in: Conv2d,
    pub mid_block: MidBlock,
    /// Residual blocks, then `upsamplers.0.conv`.
    pub up_blocks: Vec<(Vec<ResnetBlock2D>, Option<Conv2d>)>,
    pub conv_norm_out: Norm,
    pub conv_out: Conv2d,
}

/// The middle of both halves.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct MidBlock {
    pub resnets: [ResnetBlock2D; 2],
    /// `attentions.0`: its norm and itself.
    pub attention: Option<(Norm, Attention)>,
}

impl AutoencoderKl {
    /// Loads both halves.
    pub fn load(l: &mut Loader<'_>, config: Config) -> Result<AutoencoderKl, EngineError> {
        if config.block_out_channels.is_empty() {
            return Err(bad("The autoencoder's configuration has no blocks."));
        }
        let z = config.latent_channels;
        let quant = |l: &mut Loader<'_>, name: &str, wanted: bool, channels: usize| {
            wanted.then(|| Conv2d::load(l, name, 1, channels, channels)).transpose()
        };
        Ok(AutoencoderKl {
            encoder: Encoder::load(l, &config)?,
            quant_conv: quant(l, "quant_conv", config.use_quant_conv, 2 * z)?,
            post_quant_conv: quant(l, "post_quant_conv", config.use_post_quant_conv, z)?,
            decoder: Decoder::load(l, &config)?,
            config,
        })
    }

    /// Sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// `pictures [n, h, w, 3]` from -1 to 1; to moments `[n, h / factor, w / factor, 2 * latent]`.
    pub fn encode(&self, g: &mut Graph<'_>, pictures: Buf) -> Buf {
        let h = self.encoder.forward(g, pictures);
        self.quant_conv.as_ref().map_or(h, |conv| g.conv2d(h, conv))
    }

    /// Unscaled latents `[n, h, w, latent]`; to pictures `[n, h * factor, w * factor, 3]`, about -1 to 1.
    pub fn decode(&self, g: &mut Graph<'_>, latents: Buf) -> Buf {
        let h = self.post_quant_conv.as_ref().map_or(latents, |conv| g.conv2d(latents, conv));
        self.decoder.forward(g, h)
    }
}

impl Encoder {
    fn load(l: &mut Loader<'_>, config: &Config) -> Result<Encoder, EngineError> {
        let widths = &config.block_out_channels;
        let last = widths.len() - 1;
        let down_block = |l: &mut Loader<'_>, i: usize| {
            let (inputs, out) = (widths[i.saturating_sub(1)], widths[i]);
            let name = format!("encoder.down_blocks.{i}");
            let resnets = (0..config.layers_per_block)
                .map(|j| {
                    ResnetBlock2D::load(l, &format!("{name}.resnets.{j}"), config.resnet(if j == 0 { inputs } else { out }, out))
                })
                .collect::<Result<_, _>>()?;
            let down = (i < last).then(|| Conv2d::load(l, &format!("{name}.downsamplers.0.conv"), 3, out, out)).transpose()?;
            Ok((resnets, down))
        };
        Ok(Encoder {
            conv_in: Conv2d::load(l, "encoder.conv_in", 3, config.in_channels, widths[0])?,
            down_blocks: (0..=last).map(|i| down_block(l, i)).collect::<Result<_, EngineError>>()?,
            mid_block: MidBlock::load(l, "encoder.mid_block", config, widths[last])?,
            conv_norm_out: Norm::group(l, "encoder.conv_norm_out", widths[last], config.norm_num_groups, EPS)?,
            conv_out: Conv2d::load(l, "encoder.conv_out", 3, widths[last], 2 * config.latent_channels)?,
        })
    }

    fn forward(&self, g: &mut Graph<'_>, x: Buf) -> Buf {
        // 1. Pixels to features.
        let mut h = g.conv2d(x, &self.conv_in);
        // 2. Down, to half the size at each block but the last; zeros below and to the right only.
        for (resnets, down) in &self.down_blocks {
            for resnet in resnets {
                h = resnet.forward(g, h, None);
            }
            if let Some(conv) = down {
                h = g.downsample(h, conv, 0);
            }
        }
        // 3. The middle, and to moments.
        h = self.mid_block.forward(g, h);
        h = g.group_norm_silu(h, &self.conv_norm_out);
        g.conv2d(h, &self.conv_out)
    }
}

impl Decoder {
    fn load(l: &mut Loader<'_>, config: &Config) -> Result<Decoder, EngineError> {
        let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let last = widths.len() - 1;
        let up_block = |l: &mut Loader<'_>, i: usize| {
            let (inputs, out) = (widths[i.saturating_sub(1)], widths[i]);
            let name = format!("decoder.up_blocks.{i}");
            let resnets = (0..=config.layers_per_block)
                .map(|j| {
                    ResnetBlock2D::load(l, &format!("{name}.resnets.{j}"), config.resnet(if j == 0 { inputs } else { out }, out))
                })
                .collect::<Result<_, _>>()?;
            let up = (i < last).then(|| Conv2d::load(l, &format!("{name}.upsamplers.0.conv"), 3, out, out)).transpose()?;
            Ok((resnets, up))
        };
        Ok(Decoder {
            conv_in: Conv2d::load(l, "decoder.conv_in", 3, config.latent_channels, widths[0])?,
            mid_block: MidBlock::load(l, "decoder.mid_block", config, widths[0])?,
            up_blocks: (0..=last).map(|i| up_block(l, i)).collect::<Result<_, EngineError>>()?,
            conv_norm_out: Norm::group(l, "decoder.conv_norm_out", widths[last], config.norm_num_groups, EPS)?,
            conv_out: Conv2d::load(l, "decoder.conv_out", 3, widths[last], config.out_channels)?,
        })
    }

    fn forward(&self, g: &mut Graph<'_>, x: Buf) -> Buf {
        // 1. Latents to features, and the middle.
        let mut h = g.conv2d(x, &self.conv_in);
        h = self.mid_block.forward(g, h);
        // 2. Up, to twice the size at each block but the last.
        for (resnets, up) in &self.up_blocks {
            for resnet in resnets {
                h = resnet.forward(g, h, None);
            }
            if let Some(conv) = up {
                let Shape { h: rows, w: columns, .. } = h.shape;
                h = g.upsample(h, conv, 2 * rows, 2 * columns);
            }
        }
        // 3. Features to pixels.
        h = g.group_norm_silu(h, &self.conv_norm_out);
        g.conv2d(h, &self.conv_out)
    }
}

impl MidBlock {
    fn load(l: &mut Loader<'_>, name: &str, config: &Config, c: usize) -> Result<MidBlock, EngineError> {
        let attention = |l: &mut Loader<'_>| {
            let name = format!("{name}.attentions.0");
            // Checkpoints from before diffusers 0.14 have other names.
            let old = l.has(&format!("{name}.query.weight"));
            let names = if old { ["query", "key", "value", "proj_attn"] } else { attention::NAMES };
            let norm = Norm::group(l, &format!("{name}.group_norm"), c, config.norm_num_groups, EPS)?;
            Ok::<_, EngineError>((norm, Attention::load(l, &name, names, c, c, 1)?))
        };
        Ok(MidBlock {
            resnets: [
                ResnetBlock2D::load(l, &format!("{name}.resnets.0"), config.resnet(c, c))?,
                ResnetBlock2D::load(l, &format!("{name}.resnets.1"), config.resnet(c, c))?,
            ],
            attention: config.mid_block_add_attention.then(|| attention(l)).transpose()?,
        })
    }

    fn forward(&self, g: &mut Graph<'_>, x: Buf) -> Buf {
        let mut h = self.resnets[0].forward(g, x, None);
        if let Some((norm, attention)) = &self.attention {
            // Each pixel is a token.
            let Shape { n, h: rows, w: columns, c } = h.shape;
            let tokens = Shape::sequence(n, rows * columns, c);
            let normed = g.group_norm(h, norm).reshaped(tokens);
            h = attention.to_itself(g, normed, h.reshaped(tokens), false).reshaped(h.shape);
        }
        self.resnets[1].forward(g, h, None)
    }
}
