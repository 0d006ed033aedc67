//! What a script of a tool must begin with, and what none may say. Reads text; runs nothing.

/// Words that no script may use, and why.
const REFUSED: [(&str, &str); 9] = [
    ("fuser", "nothing is killed by port; ask the tool to end, the rest is Easel's"),
    ("pkill", "nothing is killed by name; ask the process EASEL_PID to end"),
    ("killall", "nothing is killed by name; ask the process EASEL_PID to end"),
    ("sudo", "what needs root is apt = [...] in tool.toml, which Easel does"),
    ("apt-get", "Debian packages are apt = [...] in tool.toml, which Easel installs"),
    ("eval", "text must never become a command; use arrays"),
    ("0.0.0.0", "tools listen on EASEL_HOST; Easel's gate is what others reach"),
    ("reset --hard", "it loses what somebody changed by hand; get_repository of setup/lib keeps it"),
    ("StrictHostKeyChecking=no", "a host that nobody checked is any host"),
];

/// Sentences about a script, each with its line where it has one.
pub(super) fn problems(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("#!/usr/bin/env bash\n") {
        found.push("line 1: must be #!/usr/bin/env bash, with Unix line ends".to_owned());
    }
    let strict = text.lines().any(|line| matches!(line.trim(), "set -euo pipefail") || sources_the_library(line));
    if !strict {
        found.push("must say set -euo pipefail, or begin with source \"…/lib/easel.sh\", which does".to_owned());
    }
    for (i, line) in text.lines().enumerate() {
        let code = without_comment(line);
        for (word, why) in REFUSED.iter().filter(|(word, _)| says(code, word)) {
            found.push(format!("line {}: {word}: {why}", i + 1));
        }
    }
    found
}

fn sources_the_library(line: &str) -> bool {
    line.starts_with("source ") && line.trim_end().trim_end_matches('"').ends_with("/lib/easel.sh")
}

/// A `#` begins a comment at the start of a word, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..i],
            (None, '\'' | '"') if before != '\\' => quote = Some(c),
            (Some(q), c) if c == q && before != '\\' => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

/// As a word of its own: `eval` is neither in `evaluate` nor in `--eval`.
fn says(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    code.match_indices(word).any(|(i, _)| !code[..i].ends_with(part) && !code[i + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#!/usr/bin/env bash\nset -euo pipefail\necho ok\n";

    fn with(line: &str) -> Vec<String> {
        problems(&format!("{GOOD}{line}\n"))
    }

    #[test]
    fn a_plain_script_is_fine() {
        assert!(problems(GOOD).is_empty());
        assert!(problems("#!/usr/bin/env bash\nsource \"$(dirname \"$0\")/../lib/easel.sh\"\n").is_empty());
        for line in ["# never fuser, pkill or killall", "node --eval 1", "evaluate x", "x='a # b'; echo 10.0.0.0"] {
            assert_eq!(with(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn what_kills_by_name_or_port_is_refused_with_its_line() {
        for line in [
            "fuser -k 8188/tcp",
            "  pkill -f main.py",
            "x=$(killall python)",
            "/usr/bin/fuser -k 1",
            "true;pkill x",
            "echo '#'; eval \"$x\"",
        ] {
            let found = with(line);
            assert!(found.len() == 1 && found[0].starts_with("line 4: "), "{line}: {found:?}");
        }
        assert!(with("python main.py --listen 0.0.0.0").len() == 1 && with("git reset --hard origin/main").len() == 1);
    }

    #[test]
    fn a_script_must_stop_at_errors() {
        assert_eq!(problems("#!/usr/bin/env bash\nset -e\n").len(), 1);
        assert_eq!(problems("#!/bin/sh\r\nset -euo pipefail\n").len(), 1);
    }
}
