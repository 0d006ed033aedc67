//! Whether a file is a picture that trainers read, and its thumbnail. Knows no name and no disk.

use crate::uploads::{hex, sentence};
use sha2::{Digest as _, Sha256};

/// What was found in a picture's file.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) mime: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sha256: String,
    /// A WebP of at most 512 pixels a side.
    pub(super) thumb: Vec<u8>,
}

/// Reads every pixel once, so that a damaged picture is refused here and not by a trainer hours later.
///
/// # Errors
/// A sentence for whoever brought the file.
pub(super) fn check(file: &[u8]) -> Result<Checked, String> {
    let probe = media::decode::probe(file).map_err(|e| sentence(&e.to_string()))?;
    if !matches!(probe.mime, "image/png" | "image/jpeg" | "image/webp") {
        return Err("Trainers read PNG, JPEG and WebP only. Save it as one of these.".into());
    }
    // Our decoder shows what there is of a JPEG; the trainers' refuses it.
    if probe.mime == "image/jpeg" && !has_end(file) {
        return Err("The picture is damaged: its end is missing.".into());
    }
    let pixels = media::decode::rgb(file).map_err(|e| sentence(&e.to_string()))?;
    let thumb = media::thumb::thumbnail(&pixels).map_err(|e| sentence(&e.to_string()))?;
    Ok(Checked { mime: probe.mime, width: probe.width, height: probe.height, sha256: hex(&Sha256::digest(file)), thumb })
}

/// Whether a JPEG goes on to its mark of the end. What cameras put behind that does not matter.
fn has_end(jpeg: &[u8]) -> bool {
    // Behind the mark of the beginning.
    let mut at = 2;
    loop {
        // The next mark: 0xff and its kind. Within a scan, 0xff is followed by 0 or by a number of restarts.
        let Some(found) = jpeg.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0xff)) else { return false };
        at += found + 1;
        match jpeg.get(at) {
            None => return false,
            Some(0xd9) => return true,
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(0xff) => {}
            // A segment tells its length, which counts itself.
            Some(_) => match jpeg.get(at + 1..at + 3) {
                Some(length) => at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_that_ends_early_is_told_from_one_with_more_behind_it() {
        let pixels = media::Rgb8::new(120, 80, (0..120 * 80 * 3u32).map(|i| ((i * i) >> 7) as u8).collect()).unwrap();
        let mut file = media::encode::jpeg(&pixels).unwrap();
        assert!(has_end(&file) && check(&file).is_ok());
        for length in 0..file.len() {
            assert!(!has_end(&file[..length]), "{length} of {}", file.len());
        }
        file.extend(b"\xff\xda\x00motion");
        assert!(check(&file).is_ok());
        let half = &file[..file.len() / 2];
        assert!(check(half).is_err());
    }
}
