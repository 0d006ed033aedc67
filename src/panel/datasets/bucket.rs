//! Into which bucket a trainer puts a picture, and what it cuts off: sd-scripts' bucketing with `bucket_no_upscale`.
//! Pure; knows sizes and no picture.
//!
//! A picture is made smaller until its area is the training resolution's, never larger. Its sides are rounded down to
//! steps of 64 pixels, and what is over is cut off evenly on both sides.

/// Pixels from one size of bucket to the next.
const STEP: u32 = 64;
/// The training resolutions that are offered.
pub const RESOLUTIONS: [u32; 3] = [512, 768, 1024];

/// How a picture is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The bucket: width and height in pixels, multiples of 64. None where a side is shorter than that.
    pub bucket: Option<(u32, u32)>,
    /// What is kept of the picture, in shares of its width and height: left, top, width, height.
    pub kept: (f64, f64, f64, f64),
    /// Its area is below the resolution's, so it is trained smaller than the others.
    pub small: bool,
}

/// Where a picture of this size goes at a training resolution (pixels of one side of a square).
pub fn fit(width: u32, height: u32, resolution: u32) -> Fit {
    let most = u64::from(resolution) * u64::from(resolution);
    let area = u64::from(width) * u64::from(height);
    let small = area < most;
    let (w, h) = if area > most { shrunk(width, height, resolution) } else { (width, height) };
    let (bw, bh) = within(w - w % STEP, h - h % STEP, most);
    if bw == 0 || bh == 0 {
        return Fit { bucket: None, kept: (0.0, 0.0, 1.0, 1.0), small: true };
    }
    let (share_w, share_h) = (f64::from(bw) / f64::from(w), f64::from(bh) / f64::from(h));
    Fit { bucket: Some((bw, bh)), kept: ((1.0 - share_w) / 2.0, (1.0 - share_h) / 2.0, share_w, share_h), small }
}

/// The size that a picture that is too large is scaled to: one side is a multiple of [`STEP`], the one with which the
/// bucket's shape is nearer to the picture's.
fn shrunk(width: u32, height: u32, resolution: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    let exact_w = f64::from(resolution) * ratio.sqrt();
    let exact_h = f64::from(resolution) / ratio.sqrt();
    // By width, then by height: the rounded side, the bucket's other side, the scaled other side.
    let (by_w, by_h) = (stepped(exact_w), stepped(exact_h));
    let off = |w: f64, h: f64| if w > 0.0 && h > 0.0 { (w / h - ratio).abs() } else { f64::INFINITY };
    let off_w = off(by_w, stepped(by_w / ratio));
    let off_h = off(stepped(by_h * ratio), by_h);
    if off_w < off_h { (by_w as u32, rounded(by_w / ratio)) } else { (rounded(by_h * ratio), by_h as u32) }
}

/// Rounded, then down to a multiple of [`STEP`].
fn stepped(side: f64) -> f64 {
    let side = rounded(side);
    f64::from(side - side % STEP)
}

fn rounded(side: f64) -> u32 {
    (side + 0.5) as u32
}

/// Steps off the longer side until the area is within the limit: rounding can bring a very long picture just over it.
fn within(mut width: u32, mut height: u32, most: u64) -> (u32, u32) {
    while u64::from(width) * u64::from(height) > most {
        if width >= height { width -= STEP } else { height -= STEP }
    }
    (width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(width: u32, height: u32, resolution: u32) -> (u32, u32) {
        fit(width, height, resolution).bucket.unwrap()
    }

    #[test]
    fn known_sizes_go_where_sd_scripts_puts_them() {
        // Taken from BucketManager(no_upscale=True, max_reso=(r, r), reso_steps=64).select_bucket(w, h).
        for (size, resolution, wanted) in [
            ((512, 512), 512, (512, 512)),
            ((1024, 1024), 512, (512, 512)),
            ((1024, 768), 512, (512, 384)),
            ((1920, 1080), 512, (640, 384)),
            ((1080, 1920), 512, (384, 640)),
            ((1920, 1080), 1024, (1344, 768)),
            ((3000, 2000), 768, (832, 576)),
            ((4000, 1000), 1024, (2048, 512)),
            ((500, 500), 512, (448, 448)),
            ((640, 100), 512, (640, 64)),
        ] {
            assert_eq!(bucket(size.0, size.1, resolution), wanted, "{size:?} at {resolution}");
        }
    }

    #[test]
    fn a_picture_that_fits_is_kept_whole_and_a_small_one_is_marked() {
        assert_eq!(fit(512, 512, 512), Fit { bucket: Some((512, 512)), kept: (0.0, 0.0, 1.0, 1.0), small: false });
        assert!(fit(500, 500, 512).small);
        assert_eq!(fit(63, 2000, 512).bucket, None);
        assert!(fit(1, 1, 512).small);
    }

    proptest! {
        #[test]
        fn every_bucket_is_in_steps_within_the_area_and_never_enlarges(
            width in 1u32..8192, height in 1u32..8192, resolution in prop::sample::select(RESOLUTIONS.to_vec())
        ) {
            let fit = fit(width, height, resolution);
            let (left, top, w, h) = fit.kept;
            prop_assert!(left >= 0.0 && top >= 0.0 && left + w <= 1.0 + 1e-9 && top + h <= 1.0 + 1e-9);
            // The cut is in the middle.
            prop_assert!((left * 2.0 + w - 1.0).abs() < 1e-9 && (top * 2.0 + h - 1.0).abs() < 1e-9);
            if let Some((bw, bh)) = fit.bucket {
                prop_assert!(bw % STEP == 0 && bh % STEP == 0 && bw > 0 && bh > 0);
                prop_assert!(u64::from(bw) * u64::from(bh) <= u64::from(resolution).pow(2));
                prop_assert!(bw <= width && bh <= height, "{bw} x {bh} of {width} x {height}");
                // What is kept has the bucket's shape: pixels are scaled alike on both axes, to a pixel of rounding.
                let (kept_w, kept_h) = (w * f64::from(width), h * f64::from(height));
                let (by_w, by_h) = (f64::from(bw) / kept_w, f64::from(bh) / kept_h);
                prop_assert!((by_w / by_h - 1.0).abs() < 1.0 / f64::from(bw.min(bh)) * 2.0 + 1e-9);
            } else {
                // Too narrow itself, or so long that scaling makes it so.
                prop_assert!(width.min(height) < STEP || width.max(height) > 60 * width.min(height));
            }
        }

        #[test]
        fn turning_a_picture_turns_its_bucket_or_the_shape_is_a_tie(width in 64u32..5000, height in 64u32..5000) {
            let (a, b) = (fit(width, height, 768).bucket, fit(height, width, 768).bucket);
            prop_assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                prop_assert!(a.0.abs_diff(b.1) <= 2 * STEP && a.1.abs_diff(b.0) <= 2 * STEP);
            }
        }
    }
}
