//! What the embedded model is and how well it paints. Knows no training.

mod reader;
mod score;

use super::*;

#[test]
fn a_model_is_whole_or_absent() {
    for part in ["unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"] {
        assert_eq!(file(part).is_some(), is_there(), "{part}");
    }
    assert!(weight_bytes() <= 16 << 20, "{} bytes", weight_bytes());
}
