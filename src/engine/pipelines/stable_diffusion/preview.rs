//! What latents look like before they are decoded: each pixel's colour as a weighted sum of its latent's channels.
//! Knows no autoencoder.

use crate::Picture;

/// Red, green and blue of each of the four channels, for autoencoders of Stable Diffusion 1.x.
const FACTORS: [[f32; 3]; 4] = [[0.35, 0.23, 0.32], [0.33, 0.5, 0.24], [-0.28, 0.18, 0.27], [-0.21, -0.26, -0.72]];

/// A picture of one pixel a latent; `latents` is `[height, width, channels]`.
pub(super) fn preview(latents: &[f32], width: usize, height: usize) -> Picture {
    let channels = latents.len() / (width * height);
    let colour = |latent: &[f32], c: usize| latent.iter().zip(&FACTORS).map(|(x, f)| x * f[c]).sum::<f32>();
    let byte = |x: f32| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    let rgb = latents.chunks_exact(channels).flat_map(|latent| [0, 1, 2].map(|c| byte(colour(latent, c)))).collect();
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Picture { width: size(width), height: size(height), rgb }
}
