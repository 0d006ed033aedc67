//! The original layout of Stable Diffusion 1.x: one file with all networks under the names of the first
//! implementation, here given the names of diffusers. Knows names only.

use super::{Tensors, bad};
use crate::EngineError;

/// The networks of a single file, under diffusers' names.
#[derive(Clone, Debug)]
pub struct SingleFile {
    /// The denoiser.
    pub unet: Tensors,
    /// The autoencoder.
    pub vae: Tensors,
    /// The text encoder.
    pub text_encoder: Tensors,
}

/// Residual blocks of a denoiser's level, on the way down.
const LAYERS: usize = 2;

impl SingleFile {
    /// Takes a file apart.
    pub fn split(all: &Tensors) -> Result<SingleFile, EngineError> {
        let levels =
            all.names().filter_map(|n| vae_level(n.strip_prefix("first_stage_model.")?)).max().map_or(0, |last| last + 1);
        let networks = SingleFile {
            unet: all.renamed(|name| unet(name.strip_prefix("model.diffusion_model.")?)),
            vae: all.renamed(|name| vae(name.strip_prefix("first_stage_model.")?, levels)),
            text_encoder: all.renamed(|name| name.strip_prefix("cond_stage_model.transformer.").map(str::to_owned)),
        };
        for (tensors, what) in
            [(&networks.unet, "denoiser"), (&networks.vae, "autoencoder"), (&networks.text_encoder, "text encoder")]
        {
            if tensors.names().next().is_none() {
                return Err(bad(format!("The file has no {what}.")));
            }
        }
        Ok(networks)
    }
}

/// A part of a name, and what follows it.
fn number(rest: &str) -> Option<(usize, &str)> {
    let (number, rest) = rest.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// Replaces the first of `pairs` that `name` begins with.
fn replaced(name: &str, pairs: &[(&str, &str)]) -> Option<String> {
    pairs.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
}

fn unet(name: &str) -> Option<String> {
    const ENDS: [(&str, &str); 5] = [
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("input_blocks.0.0.", "conv_in."),
        ("out.0.", "conv_norm_out."),
        ("out.2.", "conv_out."),
    ];
    if let Some(name) = replaced(name, &ENDS) {
        return Some(name);
    }
    let (place, rest) = name.split_once('.')?;
    let (block, rest) = number(rest)?;
    match place {
        "input_blocks" => {
            let (part, rest) = number(rest)?;
            let (level, layer) = (block.checked_sub(1)? / (LAYERS + 1), (block - 1) % (LAYERS + 1));
            let level = format!("down_blocks.{level}");
            match rest.strip_prefix("op.") {
                Some(leaf) => Some(format!("{level}.downsamplers.0.conv.{leaf}")),
                None => unet_part(&level, layer, part, rest),
            }
        }
        "middle_block" if block == 1 => Some(format!("mid_block.attentions.0.{rest}")),
        "middle_block" => unet_part("mid_block", block / 2, 0, rest),
        "output_blocks" => {
            let (part, rest) = number(rest)?;
            let (level, layer) = (format!("up_blocks.{}", block / (LAYERS + 1)), block % (LAYERS + 1));
            match rest.strip_prefix("conv.") {
                Some(leaf) => Some(format!("{level}.upsamplers.0.conv.{leaf}")),
                None => unet_part(&level, layer, part, rest),
            }
        }
        _ => None,
    }
}

/// A residual block (part 0) or a transformer (part 1) of a level.
fn unet_part(level: &str, layer: usize, part: usize, rest: &str) -> Option<String> {
    const RESNET: [(&str, &str); 6] = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("emb_layers.1.", "time_emb_proj."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("skip_connection.", "conv_shortcut."),
    ];
    match part {
        0 => Some(format!("{level}.resnets.{layer}.{}", replaced(rest, &RESNET)?)),
        _ => Some(format!("{level}.attentions.{layer}.{rest}")),
    }
}

/// The level that a tensor of the autoencoder belongs to.
fn vae_level(name: &str) -> Option<usize> {
    let (_, rest) = name.split_once('.')?;
    let rest = rest.strip_prefix("down.").or_else(|| rest.strip_prefix("up."))?;
    Some(number(rest)?.0)
}

fn vae(name: &str, levels: usize) -> Option<String> {
    const MIDDLE: [(&str, &str); 7] = [
        ("block_1.", "resnets.0."),
        ("block_2.", "resnets.1."),
        ("attn_1.norm.", "attentions.0.group_norm."),
        ("attn_1.q.", "attentions.0.to_q."),
        ("attn_1.k.", "attentions.0.to_k."),
        ("attn_1.v.", "attentions.0.to_v."),
        ("attn_1.proj_out.", "attentions.0.to_out.0."),
    ];
    let Some((half, rest)) = name.split_once('.').filter(|(half, _)| matches!(*half, "encoder" | "decoder")) else {
        // `quant_conv` and `post_quant_conv` are called the same.
        return Some(name.to_owned());
    };
    if let Some(rest) = rest.strip_prefix("mid.") {
        return Some(format!("{half}.mid_block.{}", replaced(rest, &MIDDLE)?));
    }
    let (direction, level, rest) = if let Some(rest) = rest.strip_prefix("down.") {
        let (level, rest) = number(rest)?;
        ("down", level, rest)
    } else if let Some(rest) = rest.strip_prefix("up.") {
        // The original counts levels from the largest picture both ways.
        let (level, rest) = number(rest)?;
        ("up", levels.checked_sub(1 + level)?, rest)
    } else {
        let rest = rest.strip_prefix("norm_out.").map_or_else(|| rest.to_owned(), |leaf| format!("conv_norm_out.{leaf}"));
        return Some(format!("{half}.{rest}"));
    };
    let rest = rest.replace("nin_shortcut.", "conv_shortcut.");
    let rest = match rest.strip_prefix("block.") {
        Some(rest) => format!("resnets.{rest}"),
        None => format!("{direction}samplers.0.{}", rest.strip_prefix(&format!("{direction}sample."))?),
    };
    Some(format!("{half}.{direction}_blocks.{level}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_denoiser_gets_the_names_of_diffusers() {
        for (from, to) in [
            ("input_blocks.0.0.weight", "conv_in.weight"),
            ("input_blocks.1.0.in_layers.0.bias", "down_blocks.0.resnets.0.norm1.bias"),
            ("input_blocks.2.1.proj_in.weight", "down_blocks.0.attentions.1.proj_in.weight"),
            ("input_blocks.3.0.op.weight", "down_blocks.0.downsamplers.0.conv.weight"),
            ("input_blocks.11.0.out_layers.3.weight", "down_blocks.3.resnets.1.conv2.weight"),
            ("middle_block.0.emb_layers.1.weight", "mid_block.resnets.0.time_emb_proj.weight"),
            ("middle_block.1.norm.weight", "mid_block.attentions.0.norm.weight"),
            ("middle_block.2.in_layers.2.weight", "mid_block.resnets.1.conv1.weight"),
            ("output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"),
            ("output_blocks.5.2.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"),
            ("output_blocks.3.0.skip_connection.weight", "up_blocks.1.resnets.0.conv_shortcut.weight"),
            (
                "output_blocks.11.1.transformer_blocks.0.attn2.to_k.weight",
                "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_k.weight",
            ),
            ("out.2.bias", "conv_out.bias"),
        ] {
            assert_eq!(unet(from).as_deref(), Some(to));
        }
    }

    #[test]
    fn the_autoencoder_gets_the_names_of_diffusers() {
        for (from, to) in [
            ("encoder.conv_in.weight", "encoder.conv_in.weight"),
            ("encoder.down.1.block.0.nin_shortcut.weight", "encoder.down_blocks.1.resnets.0.conv_shortcut.weight"),
            ("encoder.down.0.downsample.conv.weight", "encoder.down_blocks.0.downsamplers.0.conv.weight"),
            ("decoder.mid.attn_1.proj_out.weight", "decoder.mid_block.attentions.0.to_out.0.weight"),
            ("decoder.mid.block_2.norm1.weight", "decoder.mid_block.resnets.1.norm1.weight"),
            ("decoder.up.3.block.2.conv1.weight", "decoder.up_blocks.0.resnets.2.conv1.weight"),
            ("decoder.up.1.upsample.conv.bias", "decoder.up_blocks.2.upsamplers.0.conv.bias"),
            ("decoder.norm_out.weight", "decoder.conv_norm_out.weight"),
            ("post_quant_conv.bias", "post_quant_conv.bias"),
        ] {
            assert_eq!(vae(from, 4).as_deref(), Some(to));
        }
    }

    #[test]
    fn strange_names_are_left_out() {
        for name in ["input_blocks", "input_blocks.0", "output_blocks.x.1.y", "middle_block.0.what.0", "model_ema.decay"] {
            assert_eq!(unet(name), None, "{name}");
        }
        assert_eq!(vae("decoder.up.9.block.0.conv1.weight", 4), None);
    }
}
