//! Random recipes, texts and damage for the tests, from a seed. Knows no expectations.

use protocol::{Format, ImageRef, ModelInfo, Recipe, Sampler, draft::MAX_SEED};

/// SplitMix64 (Steele et al. 2014): small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Words of many scripts and everything that a format could trip over.
    pub(crate) fn text(&mut self) -> String {
        const PARTS: [&str; 22] = [
            "a red house",
            " ",
            ", ",
            "(snow:1.2)",
            "[fog]",
            "\n",
            ": ",
            "\"quoted\"",
            "\\(",
            "Negative prompt: x",
            "Steps: 20, Sampler: y",
            "山水画",
            "مدينة",
            "é",
            "🜁",
            "\t",
            "BREAK",
            "<lora:x:1>",
            "{a|b}",
            "\r\n",
            "\u{200f}",
            "\u{1}",
        ];
        (0..self.below(12)).map(|_| *self.pick(&PARTS)).collect()
    }

    pub(crate) fn recipe(&mut self, format: Format) -> Recipe {
        let sampler = *self.pick(&Sampler::ALL);
        let with_image = self.below(2) == 0;
        let image = with_image.then(|| ImageRef::Upload("0f".repeat(32)));
        Recipe {
            model: "easel-landscapes".into(),
            prompt: self.text(),
            negative_prompt: self.text(),
            width: 8 * (8 + self.below(200) as u32),
            height: 8 * (8 + self.below(200) as u32),
            steps: 1 + self.below(150) as u32,
            guidance: self.unit() * 30.0,
            sampler,
            schedule: *self.pick(sampler.schedules()),
            eta: self.unit(),
            guidance_rescale: self.unit(),
            clip_skip: 1 + self.below(12) as u32,
            seed: self.next() & MAX_SEED,
            batch: 1,
            strength: with_image.then(|| 0.01 + 0.99 * self.unit()),
            mask: image.clone().filter(|_| self.below(2) == 0),
            image,
            format,
        }
    }

    /// The same bytes with a few of them changed, cut out, doubled or cut off.
    pub(crate) fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[at] = self.next() as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..(at + self.below(9)).min(bytes.len()))),
                _ => bytes.insert(at, *self.pick(&[0, 0xff, 0x7f, b',', b'"'])),
            }
        }
        bytes
    }
}

/// A model that allows every recipe of [`Random::recipe`].
pub(crate) fn model() -> ModelInfo {
    ModelInfo {
        id: "easel-landscapes".into(),
        name: "Easel Landscapes".into(),
        family: "sd15".into(),
        bytes: 1,
        embedded: true,
        place: String::new(),
        about: String::new(),
        native: (256, 256),
        side: (64, 2048),
        defaults: protocol::model::Defaults {
            steps: 20,
            guidance: 7.5,
            sampler: Sampler::Dpmpp2m,
            schedule: protocol::Schedule::Karras,
            clip_skip: 1,
            guidance_rescale: 0.0,
            strength: 0.75,
        },
        presets: [(protocol::Preset::Fast, 10), (protocol::Preset::Balanced, 20), (protocol::Preset::Quality, 40)],
        samplers: Sampler::ALL.to_vec(),
        chunk_tokens: 75,
        inpaint_channels: false,
        vocabulary: Vec::new(),
        surprises: Vec::new(),
        examples: Vec::new(),
    }
}
