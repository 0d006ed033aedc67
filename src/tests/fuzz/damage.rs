//! Random edits of valid examples, from a number, so that a failure can be made again. Knows no format.

/// A small generator of its own (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Pieces that parsers stumble over.
const TOKENS: [&[u8]; 32] = [
    b"(",
    b")",
    b"[",
    b"]",
    b":",
    b"\\",
    b"BREAK",
    b",",
    b":1e9)",
    b":-1)",
    b"{",
    b"}",
    b"\"",
    b"null",
    b"-1",
    b"18446744073709551615",
    b"1e308",
    b"-Infinity",
    b"NaN",
    b"\0",
    b"\xff\xfe",
    "\u{202e}\u{301}".as_bytes(),
    "\u{1F98A}".as_bytes(),
    b"true",
    b"://",
    b"@",
    b"[::ffff:127.0.0.1]",
    b":65536",
    b"\n",
    b"Negative prompt:",
    b"Steps: 1, ",
    b"\xff\xff\xff\xff",
];

/// Longest input.
const LONGEST: usize = 1 << 16;

/// Input number `number`: one of the examples after one to eight edits (bytes changed, cut, doubled, replaced by a piece).
pub(super) fn damaged(number: u64, examples: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (number + 1));
    random.next();
    let example = &examples[random.below(examples.len())];
    let mut bytes = example.clone();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(16)).min(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, example[..end.min(example.len())].to_vec())),
            _ => drop(bytes.splice(at..end, TOKENS[random.below(TOKENS.len())].iter().copied())),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
