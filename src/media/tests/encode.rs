//! Tests of `encode`: what is written into a file comes back out of it.

use super::*;
use crate::{
    Source, inspect,
    tests::random::{Random, model},
};

fn gradient(width: u32, height: u32) -> Rgb8 {
    let pixel = |i: u32| [(i % width * 255 / width) as u8, (i / width * 255 / height) as u8, 90];
    Rgb8::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
}

#[test]
fn a_thousand_recipes_survive_each_format() {
    let picture = gradient(16, 8);
    for format in [Format::Png, Format::Webp, Format::Jpeg] {
        let mut random = Random(format as u64 + 1);
        for i in 0..1000 {
            let recipe = random.recipe(format);
            let found = inspect::inspect(&file(&picture, &recipe).unwrap()).unwrap();
            assert_eq!(found.source, Some(Source::Easel), "{format:?} {i}: {recipe:?}");
            assert_eq!((found.width, found.height), (16, 8));
            assert_eq!(found.draft.resolve(&model(), 0), Ok(recipe), "{format:?} {i}");
        }
    }
}

#[test]
fn pixels_survive() {
    let picture = gradient(64, 48);
    let mut recipe = Random(7).recipe(Format::Png);
    for (format, most) in [(Format::Png, 0), (Format::Webp, 24), (Format::Jpeg, 12)] {
        recipe.format = format;
        let back = crate::decode::rgb(&file(&picture, &recipe).unwrap()).unwrap();
        let worst = back.data().iter().zip(picture.data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= most, "{format:?}: off by {worst}");
    }
}

#[test]
fn the_same_recipe_gives_the_same_bytes() {
    for format in [Format::Png, Format::Webp, Format::Jpeg] {
        let recipe = Random(9).recipe(format);
        assert_eq!(file(&gradient(64, 48), &recipe).unwrap(), file(&gradient(64, 48), &recipe).unwrap());
    }
}

#[test]
fn the_longest_prompts_fit() {
    let picture = gradient(8, 8);
    for format in [Format::Png, Format::Webp, Format::Jpeg] {
        let recipe = Recipe { prompt: "🜁".repeat(8000), negative_prompt: "山".repeat(8000), ..Random(3).recipe(format) };
        let found = inspect::inspect(&file(&picture, &recipe).unwrap()).unwrap();
        assert_eq!(found.draft.prompt.as_deref(), Some(recipe.prompt.as_str()), "{format:?}");
        // Control characters take six bytes each in JSON: a JPEG may lose its recipe, but not its picture.
        let recipe = Recipe { prompt: "\u{1}".repeat(8000), negative_prompt: "\u{1}".repeat(8000), ..recipe };
        assert!(inspect::inspect(&file(&picture, &recipe).unwrap()).is_ok(), "{format:?}");
    }
}

#[test]
fn other_programs_find_the_infotext() {
    let recipe = Recipe { prompt: "plain words".into(), negative_prompt: String::new(), ..Random(5).recipe(Format::Png) };
    let bytes = file(&gradient(8, 8), &recipe).unwrap();
    let at = bytes.windows(15).position(|w| w == b"tEXtparameters\0").expect("a tEXt chunk where the text is Latin-1");
    assert!(at < bytes.windows(4).position(|w| w == b"IDAT").unwrap(), "text stands in front of the pixels");
    let recipe = Recipe { prompt: "山水".into(), ..recipe };
    let bytes = file(&gradient(8, 8), &recipe).unwrap();
    assert!(bytes.windows(15).any(|w| w == b"iTXtparameters\0"));
}
