//! Secrets in lines that come from elsewhere: a tool that prints its address with its token, a client's header. What
//! Easel logs itself holds none. Pure.

/// What stands before a secret, in lower case, up to which character it goes on.
const BEFORE: [&str; 8] = ["token=", "api_key=", "apikey=", "key=", "password=", "passwd=", "secret=", "authorization: bearer "];
/// How a secret itself begins: access tokens of Easel, Hugging Face, GitHub, OpenAI-like services, Civitai's links.
const BEGINS: [&str; 6] = ["easel_", "hf_", "ghp_", "github_pat_", "sk-", "rpa_"];
/// Characters of a secret that begins so, at least; fewer are a word.
const LEAST: usize = 16;
/// What is shown instead.
const SHOWN: &str = "•••";

fn is_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '/' | '=' | '%')
}

/// The text with what looks like a secret replaced.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word_begins = !out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if word_begins && let Some((shown, hidden)) = secret_at(rest) {
            out.push_str(&rest[..shown]);
            out.push_str(SHOWN);
            rest = &rest[shown + hidden..];
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Lengths of what is shown before a secret that begins here, and of the secret.
fn secret_at(text: &str) -> Option<(usize, usize)> {
    let length = |text: &str| text.chars().take_while(|c| is_secret(*c)).map(char::len_utf8).sum::<usize>();
    for before in BEFORE {
        let Some(head) = text.get(..before.len()) else { continue };
        if head.eq_ignore_ascii_case(before) {
            let quote = usize::from(text[before.len()..].starts_with(['"', '\'']));
            let shown = before.len() + quote;
            let hidden = length(&text[shown..]);
            return (hidden > 0).then_some((shown, hidden));
        }
    }
    let begin = BEGINS.iter().find(|begin| text.starts_with(**begin))?;
    let hidden = length(&text[begin.len()..]);
    (hidden >= LEAST).then_some((begin.len(), hidden))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_of_tools_are_hidden_and_the_rest_stays() {
        for (line, shown) in [
            ("http://127.0.0.1:8888/lab?token=0a1b2c3d4e&x=1", "http://127.0.0.1:8888/lab?token=•••&x=1"),
            ("Authorization: Bearer abc.def-1", "Authorization: Bearer •••"),
            ("login with hf_abcdefghijklmnopqrst now", "login with hf_••• now"),
            ("--password='p a' and KEY=42", "--password='••• a' and KEY=•••"),
            ("the key is elsewhere; monkey=1; hf_hub 0.36", "the key is elsewhere; monkey=1; hf_hub 0.36"),
            ("steps=20 größe=3 token=", "steps=20 größe=3 token="),
        ] {
            assert_eq!(masked(line), shown);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_a_panic_and_masking_twice_changes_nothing(line in "\\PC{0,60}(token=|hf_)?[a-z0-9]{0,30}\\PC{0,20}") {
            let once = masked(&line);
            prop_assert_eq!(masked(&once), once);
        }
    }
}
