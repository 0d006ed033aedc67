//! What latents mean, as data: channels, scale, and how they look as colours. Knows no decoder.
//!
//! A preview is linear: one pixel a latent, each colour a weighted sum of the channels, which costs nothing and tells
//! enough. The weights belong to the autoencoder. Those of Stable Diffusion 1.x are built in; a model with another
//! autoencoder brings `preview.json` with its own: `{"factors": [[r, g, b], ...], "bias": [r, g, b]}`, fitted by least
//! squares of decoded pixels (from -1 to 1) against scaled latents. There is a factor for each channel, or for each channel
//! of each of the 3 x 3 latents around the pixel, row by row, where one latent alone tells too little.

use crate::{EngineError, Picture, json};
use protocol::Problem;
use serde::Deserialize;

/// Largest side of a preview, in pixels; the latents of a picture of 4096 pixels.
const MAX_SIDE: usize = 512;

/// The latents of an autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentFormat {
    /// Channels.
    pub channels: usize,
    /// Pixels of a picture's side for each latent.
    pub stride: usize,
    /// Latents are the encoder's means times this.
    pub scale: f32,
    /// Red, green and blue, from -1 to 1, for a unit of each channel of each latent around a pixel: 1 or 3 x 3 of them.
    pub factors: Vec<[f32; 3]>,
    /// Red, green and blue of latents that are all 0.
    pub bias: [f32; 3],
}

/// `preview.json`.
#[derive(Deserialize)]
struct Colours {
    factors: Vec<[f32; 3]>,
    #[serde(default)]
    bias: [f32; 3],
}

impl LatentFormat {
    /// Stable Diffusion 1.x. The colours are those that Kevin Turner measured ("Decoding latents to RGB without
    /// upscaling", Hugging Face forum, 2022).
    pub fn stable_diffusion_1() -> LatentFormat {
        let factors = vec![[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]];
        LatentFormat { channels: 4, stride: 8, scale: 0.18215, factors, bias: [0.0; 3] }
    }

    /// The same latents with the colours of a `preview.json`.
    pub fn with_colours(self, text: &str) -> Result<LatentFormat, EngineError> {
        let bad = |what: String| EngineError::BadModel(Problem::new(format!("preview.json cannot be used: {what}.")));
        let Colours { factors, bias } = json::parse(text).map_err(|e| bad(e.to_string()))?;
        if ![self.channels, 9 * self.channels].contains(&factors.len()) {
            return Err(bad(format!("it has {} factors for {} channels", factors.len(), self.channels)));
        }
        if !factors.iter().flatten().chain(&bias).all(|v| v.is_finite()) {
            return Err(bad("a number is not finite".into()));
        }
        Ok(LatentFormat { factors, bias, ..self })
    }

    /// The first picture of latents `[n, height, width, channels]`, one pixel a latent; every second one or fewer
    /// where that would be more than 512 pixels a side.
    pub fn preview(&self, latents: &[f32], width: usize, height: usize) -> Picture {
        let every = width.max(height).div_ceil(MAX_SIDE).max(1);
        let (small_width, small_height) = (width.div_ceil(every), height.div_ceil(every));
        let mut rgb = Vec::with_capacity(3 * small_width * small_height);
        for y in (0..height).step_by(every) {
            for x in (0..width).step_by(every) {
                rgb.extend(self.colour(latents, (width, height), (x, y)));
            }
        }
        let pixels = |side: usize| u32::try_from(side).expect("a preview has at most 512 pixels a side");
        Picture { width: pixels(small_width), height: pixels(small_height), rgb }
    }

    /// The colour at a place. Beyond the edge lies what lies at the edge.
    fn colour(&self, latents: &[f32], (width, height): (usize, usize), (x, y): (usize, usize)) -> [u8; 3] {
        let reach = usize::from(self.factors.len() > self.channels);
        let side = 2 * reach + 1;
        let mut colour = self.bias;
        for (place, factors) in self.factors.chunks_exact(self.channels).enumerate() {
            let row = (y + place / side).saturating_sub(reach).min(height - 1);
            let column = (x + place % side).saturating_sub(reach).min(width - 1);
            let at = (row * width + column) * self.channels;
            for (value, factor) in latents[at..at + self.channels].iter().zip(factors) {
                colour.iter_mut().zip(factor).for_each(|(sum, f)| *sum += value * f);
            }
        }
        // `as` saturates, and makes 0 of what is no number.
        colour.map(|value| ((value + 1.0) * 127.5).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pixel_a_latent() {
        let format = LatentFormat::stable_diffusion_1();
        let mut latents = vec![0.0; 2 * 3 * 4];
        latents[4..8].copy_from_slice(&[2.0, 0.0, 0.0, 0.0]);
        latents[8..12].copy_from_slice(&[f32::NAN, 0.0, 0.0, 100.0]);
        let preview = format.preview(&latents, 3, 2);
        assert_eq!((preview.width, preview.height, preview.rgb.len()), (3, 2, 18));
        assert_eq!(preview.rgb[..9], [128, 128, 128, 203, 180, 181, 0, 0, 0]);
    }

    #[test]
    fn previews_stay_small() {
        let format = LatentFormat::stable_diffusion_1();
        let preview = format.preview(&vec![0.0; 4 * 1025 * 3], 1025, 3);
        assert_eq!((preview.width, preview.height, preview.rgb.len()), (342, 1, 1026));
    }

    #[test]
    fn neighbours_count_where_there_are_factors_for_them() {
        let mut factors = vec![[0.0; 3]; 36];
        // The first channel of the latent to the right, and of the one above.
        factors[5 * 4] = [1.0, 0.0, 0.0];
        factors[4] = [0.0, 1.0, 0.0];
        let format = LatentFormat { factors, ..LatentFormat::stable_diffusion_1() };
        let mut latents = vec![0.0; 2 * 2 * 4];
        latents[4] = 1.0;
        let red: Vec<u8> = format.preview(&latents, 2, 2).rgb.iter().step_by(3).copied().collect();
        let green: Vec<u8> = format.preview(&latents, 2, 2).rgb.iter().skip(1).step_by(3).copied().collect();
        assert_eq!((red, green), (vec![255, 255, 128, 128], vec![128, 255, 128, 255]));
    }

    #[test]
    fn a_model_brings_its_own_colours_or_an_error() {
        let format = LatentFormat::stable_diffusion_1();
        let text = r#"{"factors": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], "bias": [0, 0, -1]}"#;
        let own = format.clone().with_colours(text).unwrap();
        assert_eq!(own.preview(&[1.0, -1.0, 0.0, 9.0], 1, 1).rgb, [255, 0, 0]);
        for bad in ["", "{}", r#"{"factors": [[1, 0, 0]]}"#, r#"{"factors": [[1e99,0,0],[0,0,0],[0,0,0],[0,0,0]]}"#] {
            assert!(matches!(format.clone().with_colours(bad), Err(EngineError::BadModel(_))), "{bad}");
        }
    }
}
