//! The model inside the program: a diffusers folder as bytes. Knows names of files, no format.

/// Id of the embedded model in recipes.
pub const ID: &str = "easel-landscapes";
/// Its name.
pub const NAME: &str = "Easel Landscapes";

/// Bytes at an address that every element type may stand at.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

/// Path below the model's folder, contents. Empty in a build without the model.
static FILES: &[(&str, &Aligned<[u8]>)] = &include!(concat!(env!("OUT_DIR"), "/embedded_files.rs"));

/// Whether this build carries the model.
pub fn is_there() -> bool {
    file("model_index.json").is_some()
}

/// A file of the model, by its path below the model's folder: `unet/config.json`.
pub fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| &bytes.0)
}

/// Bytes of all weights.
pub fn weight_bytes() -> u64 {
    FILES.iter().filter(|(name, _)| name.ends_with(".safetensors")).map(|(_, bytes)| bytes.0.len() as u64).sum()
}

#[cfg(test)]
mod tests;
