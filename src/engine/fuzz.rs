//! Damaged input for everything that reads a file or a prompt from outside: random edits of valid examples, bounded in
//! an ordinary test run, ten million for each target with `cargo test --release -p engine fuzz -- --ignored`. Each target
//! must answer or refuse: a panic fails the test.

use crate::{
    json,
    latent::LatentFormat,
    registry,
    samplers::Path,
    schedule::{Class, SchedulerConfig, Settings},
    text::{self, Tokenizer},
    weights::{Bytes, safetensors},
};
use memmap2::MmapMut;
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// A small generator of its own (xorshift64*), so that a failure names a seed and can be made again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Pieces that parsers stumble over.
const TOKENS: [&[u8]; 24] = [
    b"(",
    b")",
    b"[",
    b"]",
    b":",
    b"\\",
    b"BREAK",
    b",",
    b":1e9)",
    b":-1)",
    b"{",
    b"}",
    b"\"",
    b"null",
    b"-1",
    b"18446744073709551615",
    b"1e308",
    b"-Infinity",
    b"NaN",
    b"\0",
    b"\xff\xfe",
    "\u{202e}\u{301}".as_bytes(),
    "\u{1F98A}".as_bytes(),
    b"true",
];

/// One to eight edits: bytes changed, cut, doubled, or replaced by a piece.
fn damaged(random: &mut Random, example: &[u8]) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(16)).min(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, example[..end.min(example.len())].to_vec())),
            _ => drop(bytes.splice(at..end, TOKENS[random.below(TOKENS.len())].iter().copied())),
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

/// Runs a target on so many damaged examples, for a limited time.
fn hammer(name: &str, examples: &[Vec<u8>], executions: u64, limit: Duration, target: impl Fn(&[u8])) {
    let begin = Instant::now();
    let mut done = 0;
    while done < executions && begin.elapsed() < limit {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (done + 1));
        random.next();
        let example = &examples[random.below(examples.len())];
        let input = damaged(&mut random, example);
        let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&input)));
        assert!(survived.is_ok(), "{name}: input {done}: {:?}", String::from_utf8_lossy(&input));
        done += 1;
    }
    println!("{name}: {done} executions in {:.1} s", begin.elapsed().as_secs_f64());
    assert!(done > 0);
}

/// Targets, their examples, and what each must never do.
fn all(executions: u64, limit: Duration) {
    hammer("safetensors", &containers(), executions, limit, container);
    hammer(
        "prompt",
        &texts(&["a (red:1.2) boat, [dark] sea \\(x\\) BREAK ((moon))", "one, two, three, four, five"]),
        executions,
        limit,
        |b| {
            prompt(&String::from_utf8_lossy(b));
        },
    );
    hammer("scheduler_config.json", &texts(&[SCHEDULER]), executions, limit, |b| scheduler(&String::from_utf8_lossy(b)));
    hammer("preview.json", &texts(&[r#"{"factors": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]}"#]), executions, limit, |b| {
        let colours = LatentFormat::stable_diffusion_1().with_colours(&String::from_utf8_lossy(b));
        let _ = colours.map(|format| format.preview(&[0.5; 16], 2, 2));
    });
    let vocabulary = r#"{"!": 0, "a": 1, "b</w>": 2, "ab</w>": 3, ",</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6}"#;
    hammer("tokenizer", &texts(&[vocabulary, "#version: 0.2\na b</w>\n"]), executions / 10, limit, |b| {
        let damaged = String::from_utf8_lossy(b).into_owned();
        for damaged_name in ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"] {
            let file = |name: &str| match name {
                name if name == damaged_name => Some(damaged.clone()),
                "vocab.json" => Some(vocabulary.into()),
                "merges.txt" => Some("#version: 0.2\na b</w>".into()),
                _ => None,
            };
            let _ = Tokenizer::load(&file).map(|t| t.encode("ab, ba"));
        }
    });
}

const SCHEDULER: &str = r#"{"num_train_timesteps": 100, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "steps_offset": 1, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": true,
    "solver_order": 3, "lambda_min_clipped": -Infinity, "trained_betas": null, "original_inference_steps": 20}"#;

fn texts(examples: &[&str]) -> Vec<Vec<u8>> {
    examples.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn containers() -> Vec<Vec<u8>> {
    let header = br#"{"__metadata__":{"format":"pt"},"conv_in.weight":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([7; 16]);
    vec![bytes]
}

fn container(bytes: &[u8]) {
    let mut map = MmapMut::map_anon(bytes.len().max(1)).expect("a page of memory");
    map[..bytes.len()].copy_from_slice(bytes);
    let map = map.make_read_only().expect("a page of memory");
    if let Ok(tensors) = safetensors::parse(Bytes::Mapped(Arc::new(map))) {
        let names: Vec<&str> = tensors.names().collect();
        for name in names {
            let tensor = tensors.get(name).expect("a name of its own list");
            assert_eq!(tensor.bytes().len(), tensor.dims.iter().product::<usize>() * tensor.dtype.size());
        }
        let _ = registry::identify(&tensors);
    }
}

fn prompt(text: &str) {
    static CLIP: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::clip);
    let chunks = text::chunks(text, &CLIP);
    assert!(!chunks.is_empty());
    for chunk in &chunks {
        assert_eq!((chunk.ids.len(), chunk.weights.len()), (text::prompt::PLACES, text::prompt::PLACES));
        let mut embedding = vec![0.5; 2 * text::prompt::PLACES];
        text::apply_weights(&mut embedding, chunk);
        assert!(embedding.iter().all(|v| v.is_finite()), "{text:?}");
    }
}

fn scheduler(text: &str) {
    let Ok(config) = json::parse::<SchedulerConfig>(text) else { return };
    for class in [Class::Ddim, Class::Pndm, Class::Euler, Class::Heun, Class::DpmSolver, Class::Unipc, Class::Lcm] {
        let Ok(settings) = Settings::new(class, &config) else { continue };
        for (steps, strength) in [(1, 1.0), (5, 0.5)] {
            let trajectory = Path::new(settings.clone(), steps, strength).and_then(|path| path.trajectory());
            let finite = |t: &f32| t.is_finite();
            assert!(trajectory.map_or(true, |t| t.evaluations.iter().map(|e| &e.input_scale).all(finite)), "{class:?}");
        }
    }
}

#[test]
fn damaged_input_is_refused_without_a_panic() {
    all(20_000, Duration::from_secs(4));
}

#[test]
#[ignore = "ten million executions of each target: many minutes"]
fn damaged_input_is_refused_ten_million_times() {
    all(10_000_000, Duration::from_secs(3600));
}
