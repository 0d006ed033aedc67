//! Small WebPs: thumbnails of finished pictures and previews of unfinished ones. Knows no recipe.

use crate::{EncodeError, Rgb8, encode, resize};

/// Longest side of a thumbnail and of a preview, in pixels.
pub const SIDE: u32 = 512;
/// Most bytes of a preview, so that it crosses a 1 Mbit/s line in under half a second.
pub const PREVIEW_BYTES: usize = 50_000;

/// The thumbnail of a picture: a WebP of at most [`SIDE`] pixels a side.
pub fn thumbnail(picture: &Rgb8) -> Result<Vec<u8>, EncodeError> {
    encode::webp(&resize::within(picture, SIDE), 82.0, encode::Effort::Fast)
}

/// The preview of an unfinished picture: a WebP of at most [`SIDE`] pixels a side and [`PREVIEW_BYTES`].
pub fn preview(picture: &Rgb8) -> Result<Vec<u8>, EncodeError> {
    for (side, quality) in [(SIDE, 75.0), (SIDE, 40.0), (SIDE / 2, 40.0)] {
        let file = encode::webp(&resize::within(picture, side), quality, encode::Effort::Fastest)?;
        if file.len() <= PREVIEW_BYTES {
            return Ok(file);
        }
    }
    // Pure noise: 128 × 128 at this quality is under 20 kB whatever the pixels are.
    encode::webp(&resize::within(picture, SIDE / 4), 30.0, encode::Effort::Fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32) -> Rgb8 {
        let mut state = 1u32;
        let data = (0..width * height * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Rgb8::new(width, height, data.collect()).unwrap()
    }

    #[test]
    fn previews_of_noise_stay_small() {
        for (width, height) in [(8, 8), (64, 64), (512, 512), (1024, 768)] {
            let file = preview(&noise(width, height)).unwrap();
            assert!(file.len() <= PREVIEW_BYTES, "{width}×{height}: {} bytes", file.len());
            let probe = crate::decode::probe(&file).unwrap();
            assert!(probe.width <= SIDE && probe.height <= SIDE);
        }
    }

    #[test]
    fn thumbnails_are_small_webps() {
        let probe = crate::decode::probe(&thumbnail(&noise(1000, 500)).unwrap()).unwrap();
        assert_eq!((probe.width, probe.height, probe.mime), (512, 256, "image/webp"));
    }
}
