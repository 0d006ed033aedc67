//! The text encoder of CLIP (Radford et al. 2021; transformers: `CLIPTextModel`): tokens to hidden states. Knows no
//! tokenizer and no prompt weights.

use crate::{
    EngineError,
    nn::{
        attention::Attention,
        layers::{Linear, Norm},
    },
    ops::{Activation, Buf, Embed, Op, Shape, Weight, WeightKind},
    plan::Graph,
    weights::{Loader, bad},
};
use serde::Deserialize;

/// `text_encoder/config.json`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "fields are configuration keys")]
pub struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    #[serde(default = "quick_gelu")]
    pub hidden_act: String,
    #[serde(default = "eps")]
    pub layer_norm_eps: f32,
}

fn quick_gelu() -> String {
    "quick_gelu".into()
}

fn eps() -> f32 {
    1e-5
}

impl Config {
    /// CLIP ViT-L/14, the text encoder of every SD 1.x checkpoint.
    pub fn vit_l() -> Config {
        Config {
            vocab_size: 49_408,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 77,
            hidden_act: quick_gelu(),
            layer_norm_eps: eps(),
        }
    }
}

/// The encoder.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct ClipText {
    pub token_embedding: Weight,
    pub position_embedding: Weight,
    pub layers: Vec<Layer>,
    pub final_layer_norm: Norm,
    config: Config,
}

/// One layer of the encoder.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Layer {
    pub layer_norm1: Norm,
    pub self_attn: Attention,
    pub layer_norm2: Norm,
    pub fc1: Linear,
    pub fc2: Linear,
    act: Activation,
}

impl ClipText {
    /// Loads the encoder, with or without `text_model.` before every key.
    pub fn load(l: &mut Loader<'_>, config: Config) -> Result<ClipText, EngineError> {
        let prefix = if l.has("text_model.final_layer_norm.weight") { "text_model." } else { "" };
        let (c, eps) = (config.hidden_size, config.layer_norm_eps);
        let act = match config.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => return Err(bad(format!("The text encoder's activation \"{other}\" is not known here."))),
        };
        let embeddings = format!("{prefix}embeddings");
        Ok(ClipText {
            token_embedding: l.weight(
                &format!("{embeddings}.token_embedding.weight"),
                &[config.vocab_size, c],
                WeightKind::Plain,
            )?,
            position_embedding: l.weight(
                &format!("{embeddings}.position_embedding.weight"),
                &[config.max_position_embeddings, c],
                WeightKind::Plain,
            )?,
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::load(l, &format!("{prefix}encoder.layers.{i}"), &config, act))
                .collect::<Result<_, _>>()?,
            final_layer_norm: Norm::layer(l, &format!("{prefix}final_layer_norm"), c, eps)?,
            config,
        })
    }

    /// Sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// `ids [n, 1, tokens, 1]` to the last hidden state but `skip`, normalised, `[n, 1, tokens, hidden]`. Also hands out
    /// every hidden state before it, the embeddings first.
    pub fn forward(&self, g: &mut Graph<'_>, ids: Buf, skip: usize) -> (Buf, Vec<Buf>) {
        let Shape { n, w: tokens, .. } = ids.shape;
        // 1. Words and their places.
        let x = g.buffer(Shape::sequence(n, tokens, self.config.hidden_size));
        g.push(Op::Embed(Embed { dst: x, ids, table: self.token_embedding, positions: self.position_embedding }));
        // 2. Layers.
        let mut hidden = vec![x];
        let count = self.layers.len().saturating_sub(skip).max(1);
        for layer in &self.layers[..count] {
            let x = layer.forward(g, hidden[hidden.len() - 1]);
            hidden.push(x);
        }
        // 3. The final norm, which a skipped layer does not skip.
        (g.layer_norm(hidden[hidden.len() - 1], &self.final_layer_norm), hidden)
    }
}

impl Layer {
    fn load(l: &mut Loader<'_>, name: &str, config: &Config, act: Activation) -> Result<Layer, EngineError> {
        let (c, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let names = ["q_proj", "k_proj", "v_proj", "out_proj"];
        Ok(Layer {
            layer_norm1: Norm::layer(l, &format!("{name}.layer_norm1"), c, eps)?,
            self_attn: Attention::load(l, &format!("{name}.self_attn"), names, c, c, config.num_attention_heads)?,
            layer_norm2: Norm::layer(l, &format!("{name}.layer_norm2"), c, eps)?,
            fc1: Linear::load(l, &format!("{name}.mlp.fc1"), c, inner)?,
            fc2: Linear::load(l, &format!("{name}.mlp.fc2"), inner, c)?,
            act,
        })
    }

    /// `[n, 1, tokens, c]` to the same; a token sees those before it only.
    fn forward(&self, g: &mut Graph<'_>, x: Buf) -> Buf {
        // 1. Attention.
        let h = g.layer_norm(x, &self.layer_norm1);
        let x = self.self_attn.to_itself(g, h, x, true);
        // 2. Two linear layers.
        let h = g.layer_norm(x, &self.layer_norm2);
        let h = g.linear(h, &self.fc1, self.act);
        g.linear_add(h, &self.fc2, x)
    }
}
