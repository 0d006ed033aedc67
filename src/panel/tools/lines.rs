//! The last line of a terminal as plain text, for a card. Reads bytes; draws nothing.

/// Most characters that a card shows.
const SHOWN: usize = 160;
/// Bytes of the end that are looked at.
pub const ENOUGH: usize = 4096;

/// The last line that says something, without colours and without what a progress bar wrote over. Empty where there is
/// none.
pub fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(ENOUGH)..]).into_owned();
    let plain = without_escapes(&text);
    let lines = plain.rsplit('\n').map(overwritten).map(str::trim);
    let line = lines.filter(|line| !line.starts_with("::")).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// Of a line that was written over after a carriage return, what stands there now.
fn overwritten(line: &str) -> &str {
    line.trim_end_matches('\r').rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or_default()
}

/// Without the escape sequences of ECMA-48: CSI, OSC and single ones.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            // CSI: parameters, then one final byte.
            Some('[') => drop(chars.by_ref().find(|c| ('@'..='~').contains(c))),
            // OSC: up to BEL or ESC \.
            Some(']') => {
                while let Some(c) = chars.next() {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_titles_and_overwritten_progress_are_left_out() {
        for (bytes, line) in [
            ("", ""),
            ("one\r\ntwo\r\n\r\n", "two"),
            ("\u{1b}[32mok\u{1b}[0m 2.1 s\r\n", "ok 2.1 s"),
            ("torch 10 %\rtorch 61 %", "torch 61 %"),
            ("torch 61 %\r", "torch 61 %"),
            ("done\r\n::step 2/5 Next\r\n", "done"),
            ("\u{1b}]0;title\u{7}shown\n", "shown"),
            ("\u{1b}]0;title\u{1b}\\shown\n", "shown"),
        ] {
            assert_eq!(last_line(bytes.as_bytes()), line, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_short_line_without_controls(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
            let line = last_line(&bytes);
            prop_assert!(line.chars().count() <= SHOWN && !line.chars().any(char::is_control));
        }
    }
}
