//! Pictures as files: decoding what people upload, encoding what the engine painted, thumbnails, and the
//! recipe inside a file. Knows pixels, files and recipes; knows no tensors, no web and no store.

pub mod comfy;
pub mod decode;
pub mod encode;
mod exif;
pub mod infotext;
pub mod inspect;
mod names;
mod pixels;
pub mod resize;
mod swarm;
pub mod thumb;

pub use decode::{DecodeError, Probe};
pub use encode::EncodeError;
pub use inspect::{Inspected, Source};
pub use pixels::{Gray8, Rgb8};

#[cfg(test)]
mod tests {
    pub(crate) mod random;
}
