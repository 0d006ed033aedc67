//! Reads a PIN or password: typed unseen and twice on a terminal, or one line of standard input. Never an
//! argument, which other users of the machine could read. Knows no rule about secrets.

use anyhow::{Context as _, bail};
use panel::secrets::Secret;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

/// Longest line that is read, in bytes.
const LINE_MAX: u64 = 4096;

/// Asks for a new secret.
pub(crate) fn read_new(what: &str) -> anyhow::Result<Secret> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().take(LINE_MAX).read_line(&mut line).context("reading standard input")?;
        let text = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)));
    }
    let first = rpassword::prompt_password(format!("New {what}: ")).context("reading from the terminal")?;
    let again = rpassword::prompt_password(format!("The same {what} again: ")).context("reading from the terminal")?;
    if first != again {
        bail!("These were two different ones. Nothing was changed.");
    }
    Ok(Secret::new(first))
}
