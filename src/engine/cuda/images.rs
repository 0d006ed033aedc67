//! The kernels as `build/kernels.rs` compiled them, and which of them a card takes. Knows no driver.

use lzma_rust2::XzReader;
use std::io::Read as _;

include!(concat!(env!("OUT_DIR"), "/images.rs"));

/// A card's compute capability: major and minor.
pub(super) type Capability = (u32, u32);

/// The cards that an image runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "a build without a compiler for kernels has no image")]
pub(super) enum RunsOn {
    /// Those of the same major version, from this minor one on (`sm_86`).
    Family(u32, u32),
    /// Those of just this capability (`sm_90a`).
    Exactly(u32, u32),
    /// All from this one on, whose driver translates it (`compute_120`).
    Later(u32, u32),
}

/// All kernels, for some cards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    runs_on: RunsOn,
    /// Its size when it is unpacked.
    bytes: usize,
    /// By xz.
    packed: &'static [u8],
}

impl Image {
    /// What a driver loads: machine code (ELF), or assembly with its final zero. In words, because a driver reads it as such.
    ///
    /// # Errors
    /// Where it is not what was compiled, in words.
    pub(super) fn unpack(&self) -> Result<Vec<u64>, String> {
        let mut words = vec![0u64; self.bytes.div_ceil(8)];
        let mut unpacker = XzReader::new(self.packed, false);
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..self.bytes];
        // The checksum is looked at by whoever reads beyond the end.
        let whole = unpacker.read_exact(bytes).and_then(|()| unpacker.read(&mut [0]));
        match whole {
            Ok(0) => Ok(words),
            Ok(_) => Err("the program's kernels are damaged: there are too many".to_owned()),
            Err(e) => Err(format!("the program's kernels are damaged: {e}")),
        }
    }
}

/// How well something that runs on those suits a card: nothing where it does not run there, else the more the better.
fn suits(runs_on: RunsOn, card: Capability) -> Option<(u32, Capability)> {
    match runs_on {
        RunsOn::Exactly(major, minor) => ((major, minor) == card).then_some((2, card)),
        RunsOn::Family(major, minor) => (major == card.0 && minor <= card.1).then_some((1, (major, minor))),
        RunsOn::Later(major, minor) => ((major, minor) <= card).then_some((0, (major, minor))),
    }
}

/// The cards that there are kernels for, and the drivers that take them: one line, in words.
pub(crate) fn in_words() -> String {
    let called = |image: &Image| match image.runs_on {
        RunsOn::Family(major, minor) | RunsOn::Exactly(major, minor) => format!("{major}.{minor}"),
        RunsOn::Later(..) => "later".to_owned(),
    };
    let cards: Vec<String> = IMAGES.iter().map(called).collect();
    match cards.split_last() {
        None => "no kernels for NVIDIA GPUs".to_owned(),
        Some((last, others)) => format!(
            "kernels for NVIDIA GPUs of compute capability {} and {last}, with drivers for CUDA {} or newer",
            others.join(", "),
            cuda(OLDEST_DRIVER)
        ),
    }
}

/// A version of CUDA in words, as drivers count: 12080 is 12.8.
pub(super) fn cuda(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// The image for a card, out of those that there are.
pub(super) fn suitable(images: &[Image], card: Capability) -> Option<&Image> {
    let suited = images.iter().filter_map(|image| Some((suits(image.runs_on, card)?, image)));
    suited.max_by_key(|(how_well, _)| *how_well).map(|(_, image)| image)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RunsOn; 7] = [
        RunsOn::Family(8, 0),
        RunsOn::Family(8, 6),
        RunsOn::Family(8, 9),
        RunsOn::Exactly(9, 0),
        RunsOn::Family(10, 0),
        RunsOn::Family(12, 0),
        RunsOn::Later(12, 0),
    ];

    #[test]
    fn a_card_gets_what_was_compiled_nearest_to_it() {
        let images = ALL.map(|runs_on| Image { runs_on, bytes: 0, packed: &[] });
        for (card, expected) in [
            // A100, A40 and RTX 3090, L40S and RTX 4090
            ((8, 0), Some(RunsOn::Family(8, 0))),
            ((8, 6), Some(RunsOn::Family(8, 6))),
            ((8, 9), Some(RunsOn::Family(8, 9))),
            // H100, B200, B300, RTX 5090, DGX Spark
            ((9, 0), Some(RunsOn::Exactly(9, 0))),
            ((10, 0), Some(RunsOn::Family(10, 0))),
            ((10, 3), Some(RunsOn::Family(10, 0))),
            ((12, 0), Some(RunsOn::Family(12, 0))),
            ((12, 1), Some(RunsOn::Family(12, 0))),
            // What comes, and what the assembly is too new for: Thor is older than it by its number, T4 by its years.
            ((13, 0), Some(RunsOn::Later(12, 0))),
            ((11, 0), None),
            ((7, 5), None),
        ] {
            assert_eq!(suitable(&images, card).map(|image| image.runs_on), expected, "{card:?}");
        }
        assert!(suitable(&[], (8, 0)).is_none());
    }

    #[test]
    fn a_damaged_image_is_refused() {
        let mut packed = vec![
            0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00, 0x00,
            0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x02, 0x61, 0x62, 0x63, 0x00, 0x00, 0xc2, 0x41, 0x24, 0x35, 0x00, 0x01,
            0x17, 0x03, 0x07, 0x60, 0x0c, 0xbc, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
        ];
        let image = Image { runs_on: RunsOn::Family(8, 0), bytes: 3, packed: packed.clone().leak() };
        assert_eq!(bytemuck::cast_slice::<u64, u8>(&image.unpack().unwrap())[..4], *b"abc\0");
        let at = packed.windows(3).position(|bytes| bytes == b"abc").unwrap();
        packed[at] = b'A';
        let other = packed.leak();
        for wrong in [Image { bytes: 4, ..image }, Image { bytes: 2, ..image }, Image { packed: other, ..image }] {
            assert!(wrong.unpack().is_err_and(|why| why.contains("damaged")), "{wrong:?}");
        }
    }

    /// Where this build has kernels: each image is machine code for NVIDIA's cards, or assembly that ends.
    #[test]
    fn what_was_compiled_is_what_a_driver_loads() {
        for image in IMAGES {
            let words = image.unpack().unwrap();
            let bytes: &[u8] = &bytemuck::cast_slice(&words)[..image.bytes];
            match image.runs_on {
                RunsOn::Family(..) | RunsOn::Exactly(..) => {
                    assert_eq!(bytes[..4], *b"\x7fELF");
                    // EM_CUDA
                    assert_eq!(bytes[18..20], [190, 0]);
                }
                RunsOn::Later(..) => {
                    assert!(bytes.ends_with(b"\0"));
                    assert!(String::from_utf8_lossy(bytes).contains(".target sm_120"));
                }
            }
        }
        assert_eq!(in_words().starts_with("no kernels"), IMAGES.is_empty());
        println!("{}: {} bytes packed", in_words(), IMAGES.iter().map(|image| image.packed.len()).sum::<usize>());
    }
}
