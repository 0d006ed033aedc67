//! What the panel reads: picture files and the settings inside them, drafts, origins. Knows what each must never do.

use super::{TEN_MILLION, hammer, texts};
use engine::{embedded, library::Library};
use media::{Rgb8, infotext};
use panel::origins::{Origin, host_is_loopback};
use protocol::{Draft, Format, Recipe, draft};

/// A recipe of the embedded model, with everything that a file could trip over.
fn recipe(format: Format) -> Recipe {
    let text = "a (red:1.2) boat, \"sea\" at 20:15\nand \u{6708}";
    let draft = Draft {
        prompt: Some(text.into()),
        negative_prompt: Some("fog".into()),
        seed: Some(7),
        format: Some(format),
        ..Draft::default()
    };
    let library = Library::scan(std::path::Path::new("no such folder"));
    draft.resolve(&library.get(embedded::ID).unwrap().info, 0).unwrap()
}

fn picture(format: Format) -> Vec<u8> {
    media::encode::file(&Rgb8::new(8, 8, vec![120; 192]).unwrap(), &recipe(format)).unwrap()
}

#[test]
fn infotext_of_a_picture() {
    let swarm =
        r#"{"sui_image_params": {"prompt": "a boat", "steps": 20, "cfgscale": 7.5, "seed": 1, "width": 512, "height": 512}}"#;
    let examples = [infotext::write(&recipe(Format::Png)), serde_json::to_string(&recipe(Format::Png)).unwrap(), swarm.into()];
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    let bare = without_texts(&picture(Format::Png));
    hammer("panel::infotext_of_a_picture", TEN_MILLION, &texts(&examples), |bytes| {
        let _ = infotext::read(&String::from_utf8_lossy(bytes));
        // The same in a PNG whose checksums are right: as text, as international text, as compressed text.
        let forms: [(&[u8; 4], &[u8]); 3] = [(b"tEXt", b""), (b"iTXt", b"\0\0\0\0"), (b"zTXt", b"\0")];
        let (kind, before) = forms[bytes.len() % 3];
        let key: &[u8] = if bytes.len() % 2 == 0 { b"parameters\0" } else { b"easel\0" };
        media::inspect::inspect(&with_chunk(&bare, *kind, &[key, before, bytes].concat())).unwrap();
    });
}

/// Bytes of a PNG's signature and header.
const HEADER: usize = 8 + 25;

/// A PNG of header, pixels and end.
fn without_texts(png: &[u8]) -> Vec<u8> {
    let pixels = png.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
    [&png[..HEADER], &png[pixels..]].concat()
}

/// A PNG with one more chunk after its header.
fn with_chunk(png: &[u8], kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&png[..HEADER], &length, &body, &crc32(&body).to_be_bytes(), &png[HEADER..]].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn picture_file() {
    let examples = [Format::Png, Format::Jpeg, Format::Webp].map(picture);
    hammer("panel::picture_file", TEN_MILLION, &examples, |bytes| {
        let inspected = media::inspect::inspect(bytes);
        let decoded = media::decode::rgb(bytes);
        if let (Ok(inspected), Ok(decoded)) = (inspected, decoded) {
            assert!(inspected.width > 0 && decoded.width() > 0);
        }
    });
}

/// Videos and sounds as FFmpeg writes them for ComfyUI, of each kind one, and animated pictures.
#[test]
fn played_file() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/media/tests/played");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    hammer("panel::played_file", TEN_MILLION, &files.collect::<Vec<_>>(), |bytes| {
        let Some(format) = media::Format::of(bytes) else { return };
        let _ = (media::kind::moves(bytes), media::comfy::read(bytes));
        if let Ok(played) = media::played::look(std::io::Cursor::new(bytes), format) {
            assert_eq!(played.width > 0, format.kind == media::Kind::Video);
        }
    });
}

#[test]
fn recipe_of_a_draft() {
    let library = Library::scan(std::path::Path::new("no such folder"));
    let model = &library.get(embedded::ID).unwrap().info;
    let draft = r#"{"prompt": "a boat", "negative_prompt": "", "width": 256, "height": 256, "steps": 20, "guidance": 2.5, "sampler": "euler-a",
        "schedule": "karras", "eta": 0.5, "guidance_rescale": 0.5, "clip_skip": 2, "seed": 9007199254740991, "batch": 4, "preset": "fast", "format": "webp"}"#;
    let with_picture = r#"{"prompt": "x", "strength": 0.5, "image": "artifact:01J0000000000000000000000A", "mask": "artifact:01J0000000000000000000000B"}"#;
    hammer("panel::recipe_of_a_draft", TEN_MILLION, &texts(&[draft, with_picture]), |bytes| {
        let Ok(draft) = serde_json::from_slice::<Draft>(bytes) else { return };
        match draft.resolve(model, u64::MAX) {
            Ok(recipe) => {
                let said = serde_json::to_string(&recipe).unwrap();
                assert_eq!(serde_json::from_str::<Recipe>(&said).unwrap(), recipe);
                let sides = [recipe.width, recipe.height];
                assert!(sides.iter().all(|s| s % 8 == 0 && (model.side.0..=model.side.1).contains(s)), "{said}");
                assert!((1..=draft::MAX_STEPS).contains(&recipe.steps) && recipe.seed <= draft::MAX_SEED, "{said}");
                assert!((1..=draft::MAX_BATCH).contains(&recipe.batch) && recipe.guidance.is_finite(), "{said}");
            }
            Err(problems) => assert!(!problems.is_empty()),
        }
    });
}

#[test]
fn origin() {
    let examples = texts(&[
        "https://studio.example.org:8443/",
        "http://[::1]:8080",
        "http://127.0.0.1",
        "https://abc-8080.proxy.runpod.net",
    ]);
    hammer("panel::origin", TEN_MILLION, &examples, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = host_is_loopback(&text);
        let Some(origin) = Origin::parse(&text) else { return };
        assert!(!origin.host.is_empty() && !origin.host.contains(['/', '@', '?', '#', '\\', ' ', '\0', '%']), "{origin:?}");
        assert_eq!(Origin::parse(&origin.to_string()), Some(origin.clone()), "{text:?}");
        // Only this machine counts as this machine.
        let itself = origin.host == "localhost" || origin.host.starts_with("127.") || origin.host == "[::1]";
        assert!(itself || !origin.is_loopback(), "{origin:?}");
    });
}
