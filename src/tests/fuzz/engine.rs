//! What the engine reads: weight files, model configurations, prompts and the panel's messages. Knows what each must
//! never do.

use super::{TEN_MILLION, hammer, texts};
use engine::{
    json,
    latent::LatentFormat,
    registry,
    samplers::Path,
    schedule::{Class, SchedulerConfig, Settings},
    text::{self, Tokenizer},
    weights::{Bytes, safetensors},
};
use memmap2::MmapMut;
use protocol::{FromEngine, JobId, Problem, ToEngine, frame};
use std::sync::Arc;

#[test]
fn container() {
    let header = br#"{"__metadata__":{"format":"pt"},"conv_in.weight":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([7; 16]);
    hammer("engine::container", TEN_MILLION, &[bytes], |bytes| {
        let mut map = MmapMut::map_anon(bytes.len().max(1)).unwrap();
        map[..bytes.len()].copy_from_slice(bytes);
        let map = map.make_read_only().unwrap();
        let Ok(tensors) = safetensors::parse(Bytes::Mapped(Arc::new(map))) else { return };
        for name in tensors.names() {
            let tensor = tensors.get(name).unwrap();
            assert_eq!(tensor.bytes().len(), tensor.dims.iter().product::<usize>() * tensor.dtype.size());
        }
        let _ = registry::identify(&tensors);
    });
}

#[test]
fn prompt() {
    let clip = Tokenizer::clip();
    let examples = texts(&["a (red:1.2) boat, [dark] sea \\(x\\) BREAK ((moon))", "one, two, three, four, five"]);
    hammer("engine::prompt", TEN_MILLION, &examples, |bytes| {
        let chunks = text::chunks(&String::from_utf8_lossy(bytes), &clip);
        assert!(!chunks.is_empty());
        for chunk in &chunks {
            assert_eq!((chunk.ids.len(), chunk.weights.len()), (text::prompt::PLACES, text::prompt::PLACES));
            let mut embedding = vec![0.5f32; 2 * text::prompt::PLACES];
            text::apply_weights(&mut embedding, chunk);
            assert!(embedding.iter().all(|v| v.is_finite()));
        }
    });
}

const SCHEDULER: &str = r#"{"num_train_timesteps": 100, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "steps_offset": 1, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": true,
    "solver_order": 3, "lambda_min_clipped": -Infinity, "trained_betas": null, "original_inference_steps": 20}"#;

#[test]
fn scheduler() {
    hammer("engine::scheduler", TEN_MILLION, &texts(&[SCHEDULER]), |bytes| {
        let Ok(config) = json::parse::<SchedulerConfig>(&String::from_utf8_lossy(bytes)) else { return };
        for class in [Class::Ddim, Class::Pndm, Class::Euler, Class::Heun, Class::DpmSolver, Class::Unipc, Class::Lcm] {
            let Ok(settings) = Settings::new(class, &config) else { continue };
            for (steps, strength) in [(1, 1.0), (5, 0.5)] {
                let trajectory = Path::new(settings.clone(), steps, strength).and_then(|path| path.trajectory());
                let finite = |t: &f32| t.is_finite();
                assert!(trajectory.map_or(true, |t| t.evaluations.iter().map(|e| &e.input_scale).all(finite)), "{class:?}");
            }
        }
    });
}

#[test]
fn preview() {
    let examples = texts(&[r#"{"factors": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]}"#]);
    hammer("engine::preview", TEN_MILLION, &examples, |bytes| {
        let colours = LatentFormat::stable_diffusion_1().with_colours(&String::from_utf8_lossy(bytes));
        let _ = colours.map(|format| format.preview(&[0.5; 16], 2, 2));
    });
}

#[test]
fn tokenizer() {
    let vocabulary = r#"{"!": 0, "a": 1, "b</w>": 2, "ab</w>": 3, ",</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6}"#;
    let merges = "#version: 0.2\na b</w>\n";
    // Each input builds a tokenizer with its regular expression, which takes a millisecond.
    hammer("engine::tokenizer", TEN_MILLION / 10, &texts(&[vocabulary, merges]), |bytes| {
        let damaged = String::from_utf8_lossy(bytes).into_owned();
        // What looks like JSON stands in for each of the JSON files in turn.
        let names: &[&str] = match bytes.first() {
            Some(b'{') => &["vocab.json", "tokenizer.json", "tokenizer_config.json"],
            _ => &["merges.txt"],
        };
        let damaged_name = names[bytes.len() % names.len()];
        let file = |name: &str| match name {
            name if name == damaged_name => Some(damaged.clone()),
            "vocab.json" => Some(vocabulary.into()),
            "merges.txt" => Some(merges.into()),
            _ => None,
        };
        let _ = Tokenizer::load(&file).map(|t| t.encode("ab, ba"));
    });
}

#[test]
fn message() {
    let job = JobId("01J0000000000000000000000A".into());
    let body = |message: &ToEngine| frame::encode(message).unwrap()[4..].to_vec();
    let answer = |message: &FromEngine| frame::encode(message).unwrap()[4..].to_vec();
    let examples = [
        body(&ToEngine::CountTokens { ask: 7, model: "easel-landscapes".into(), prompt: "a boat".into() }),
        body(&ToEngine::Cancel { job: job.clone() }),
        answer(&FromEngine::Step { job: job.clone(), step: 1, steps: 20, eta_s: 1.5, preview: Some(vec![1, 2, 3]) }),
        answer(&FromEngine::Failed { job, problem: Problem::new("No.").remedy("Try again.") }),
    ];
    hammer("engine::message", TEN_MILLION, &examples, |bytes| {
        if let Some(prefix) = bytes.first_chunk::<4>() {
            assert!(frame::body_length(*prefix).map_or(true, |length| length <= frame::MAX_FRAME));
        }
        // What was understood can be said again.
        if let Ok(message) = frame::decode::<ToEngine>(bytes) {
            frame::encode(&message).unwrap();
        }
        if let Ok(message) = frame::decode::<FromEngine>(bytes) {
            frame::encode(&message).unwrap();
        }
    });
}
