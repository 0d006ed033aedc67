//! Weights in prompts, as artists write them since A1111: `(word)`, `((word))`, `(word:1.2)`, `[word]`, `\(`, `BREAK`.
//! Knows no tokens.

/// What a round bracket multiplies by; a square one divides.
const STRONGER: f32 = 1.1;

/// Largest magnitude of a weight: beyond it the embedding's mean cannot be restored in f32.
pub const MAX_WEIGHT: f32 = 100.0;

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text with one weight.
    Text(String, f32),
    /// The rest begins a new chunk.
    Break,
}

/// Cuts a prompt into pieces. Any text is a prompt: what closes nothing is text, and what is never closed reaches to
/// the end. Neighbours of equal weight are one piece.
pub fn parse(prompt: &str) -> Vec<Piece> {
    let mut parser = Parser::default();
    let mut rest = prompt;
    while let Some(c) = rest.chars().next() {
        let taken = parser.take(c, rest);
        rest = &rest[taken..];
    }
    parser.finish()
}

#[derive(Default)]
struct Parser {
    pieces: Vec<Piece>,
    /// Where the open brackets began.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Parser {
    /// Takes the next part of `rest`, which begins with `c`; the bytes taken.
    fn take(&mut self, c: char, rest: &str) -> usize {
        match c {
            '\\' => {
                let escaped = rest[1..].chars().next().filter(|c| "()[]\\".contains(*c));
                // A backslash before anything else vanishes, as it always has.
                self.text(escaped.map(String::from).unwrap_or_default());
                1 + escaped.map_or(0, char::len_utf8)
            }
            '(' => {
                self.round.push(self.pieces.len());
                1
            }
            '[' => {
                self.square.push(self.pieces.len());
                1
            }
            ':' => match weight(rest) {
                Some((weight, taken)) if !self.round.is_empty() => {
                    let from = self.round.pop().unwrap_or_default();
                    self.multiply(from, weight);
                    taken
                }
                _ => {
                    self.text(":".into());
                    1
                }
            },
            ')' if !self.round.is_empty() => {
                let from = self.round.pop().unwrap_or_default();
                self.multiply(from, STRONGER);
                1
            }
            ']' if !self.square.is_empty() => {
                let from = self.square.pop().unwrap_or_default();
                self.multiply(from, 1.0 / STRONGER);
                1
            }
            ')' | ']' => {
                self.text(c.into());
                1
            }
            _ => {
                let end = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                self.plain(&rest[..end]);
                end
            }
        }
    }

    fn text(&mut self, text: String) {
        self.pieces.push(Piece::Text(text, 1.0));
    }

    /// Text without brackets, cut at each `BREAK` that stands alone.
    fn plain(&mut self, text: &str) {
        const WORD: &str = "BREAK";
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let (mut from, mut search) = (0, 0);
        while let Some(at) = text[search..].find(WORD).map(|at| at + search) {
            let end = at + WORD.len();
            let alone = !text[..at].ends_with(inside) && !text[end..].starts_with(inside);
            if alone {
                self.text(text[from..at].trim_end().into());
                self.pieces.push(Piece::Break);
                from = end + (text[end..].len() - text[end..].trim_start().len());
            }
            search = end.max(from);
        }
        self.text(text[from..].into());
    }

    fn multiply(&mut self, from: usize, factor: f32) {
        for piece in &mut self.pieces[from..] {
            if let Piece::Text(_, weight) = piece {
                *weight = (*weight * factor).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            }
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        for from in std::mem::take(&mut self.round) {
            self.multiply(from, STRONGER);
        }
        for from in std::mem::take(&mut self.square) {
            self.multiply(from, 1.0 / STRONGER);
        }
        let mut merged: Vec<Piece> = Vec::new();
        for piece in self.pieces {
            match (merged.last_mut(), piece) {
                (Some(Piece::Text(text, weight)), Piece::Text(more, same)) if *weight == same => text.push_str(&more),
                (_, piece) => merged.push(piece),
            }
        }
        merged
    }
}

/// A weight that closes a bracket, `: 1.2)`, and its bytes; `None` where the text is something else.
fn weight(rest: &str) -> Option<(f32, usize)> {
    let end = rest.find(')')?;
    let number = rest[1..end].trim();
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let weight: f32 = number.parse().ok()?;
    Some((weight.clamp(-MAX_WEIGHT, MAX_WEIGHT), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, weight: f32) -> Piece {
        Piece::Text(text.into(), weight)
    }

    #[test]
    fn brackets_weigh() {
        assert_eq!(parse("normal text"), [text("normal text", 1.0)]);
        assert_eq!(parse("an (important) word"), [text("an ", 1.0), text("important", 1.1), text(" word", 1.0)]);
        assert_eq!(parse("(unbalanced"), [text("unbalanced", 1.1)]);
        assert_eq!(parse("((a))"), [text("a", 1.1 * 1.1)]);
        assert_eq!(parse("[a]"), [text("a", 1.0 / 1.1)]);
        assert_eq!(parse("(a: 1.5 )b"), [text("a", 1.5), text("b", 1.0)]);
        assert_eq!(parse("(a (b:2) c:0.5)"), [text("a ", 0.5), text("b", 1.0), text(" c", 0.5)]);
        assert_eq!(parse("(a:-1)"), [text("a", -1.0)]);
    }

    #[test]
    fn escapes_and_strays_are_text() {
        assert_eq!(parse(r"\(literal\]"), [text("(literal]", 1.0)]);
        assert_eq!(parse(r"a\\b \c"), [text(r"a\b c", 1.0)]);
        assert_eq!(parse("a) b] c: d"), [text("a) b] c: d", 1.0)]);
        assert_eq!(parse("a:1.2)"), [text("a:1.2)", 1.0)]);
        assert_eq!(parse("(a:1.2.3)"), [text("a:1.2.3", 1.1)]);
        assert_eq!(parse("[a:1.5]"), [text("a:1.5", 1.0 / 1.1)]);
        assert_eq!(parse(r"\"), [text("", 1.0)]);
    }

    #[test]
    fn break_stands_alone() {
        assert_eq!(parse("a BREAK b"), [text("a", 1.0), Piece::Break, text("b", 1.0)]);
        assert_eq!(parse("BREAK"), [text("", 1.0), Piece::Break, text("", 1.0)]);
        assert_eq!(parse("BREAKFAST at DAYBREAK"), [text("BREAKFAST at DAYBREAK", 1.0)]);
        assert_eq!(parse("(a BREAK b:1.3)"), [text("a", 1.3), Piece::Break, text("b", 1.3)]);
        assert_eq!(parse("a,BREAK\n,b"), [text("a,", 1.0), Piece::Break, text(",b", 1.0)]);
    }

    #[test]
    fn weights_stay_finite() {
        let many = "(".repeat(5000) + "a";
        assert_eq!(parse(&many), [text("a", MAX_WEIGHT)]);
        assert_eq!(parse(&format!("(a:{})", "9".repeat(500))), [text("a", MAX_WEIGHT)]);
        assert_eq!(parse(&("[".repeat(5000) + "a")), [text("a", parse_weight_floor())]);
    }

    /// What five thousand divisions leave of 1.
    fn parse_weight_floor() -> f32 {
        (0..5000).fold(1.0, |w: f32, _| w * (1.0 / STRONGER))
    }
}
