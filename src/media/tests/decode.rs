//! Tests of `decode`: what is taken, and what is refused before it costs anything.

use super::*;
use std::time::Instant;

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// Red above, blue below.
fn two_halves(width: u32, height: u32) -> DynamicImage {
    let pixel = |_, y| if y < height / 2 { image::Rgb([255, 0, 0]) } else { image::Rgb([0, 0, 255]) };
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, pixel))
}

/// A PNG whose header promises this size, with next to no data behind it.
fn promising_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = encoded(&two_halves(1, 2), ImageFormat::Png);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = file[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
    });
    file[29..33].copy_from_slice(&(!crc).to_be_bytes());
    file
}

#[test]
fn five_formats_are_read() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif] {
        let file = encoded(&two_halves(40, 24), format);
        assert_eq!(probe(&file).map(|p| (p.width, p.height)), Ok((40, 24)), "{format:?}");
        let picture = rgb(&file).unwrap();
        let last = &picture.data()[picture.data().len() - 3..];
        assert!(last[2] > 240 && last[0] < 15, "{format:?}: {last:?}");
    }
}

#[test]
fn sizes_are_judged_before_pixels() {
    let mut bmp = encoded(&two_halves(2, 2), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    let mut gif = encoded(&two_halves(2, 2), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    for file in [promising_png(50_000, 50_000), promising_png(8200, 8), promising_png(8, 8193), gif, bmp] {
        let start = Instant::now();
        assert!(matches!(rgb(&file), Err(DecodeError::TooLarge { .. })), "{:?}", rgb(&file));
        assert!(matches!(probe(&file), Err(DecodeError::TooLarge { .. })));
        println!("refused in {:?}", start.elapsed());
    }
    assert!(matches!(rgb(&promising_png(8192, 8192)), Err(DecodeError::Broken(_))));
    assert!(matches!(rgb(&promising_png(0, 8)), Err(DecodeError::Broken(_))));
}

#[test]
fn only_the_first_frame_of_an_animation_is_decoded() {
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    for _ in 0..300 {
        encoder.encode_frame(image::Frame::new(two_halves(400, 400).into_rgba8())).unwrap();
    }
    drop(encoder);
    let start = Instant::now();
    rgb(&gif).unwrap();
    let all = start.elapsed();
    let one = encoded(&two_halves(400, 400), ImageFormat::Gif);
    let start = Instant::now();
    rgb(&one).unwrap();
    println!("300 frames {all:?}, one frame {:?}", start.elapsed());
    assert!(all < 20 * start.elapsed(), "as long as many frames");
}

#[test]
fn what_is_no_picture_is_named() {
    let cases: [(&[u8], DecodeError); 9] = [
        (b"", DecodeError::Empty),
        (b"hello", DecodeError::NotAPicture),
        (&[0; 64], DecodeError::NotAPicture),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", DecodeError::Unsupported("SVG")),
        ("\u{feff} <!DOCTYPE html><html></html>".as_bytes(), DecodeError::Unsupported("HTML")),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'></html>", DecodeError::Unsupported("HTML")),
        (b"\0\0\0\x18ftypheic\0\0\0\0", DecodeError::Unsupported("HEIC")),
        (b"II*\0\x08\0\0\0", DecodeError::Unsupported("TIFF")),
        (b"%PDF-1.7", DecodeError::Unsupported("PDF")),
    ];
    for (bytes, error) in cases {
        assert_eq!(rgb(bytes), Err(error));
    }
    assert_eq!(probe(&vec![0; MAX_BYTES + 1]), Err(DecodeError::TooManyBytes(MAX_BYTES + 1)));
}

#[test]
fn clear_parts_are_white_in_pictures_and_black_in_masks() {
    let clear =
        DynamicImage::ImageRgba8(image::RgbaImage::from_fn(2, 1, |x, _| image::Rgba([0, 0, 0, if x == 0 { 0 } else { 255 }])));
    let file = encoded(&clear, ImageFormat::Png);
    assert_eq!(rgb(&file).unwrap().data(), [255, 255, 255, 0, 0, 0]);
    let stroke = DynamicImage::ImageRgba8(image::RgbaImage::from_fn(2, 1, |x, _| {
        image::Rgba([255, 255, 255, if x == 0 { 0 } else { 255 }])
    }));
    assert_eq!(mask(&encoded(&stroke, ImageFormat::Png)).unwrap().data(), [0, 255]);
    assert_eq!(mask(&encoded(&two_halves(1, 2), ImageFormat::Png)).unwrap().data(), [54, 18]);
}

#[test]
fn exif_turns_the_picture() {
    use img_parts::ImageEXIF;
    let file = encoded(&two_halves(40, 24), ImageFormat::Jpeg);
    let mut jpeg = img_parts::jpeg::Jpeg::from_bytes(file.into()).unwrap();
    // One entry: tag 0x0112 (orientation), SHORT, count 1, value 6 (turn clockwise).
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    jpeg.set_exif(Some(tiff.to_vec().into()));
    let file = jpeg.encoder().bytes();
    assert_eq!(probe(&file).map(|p| (p.width, p.height)), Ok((24, 40)));
    let picture = rgb(&file).unwrap();
    let first = &picture.data()[..3];
    assert!(first[2] > 200 && first[0] < 50, "the lower half, blue, is on the left now: {first:?}");
}

#[test]
fn damaged_pictures_are_refused() {
    let file = encoded(&two_halves(64, 64), ImageFormat::Png);
    assert!(matches!(rgb(&file[..file.len() / 2]), Err(DecodeError::Broken(_))));
    assert!(matches!(rgb(&file[..9]), Err(DecodeError::Broken(_))));
}

/// The decoder would reserve 4 GB for this one.
#[test]
fn a_chunk_longer_than_its_file_is_refused() {
    let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut webp = img_parts::webp::WebP::from_bytes(encoded(&two_halves(40, 24), ImageFormat::WebP).into()).unwrap();
    img_parts::ImageEXIF::set_exif(&mut webp, Some(tiff.to_vec().into()));
    let mut file = webp.encoder().bytes().to_vec();
    assert_eq!(probe(&file).map(|p| (p.width, p.height)), Ok((24, 40)));
    let length = file.windows(4).position(|w| w == b"EXIF").unwrap() + 4;
    file[length..length + 4].copy_from_slice(&[0xF4, 0xFF, 0xFF, 0xFF]);
    assert!(matches!(probe(&file), Err(DecodeError::Broken(_))));
    assert!(matches!(rgb(&file), Err(DecodeError::Broken(_))));
    assert_eq!(exif(&file), None);
}
