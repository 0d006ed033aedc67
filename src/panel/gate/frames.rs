//! Where in a stream of WebSocket frames one stands: enough to say when a frame of our own may be put in, and whether
//! anything was said. Knows no payload and no socket.

/// Reads the heads of frames as bytes pass; keeps nothing of what is in them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head so far: two bytes, up to eight of length, up to four of mask.
    head: [u8; 14],
    have: usize,
    /// Bytes of payload still to come.
    left: u64,
    /// A close frame has passed: nothing may follow it.
    closed: bool,
    /// A frame with something in it has begun.
    said: bool,
}

/// Opcode of a close frame, the first of those that are about the connection; below are messages.
const CLOSE: u8 = 8;

impl Frames {
    /// Takes note of bytes that pass.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skip = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= skip as u64;
            bytes = &bytes[skip..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.head[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if self.have == self.needed() {
                self.left = self.length();
                let opcode = self.head[0] & 0x0f;
                self.closed |= opcode == CLOSE;
                self.said |= opcode < CLOSE && self.left > 0;
                self.have = 0;
            }
        }
    }

    /// Whether a frame may be put in here.
    pub(super) fn between(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.closed
    }

    /// Whether a message, or a part of one, has begun since this was asked last. Pings, pongs and closes are none.
    pub(super) fn said(&mut self) -> bool {
        std::mem::take(&mut self.said)
    }

    /// Bytes of the length behind the first two.
    fn extended(&self) -> usize {
        match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    /// Bytes of this head; known after the second.
    fn needed(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let mask = if self.head[1] & 0x80 != 0 { 4 } else { 0 };
        2 + self.extended() + mask
    }

    fn length(&self) -> u64 {
        match self.extended() {
            0 => u64::from(self.head[1] & 0x7f),
            n => self.head[2..2 + n].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as a server or, with a mask, a client writes it.
    fn frame(opcode: u8, payload: usize, masked: bool) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match payload {
            0..126 => bytes.push(mask | u8::try_from(payload).unwrap()),
            126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(0x88, payload + if masked { 4 } else { 0 }));
        bytes
    }

    #[test]
    fn nothing_follows_a_close() {
        let mut frames = Frames::default();
        frames.pass(&frame(1, 3, false));
        assert!(frames.between());
        frames.pass(&frame(CLOSE, 2, false));
        assert!(!frames.between());
    }

    #[test]
    fn only_messages_say_something() {
        let mut frames = Frames::default();
        for (opcode, payload, said) in
            [(9, 4, false), (10, 0, false), (1, 0, false), (1, 3, true), (2, 70_000, true), (0, 1, true)]
        {
            let bytes = frame(opcode, payload, true);
            // Once for a frame, however it is cut.
            let (first, rest) = bytes.split_at(bytes.len() - 1);
            frames.pass(first);
            assert_eq!(frames.said(), said, "opcode {opcode}");
            frames.pass(rest);
            assert!(!frames.said(), "opcode {opcode} again");
        }
    }

    proptest! {
        #[test]
        fn it_stands_between_exactly_where_a_frame_ends(
            sizes in prop::collection::vec((prop_oneof![0usize..4, 120usize..132, 65_530usize..65_540], any::<bool>()), 1..6),
            step in 1usize..9_000,
        ) {
            let (mut stream, mut ends) = (Vec::new(), vec![0]);
            for (size, masked) in sizes {
                stream.extend(frame(2, size, masked));
                ends.push(stream.len());
            }
            let (mut frames, mut at) = (Frames::default(), 0);
            for piece in stream.chunks(step) {
                frames.pass(piece);
                at += piece.len();
                prop_assert_eq!(frames.between(), ends.contains(&at), "at {}", at);
            }
        }

        #[test]
        fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Frames::default().pass(&bytes);
        }
    }
}
