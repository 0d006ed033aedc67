//! Progress that scripts print: `::step 2/5 Installing PyTorch`, `::warn …`, `::error …`, each a line of its own. A pure
//! reader of bytes as they come; knows no process.

/// Longer lines are no marks.
const LINE_MAX: usize = 1000;
/// Most characters of what a mark says.
const TEXT_MAX: usize = 300;
/// Most steps of a script.
const STEPS_MAX: u32 = 10_000;

/// A line that is meant for Easel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A step begins.
    Step {
        /// From 1.
        at: u32,
        /// At least `at`.
        of: u32,
        /// What it does.
        what: String,
    },
    /// Something went wrong that the script can live with.
    Warn(String),
    /// Why the script is about to fail.
    Error(String),
}

impl Mark {
    /// Reads one line, without its end.
    pub fn parse(line: &str) -> Option<Mark> {
        let (word, rest) = line.strip_prefix("::")?.split_once(' ')?;
        let text: String = rest.trim().chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
        match word {
            "step" => {
                let (count, what) = text.split_once(' ')?;
                let (at, of) = count.split_once('/')?;
                let (at, of) = (number(at)?, number(of)?);
                let good = at >= 1 && at <= of && of <= STEPS_MAX && !what.trim().is_empty();
                good.then(|| Mark::Step { at, of, what: what.trim().to_owned() })
            }
            "warn" if !text.is_empty() => Some(Mark::Warn(text)),
            "error" if !text.is_empty() => Some(Mark::Error(text)),
            _ => None,
        }
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Finds marks in a stream that comes in pieces of any size. Holds one line at most.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    line: Vec<u8>,
    too_long: bool,
}

impl Marks {
    /// Takes the next piece; the marks whose lines end in it.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Mark> {
        let mut found = Vec::new();
        for byte in piece {
            match byte {
                // A terminal turns the end of a line into both.
                b'\n' | b'\r' => {
                    if !self.too_long {
                        found.extend(Mark::parse(&String::from_utf8_lossy(&self.line)));
                    }
                    self.line.clear();
                    self.too_long = false;
                }
                _ if self.line.len() == LINE_MAX => self.too_long = true,
                byte => self.line.push(*byte),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(at: u32, of: u32, what: &str) -> Option<Mark> {
        Some(Mark::Step { at, of, what: what.into() })
    }

    #[test]
    fn marks_are_lines_of_their_own() {
        assert_eq!(Mark::parse("::step 2/5 Installing torch"), step(2, 5, "Installing torch"));
        assert_eq!(Mark::parse("::warn it is slow"), Some(Mark::Warn("it is slow".into())));
        assert_eq!(Mark::parse("::error no disk\u{1b}[0m"), Some(Mark::Error("no disk[0m".into())));
        for line in [
            "",
            "::",
            "::step",
            "::step 2/5",
            "::step 2/5 ",
            "::step 0/5 a",
            "::step 6/5 a",
            "::step +1/5 a",
            "::step 1/99999 a",
            "::step 1/99999999999 a",
            "::step -1/5 a",
            " ::step 1/5 a",
            "::steps 1/5 a",
            "::warn ",
            "::done x",
            "step 1/5 a",
        ] {
            assert_eq!(Mark::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut marks = Marks::default();
        assert!(marks.feed(&vec![b'a'; 1 << 20]).is_empty());
        assert!(marks.line.len() <= LINE_MAX);
        assert_eq!(marks.feed(b"\n::step 1/1 next\r\n"), [step(1, 1, "next").unwrap()]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_stream_is_cut(cuts in proptest::collection::vec(1usize..9, 1..40), noise in "[ -~\u{e9}\r]{0,30}") {
            let text = format!("{noise}\n::step 1/2 Gr\u{fc}n\r\n{noise}\r::warn a\r\n::error b\n");
            let whole = Marks::default().feed(text.as_bytes());
            let (mut marks, mut rest, mut found) = (Marks::default(), text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                found.extend(marks.feed(piece));
                rest = after;
                if rest.is_empty() { break }
            }
            prop_assert_eq!(&found, &whole);
            let step_is_there = whole.contains(&step(1, 2, "Gr\u{fc}n").unwrap());
            prop_assert!(step_is_there);
        }

        #[test]
        fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            Marks::default().feed(&bytes);
        }
    }
}
