//! Pixels in memory: interleaved RGB and single-channel grey, eight bits each, sRGB as found in files.
//! Knows no file format.

use std::fmt;

/// A colour picture, rows from the top, three bytes a pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

/// A grey picture, rows from the top, one byte a pixel. As a mask: 255 is painted again, 0 is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Gray8 {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

macro_rules! pixels {
    ($name:ident, $channels:literal) => {
        impl $name {
            /// A picture of these pixels; `None` where `data` is not `width * height * channels` long.
            pub fn new(width: u32, height: u32, data: Vec<u8>) -> Option<$name> {
                let wanted = u64::from(width) * u64::from(height) * $channels;
                (wanted == data.len() as u64).then_some($name { width, height, data })
            }

            /// Pixels from left to right.
            pub fn width(&self) -> u32 {
                self.width
            }

            /// Pixels from top to bottom.
            pub fn height(&self) -> u32 {
                self.height
            }

            /// The bytes, row after row.
            pub fn data(&self) -> &[u8] {
                &self.data
            }

            /// The bytes, without a copy.
            pub fn into_data(self) -> Vec<u8> {
                self.data
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} × {})"), self.width, self.height)
            }
        }
    };
}

pixels!(Rgb8, 3);
pixels!(Gray8, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_as_many_bytes_as_its_size_says() {
        assert!(Rgb8::new(2, 3, vec![0; 18]).is_some());
        assert!(Rgb8::new(2, 3, vec![0; 17]).is_none());
        assert!(Gray8::new(u32::MAX, u32::MAX, vec![0; 1]).is_none());
    }
}
