//! SwarmUI's way of writing settings into a picture: JSON with an object `sui_image_params`. Knows the format
//! and our names for its values; knows no files.

use crate::infotext::{Read, number, set_sampler};
use protocol::{draft::MAX_SEED, model::id_of_name};
use serde_json::Value;

/// The settings in SwarmUI's JSON; `None` where it is not that.
pub(crate) fn read(text: &str) -> Option<Read> {
    let json: Value = serde_json::from_str(text).ok()?;
    let params = json.get("sui_image_params")?.as_object()?;
    // Numbers are written as numbers or as strings, depending on the version.
    let get = |key: &str| match params.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut read = Read::default();
    let draft = &mut read.draft;
    draft.prompt = get("prompt");
    draft.negative_prompt = get("negativeprompt");
    draft.model = get("model").map(|m| id_of_name(&m)).filter(|id| !id.is_empty());
    draft.seed = get("seed").and_then(|v| v.parse().ok()).filter(|s| *s <= MAX_SEED);
    draft.steps = get("steps").and_then(|v| v.parse().ok());
    draft.guidance = get("cfgscale").as_deref().and_then(number);
    draft.width = get("width").and_then(|v| v.parse().ok());
    draft.height = get("height").and_then(|v| v.parse().ok());
    draft.strength = get("initimagecreativity").as_deref().and_then(number);
    // Counted from the end: -1 is the last layer, which A1111 calls 1.
    draft.clip_skip = get("clipstopatlayer").and_then(|v| v.parse::<i32>().ok()).map(i32::unsigned_abs).filter(|n| *n > 0);
    set_sampler(&mut read, get("sampler").as_deref(), get("scheduler").as_deref());
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = r#"{"sui_image_params":{"prompt":"a fox, watercolour","negativeprompt":"blurry","model":"sd15/Dream Shaper.safetensors",
            "seed":42,"steps":"30","cfgscale":6.5,"aspectratio":"1:1","width":512,"height":768,"sampler":"dpmpp_2m_sde","scheduler":"karras",
            "clipstopatlayer":-2,"swarm_version":"0.9.4"},"sui_extra_data":{"date":"2026-01-01"}}"#;
        let read = read(text).unwrap();
        let d = &read.draft;
        assert_eq!(d.prompt.as_deref(), Some("a fox, watercolour"));
        assert_eq!(d.negative_prompt.as_deref(), Some("blurry"));
        assert_eq!(d.model.as_deref(), Some("dream-shaper"));
        assert_eq!((d.seed, d.steps, d.guidance), (Some(42), Some(30), Some(6.5)));
        assert_eq!((d.width, d.height, d.clip_skip), (Some(512), Some(768), Some(2)));
        assert_eq!((d.sampler.as_deref(), d.schedule.as_deref()), (Some("dpmpp2m_sde"), Some("karras")));
        assert!(read.notes.is_empty(), "{:?}", read.notes);
    }

    #[test]
    fn other_json_is_left_alone() {
        assert_eq!(super::read(r#"{"prompt":"x"}"#), None);
        assert_eq!(super::read("not json"), None);
        assert!(super::read(r#"{"sui_image_params":{"seed":-1,"clipstopatlayer":-2147483648}}"#).unwrap().draft.seed.is_none());
    }
}
