//! The residual block of UNet and autoencoder. Knows neither.

use super::layers::{Conv2d, Linear, Norm};
use crate::{
    EngineError,
    ops::{Activation, Buf},
    plan::Graph,
    weights::Loader,
};

/// Two convolutions and a way around them (diffusers: `ResnetBlock2D`).
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct ResnetBlock2D {
    pub norm1: Norm,
    pub conv1: Conv2d,
    pub time_emb_proj: Option<Linear>,
    pub norm2: Norm,
    pub conv2: Conv2d,
    pub conv_shortcut: Option<Conv2d>,
}

/// What a residual block is made of, besides its name.
#[derive(Clone, Copy, Debug)]
pub struct ResnetConfig {
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub out: usize,
    /// Channels of the time embedding; `None` for blocks that have none.
    pub time: Option<usize>,
    /// Groups of both norms.
    pub groups: usize,
    /// Added to the variance in both norms.
    pub eps: f32,
}

impl ResnetBlock2D {
    /// The block called `name`.
    pub fn load(l: &mut Loader<'_>, name: &str, config: ResnetConfig) -> Result<ResnetBlock2D, EngineError> {
        let ResnetConfig { inputs, out, time, groups, eps } = config;
        let shortcut = inputs != out;
        Ok(ResnetBlock2D {
            norm1: Norm::group(l, &format!("{name}.norm1"), inputs, groups, eps)?,
            conv1: Conv2d::load(l, &format!("{name}.conv1"), 3, inputs, out)?,
            time_emb_proj: time.map(|time| Linear::load(l, &format!("{name}.time_emb_proj"), time, out)).transpose()?,
            norm2: Norm::group(l, &format!("{name}.norm2"), out, groups, eps)?,
            conv2: Conv2d::load(l, &format!("{name}.conv2"), 3, out, out)?,
            conv_shortcut: shortcut.then(|| Conv2d::load(l, &format!("{name}.conv_shortcut"), 1, inputs, out)).transpose()?,
        })
    }

    /// `x [n, h, w, inputs]`, `time [n, 1, 1, time]` already through SiLU; to `[n, h, w, out]`.
    pub fn forward(&self, g: &mut Graph<'_>, x: Buf, time: Option<Buf>) -> Buf {
        // 1. Norm, SiLU, convolution, plus the time embedding as one number a channel.
        let shift = self.time_emb_proj.as_ref().zip(time).map(|(proj, time)| g.linear(time, proj, Activation::None));
        let h = g.group_norm_silu(x, &self.norm1);
        let h = g.conv2d_with(h, &self.conv1, shift, None);
        // 2. Norm, SiLU, convolution, plus what came in.
        let h = g.group_norm_silu(h, &self.norm2);
        let around = self.conv_shortcut.as_ref().map_or(x, |conv| g.conv2d(x, conv));
        g.conv2d_with(h, &self.conv2, None, Some(around))
    }
}
