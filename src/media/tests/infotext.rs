//! Tests of `infotext`: texts of A1111 and its relatives, and our own.

use super::*;
use crate::tests::random::{Random, model};
use protocol::Format;

#[test]
fn our_own_text_comes_back() {
    let mut random = Random(11);
    for i in 0..1000 {
        let mut recipe = random.recipe(Format::Png);
        // The text cannot tell a prompt's line from a heading of its own, trims its end, and holds no pictures.
        for text in [&mut recipe.prompt, &mut recipe.negative_prompt] {
            *text = text.replace(NEGATIVE, "").replace(['\r', '\n'], " ").trim().to_owned();
        }
        (recipe.image, recipe.mask, recipe.strength) = (None, None, None);
        let text = write(&recipe);
        let read = read(&text).unwrap_or_else(|| panic!("{i}: not read: {text:?}"));
        assert_eq!(read.draft.resolve(&model(), 0), Ok(recipe), "{i}: {text:?}");
        assert!(read.notes.is_empty(), "{:?}", read.notes);
    }
}

#[test]
fn a_text_of_a1111_is_read() {
    let text = "a castle, (mist:1.2),\nmasterpiece\nNegative prompt: blurry, lowres\nworst quality\nSteps: 28, Sampler: Euler a, \
                Schedule type: Automatic, CFG scale: 7.5, Seed: 2870305590, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, \
                Denoising strength: 0.4, Clip skip: 2, Lora hashes: \"one: aa, two: bb\", TI hashes: \"x: \\\"y\\\"\", Version: v1.10.1";
    let read = read(text).unwrap();
    let d = read.draft;
    assert_eq!(d.prompt.as_deref(), Some("a castle, (mist:1.2),\nmasterpiece"));
    assert_eq!(d.negative_prompt.as_deref(), Some("blurry, lowres\nworst quality"));
    assert_eq!((d.steps, d.guidance, d.seed), (Some(28), Some(7.5), Some(2_870_305_590)));
    assert_eq!((d.width, d.height, d.clip_skip, d.strength), (Some(512), Some(768), Some(2), Some(0.4)));
    assert_eq!(d.model.as_deref(), Some("v1-5-pruned-emaonly"));
    assert_eq!((d.sampler.as_deref(), d.schedule.as_deref()), (Some("euler_a"), Some("plain")));
    assert!(read.notes.is_empty(), "{:?}", read.notes);
}

#[test]
fn samplers_are_mapped() {
    let cases = [
        ("Euler a", "", "euler_a", "plain", 0),
        ("DPM++ 2M Karras", "", "dpmpp2m", "karras", 0),
        ("DPM++ 2M", ", Schedule type: Karras", "dpmpp2m", "karras", 0),
        ("DPM++ 2M", ", Schedule type: Automatic", "dpmpp2m", "karras", 0),
        ("DPM++ 2M", "", "dpmpp2m", "plain", 0),
        ("DPM++ 2M SDE Exponential", "", "dpmpp2m_sde", "exponential", 0),
        ("DPM++ SDE Karras", "", "dpmpp2m_sde", "karras", 1),
        ("DDIM", ", Schedule type: Karras", "ddim", "plain", 1),
        ("PLMS", "", "pndm", "plain", 0),
        ("UniPC", ", Schedule type: SGM Uniform", "unipc", "plain", 1),
        ("Heun", ", Schedule type: Beta", "heun", "beta", 0),
        ("LCM", "", "lcm", "plain", 0),
    ];
    for (sampler, rest, ours, schedule, notes) in cases {
        let read = read(&format!("x\nSteps: 20, Sampler: {sampler}, CFG scale: 7{rest}")).unwrap();
        let found = (read.draft.sampler.as_deref(), read.draft.schedule.as_deref(), read.notes.len());
        assert_eq!(found, (Some(ours), Some(schedule), notes), "{sampler}{rest}: {:?}", read.notes);
    }
    let read = read("x\nSteps: 20, Sampler: Warp 9, CFG scale: 7").unwrap();
    assert_eq!((read.draft.sampler, read.notes.len()), (None, 1));
}

#[test]
fn ordinary_text_is_no_infotext() {
    for text in ["", "a holiday picture", "Steps: 3, Sampler: no", "one: two\nthree: four", "http://example.org: a, b, c"] {
        assert_eq!(read(text), None, "{text:?}");
    }
    assert_eq!(read(&"a: b, c: d, e: f, ".repeat(100_000)), None, "too long");
}

#[test]
fn nonsense_numbers_are_left_out() {
    let read = read("x\nSteps: many, CFG scale: NaN, Seed: -1, Size: 512, Clip skip: -3, Model: ///").unwrap();
    let blank = Draft { prompt: Some("x".into()), negative_prompt: Some(String::new()), ..Draft::default() };
    assert_eq!(read.draft, blank);
}

#[test]
fn damaged_texts_do_not_panic() {
    let mut random = Random(17);
    for _ in 0..20_000 {
        let text = write(&random.recipe(Format::Png));
        let _ = read(&String::from_utf8_lossy(&random.damaged(text.as_bytes())));
    }
}
