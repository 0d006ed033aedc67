//! Layers with weights: a handle for each tensor of the checkpoint. Knows no arithmetic.

use crate::{
    EngineError,
    ops::{Weight, WeightKind},
    weights::Loader,
};

/// `y = x W^T + b`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Linear {
    pub weight: Weight,
    pub bias: Option<Weight>,
    /// Channels of the result.
    pub out: usize,
}

impl Linear {
    /// `name.weight`, and `name.bias` where there is one.
    pub fn load(l: &mut Loader<'_>, name: &str, inputs: usize, out: usize) -> Result<Linear, EngineError> {
        Linear::load_as(l, name, inputs, out, WeightKind::Matrix)
    }

    /// A layer of `2 * out` rows, values and gates, whose result has `out` channels.
    pub fn load_geglu(l: &mut Loader<'_>, name: &str, inputs: usize, out: usize) -> Result<Linear, EngineError> {
        Ok(Linear { out, ..Linear::load_as(l, name, inputs, 2 * out, WeightKind::Geglu)? })
    }

    fn load_as(l: &mut Loader<'_>, name: &str, inputs: usize, out: usize, kind: WeightKind) -> Result<Linear, EngineError> {
        let weight = l.weight(&format!("{name}.weight"), &[out, inputs], kind)?;
        let bias = l.optional(&format!("{name}.bias"), &[out], WeightKind::Plain)?;
        Ok(Linear { weight, bias, out })
    }
}

/// A convolution with a square kernel.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Conv2d {
    pub weight: Weight,
    pub bias: Option<Weight>,
    /// 1 or 3.
    pub kernel: usize,
    /// Channels of the result.
    pub out: usize,
}

impl Conv2d {
    /// `name.weight` of `[out, inputs, kernel, kernel]`, and `name.bias` where there is one.
    pub fn load(l: &mut Loader<'_>, name: &str, kernel: usize, inputs: usize, out: usize) -> Result<Conv2d, EngineError> {
        let weight = l.weight(&format!("{name}.weight"), &[out, inputs, kernel, kernel], WeightKind::Matrix)?;
        let bias = l.optional(&format!("{name}.bias"), &[out], WeightKind::Plain)?;
        Ok(Conv2d { weight, bias, kernel, out })
    }
}

/// GroupNorm or LayerNorm.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "fields are checkpoint keys")]
pub struct Norm {
    pub weight: Weight,
    pub bias: Weight,
    /// Added to the variance.
    pub eps: f32,
    /// Groups of channels; 0 for a LayerNorm.
    pub groups: usize,
}

impl Norm {
    /// A LayerNorm.
    pub fn layer(l: &mut Loader<'_>, name: &str, channels: usize, eps: f32) -> Result<Norm, EngineError> {
        Norm::group(l, name, channels, 0, eps)
    }

    /// A GroupNorm.
    pub fn group(l: &mut Loader<'_>, name: &str, channels: usize, groups: usize, eps: f32) -> Result<Norm, EngineError> {
        if groups != 0 && !channels.is_multiple_of(groups) {
            return Err(crate::weights::bad(format!("{channels} channels of \"{name}\" do not make {groups} groups.")));
        }
        let weight = l.weight(&format!("{name}.weight"), &[channels], WeightKind::Plain)?;
        let bias = l.weight(&format!("{name}.bias"), &[channels], WeightKind::Plain)?;
        Ok(Norm { weight, bias, eps, groups })
    }
}
