//! Pictures as files: decoding what people upload, encoding what the engine painted, thumbnails, and the
//! recipe inside a file; of videos and sounds what their heads say. Knows pixels, files and recipes; knows no tensors, no web and no store.

pub mod comfy;
pub mod decode;
pub mod encode;
mod exif;
pub mod infotext;
pub mod inspect;
pub mod kind;
mod mp4;
mod names;
mod pixels;
pub mod played;
pub mod resize;
mod sound;
mod swarm;
pub mod thumb;
mod webm;

pub use decode::{DecodeError, Probe};
pub use encode::EncodeError;
pub use inspect::{Inspected, Source};
pub use kind::{Format, Kind};
pub use pixels::{Gray8, Rgb8};

#[cfg(test)]
mod tests {
    pub(crate) mod random;
}
