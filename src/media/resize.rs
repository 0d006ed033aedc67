//! Bringing a reference or a mask to the size of a recipe, and pictures down to thumbnails. Knows no
//! file format.

use crate::{Gray8, Rgb8};
use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::{U8, U8x3},
};

/// Scales until `width` × `height` is covered, keeps the middle. Lanczos, radius 3.
pub fn cover(picture: &Rgb8, width: u32, height: u32) -> Rgb8 {
    if (picture.width(), picture.height()) == (width, height) {
        return picture.clone();
    }
    let filter = ResizeAlg::Convolution(FilterType::Lanczos3);
    let data = scale::<U8x3>((picture.width(), picture.height()), picture.data(), (width, height), filter);
    Rgb8::new(width, height, data).expect("the destination was made in this size")
}

/// The same cut as [`cover`], for a mask: nearest pixel, then 255 from half grey up and 0 below.
pub fn cover_mask(mask: &Gray8, width: u32, height: u32) -> Gray8 {
    let mut data = scale::<U8>((mask.width(), mask.height()), mask.data(), (width, height), ResizeAlg::Nearest);
    for value in &mut data {
        *value = if *value >= 128 { 255 } else { 0 };
    }
    Gray8::new(width, height, data).expect("the destination was made in this size")
}

/// Shrinks until neither side is over `side`; a smaller picture stays as it is.
pub fn within(picture: &Rgb8, side: u32) -> Rgb8 {
    let longest = picture.width().max(picture.height());
    if longest <= side {
        return picture.clone();
    }
    let fit = |n: u32| (u64::from(n) * u64::from(side) / u64::from(longest)).clamp(1, u64::from(side)) as u32;
    let (width, height) = (fit(picture.width()), fit(picture.height()));
    let filter = ResizeAlg::Convolution(FilterType::CatmullRom);
    let data = scale::<U8x3>((picture.width(), picture.height()), picture.data(), (width, height), filter);
    Rgb8::new(width, height, data).expect("the destination was made in this size")
}

/// Typed by its pixel, because the untyped call makes the compiler build every filter for every pixel type.
fn scale<P: PixelTrait>(from: (u32, u32), data: &[u8], to: (u32, u32), algorithm: ResizeAlg) -> Vec<u8> {
    let mut scaled = vec![0; to.0 as usize * to.1 as usize * P::size()];
    let source = TypedImageRef::<P>::from_buffer(from.0, from.1, data).expect("pixel types check their length");
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, &mut scaled).expect("made in this size");
    let options = ResizeOptions::new().resize_alg(algorithm).fit_into_destination(Some((0.5, 0.5)));
    Resizer::new().resize_typed(&source, &mut target, &options).expect("the crop box lies within the source");
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left third red, middle third green, right third blue.
    fn stripes(width: u32, height: u32) -> Rgb8 {
        let row = (0..width).flat_map(|x| match x * 3 / width {
            0 => [255, 0, 0],
            1 => [0, 255, 0],
            _ => [0, 0, 255],
        });
        Rgb8::new(width, height, row.collect::<Vec<u8>>().repeat(height as usize)).unwrap()
    }

    #[test]
    fn cover_keeps_the_middle() {
        let square = cover(&stripes(300, 100), 64, 64);
        assert_eq!((square.width(), square.height()), (64, 64));
        let centre = &square.data()[(32 * 64 + 32) * 3..][..3];
        assert!(centre[1] > 250 && centre[0] < 5 && centre[2] < 5, "{centre:?}");
    }

    #[test]
    fn masks_have_two_values_and_the_same_cut() {
        let grey: Vec<u8> =
            (0..100u32).flat_map(|_| (0..300u32).map(|x| if (100..200).contains(&x) { 200 } else { 90 })).collect();
        let mask = cover_mask(&Gray8::new(300, 100, grey).unwrap(), 64, 64);
        assert!(mask.data().iter().all(|v| *v == 255), "the middle third is white");
    }

    #[test]
    fn within_keeps_the_shape() {
        let small = within(&stripes(3000, 10), 512);
        assert_eq!((small.width(), small.height()), (512, 1));
        assert_eq!(within(&stripes(30, 10), 512).width(), 30);
    }
}
