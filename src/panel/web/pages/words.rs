//! Numbers in the product's words: 1,204 · 31 kB · 4.3 GB · 12:41. Knows no page.

/// A count with separators: 1,204.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size, decimal as disks are sold: 31 kB, 4.3 GB.
pub(super) fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 999.5 && unit < 4 {
        value /= 1000.0;
        unit += 1;
    }
    let name = ["B", "kB", "MB", "GB", "TB"][unit];
    if unit > 1 && value < 99.5 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") }
}

/// How long something plays: 0.4 s, 7 s, 12:41.
pub(super) fn length(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..60_000 => format!("{} s", ms / 1000),
        _ => format!("{}:{:02}", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1_204, 1_000_000].map(count), ["0", "999", "1,204", "1,000,000"]);
    }

    #[test]
    fn lengths_are_seconds_or_minutes() {
        assert_eq!([400, 5_062, 59_900, 761_000].map(length), ["0.4 s", "5.1 s", "59 s", "12:41"]);
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!([0, 999, 31_400, 999_600, 4_265_000_000].map(bytes), ["0 B", "999 B", "31 kB", "1.0 MB", "4.3 GB"]);
    }
}
