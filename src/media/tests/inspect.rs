//! Tests of `inspect`: files of other programs, and damaged ones.

use super::*;
use crate::{Rgb8, encode, tests::random::Random};
use img_parts::ImageEXIF;
use protocol::Format;

const INFOTEXT: &str =
    "a café at night\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 512x512";
const SWARM: &str =
    r#"{"sui_image_params":{"prompt":"a fox","seed":5,"steps":20,"cfgscale":7,"sampler":"euler","scheduler":"normal"}}"#;

/// A PNG of one pixel with a text chunk.
fn png_with(add: impl Fn(&mut png::Encoder<'_, &mut Vec<u8>>)) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    add(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn every_kind_of_text_chunk_is_read() {
    let files = [
        png_with(|e| e.add_text_chunk("parameters".into(), INFOTEXT.into()).unwrap()),
        png_with(|e| e.add_ztxt_chunk("parameters".into(), INFOTEXT.into()).unwrap()),
        png_with(|e| e.add_itxt_chunk("parameters".into(), INFOTEXT.into()).unwrap()),
        // UTF-8 in a chunk that should be Latin-1.
        png_with(|e| {
            let bytes: String = INFOTEXT.bytes().map(char::from).collect();
            e.add_text_chunk("parameters".into(), bytes).unwrap();
        }),
    ];
    for (i, file) in files.iter().enumerate() {
        let found = inspect(file).unwrap();
        assert_eq!(found.source, Some(Source::A1111), "file {i}");
        assert_eq!(found.draft.prompt.as_deref(), Some("a café at night"), "file {i}");
        assert_eq!(found.draft.schedule.as_deref(), Some("karras"));
    }
    let found = inspect(&png_with(|e| e.add_text_chunk("parameters".into(), SWARM.into()).unwrap())).unwrap();
    assert_eq!((found.source, found.draft.seed), (Some(Source::SwarmUi), Some(5)));
}

#[test]
fn exif_of_other_programs_is_read() {
    let picture = Rgb8::new(8, 8, vec![9; 192]).unwrap();
    let recipe = Random(1).recipe(Format::Jpeg);
    for (text, source) in [(INFOTEXT, Source::A1111), (SWARM, Source::SwarmUi)] {
        let mut jpeg = img_parts::jpeg::Jpeg::from_bytes(encode::file(&picture, &recipe).unwrap().into()).unwrap();
        jpeg.set_exif(Some(crate::exif::write(Some(text), "not json").into()));
        assert_eq!(inspect(&jpeg.encoder().bytes()).unwrap().source, Some(source));
    }
}

#[test]
fn a_picture_without_settings_is_fine() {
    let found = inspect(&png_with(|_| ())).unwrap();
    assert_eq!((found.source, found.draft, found.width), (None, Draft::default(), 1));
    let found = inspect(&png_with(|e| e.add_text_chunk("parameters".into(), "my holidays".into()).unwrap())).unwrap();
    assert_eq!(found.source, None);
}

#[test]
fn a_newer_recipe_fills_what_is_known() {
    let json = r#"{"prompt":"x","steps":12,"sampler":"euler","loras":[{"id":1}],"width":"wide"}"#;
    let found = inspect(&png_with(|e| e.add_text_chunk("easel".into(), json.into()).unwrap())).unwrap();
    assert_eq!((found.source, found.draft.steps, found.draft.width), (Some(Source::Easel), Some(12), None));
}

#[test]
fn a_bomb_of_text_is_left_packed() {
    let file = png_with(|e| e.add_ztxt_chunk("parameters".into(), "a".repeat(40 << 20)).unwrap());
    // However well it is packed: some compressors of the same format take ten times the room of others.
    assert!(file.len() < 500_000, "{} bytes", file.len());
    assert_eq!(inspect(&file).unwrap().source, None);
}

#[test]
fn damaged_files_do_not_panic() {
    let picture = Rgb8::new(8, 8, (0..192).collect()).unwrap();
    for format in [Format::Png, Format::Webp, Format::Jpeg] {
        let mut random = Random(format as u64 + 100);
        for _ in 0..3_000 {
            let file = encode::file(&picture, &random.recipe(format)).unwrap();
            let damaged = random.damaged(&file);
            let _ = inspect(&damaged);
            let _ = crate::decode::rgb(&damaged);
            let raw = crate::exif::write(Some(&random.text()), "{}");
            let _ = crate::exif::read(random.damaged(&raw));
        }
    }
}
