//! What the kernel tells of a process in one line, `/proc/PID/stat` (proc(5)): the one reader of it. Knows nobody's child.

use std::fs;

/// A process as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// Its name, as far as it is text.
    pub name: String,
    /// What it does, by the kernel's letter: `R` runs, `S` waits, `D` waits for the system, `T` is stopped, `Z` has ended.
    pub state: char,
    /// Number of the process above it.
    pub parent: u32,
    /// Ticks of processor time that it has used.
    pub busy: u64,
    /// When it began, in ticks since the machine did: tells two owners of one number apart.
    pub began: u64,
    /// Resident pages.
    pub pages: u64,
}

impl Stat {
    /// A process as it is now. None where there is none of this number.
    pub fn of(pid: u32) -> Option<Stat> {
        // A name is bytes: it is cut after 15 of them, also within a letter, and a program may give itself any.
        Stat::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    /// Every process of this machine that can be seen.
    pub fn all() -> Vec<Stat> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(Stat::of).collect()
    }

    /// It has ended and waits to be reaped.
    pub fn is_dead(&self) -> bool {
        self.state == 'Z'
    }

    /// The name stands in brackets and may hold any character, brackets and line ends too, so fields count from its end.
    fn parse(line: &str) -> Option<Stat> {
        let (pid, rest) = line.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first field here is the third of proc(5).
        let number = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok());
        Some(Stat {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(4)?).ok()?,
            busy: number(14)? + number(15)?,
            began: number(22)?,
            pages: number(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "7 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 5 0 8000 123456 321 18446744073709551615 1 1\n";

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_past() {
        let stat = Stat::parse(&format!("42 (a ) (b) S {REST}")).unwrap();
        let name = "a ) (b".to_owned();
        assert_eq!(stat, Stat { pid: 42, name, state: 'S', parent: 7, busy: 300, began: 8000, pages: 321 });
        assert!(!stat.is_dead() && Stat::parse(&format!("42 (x) Z {REST}")).unwrap().is_dead());
        for broken in ["", "42", "42 (x", "x (y) S 1", "42 (x) S", "nonsense"] {
            assert_eq!(Stat::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_very_process_is_among_all() {
        let own = Stat::of(std::process::id()).unwrap();
        assert!(own.parent > 0 && own.began > 0 && own.pages > 0);
        assert!(Stat::all().iter().any(|stat| stat.pid == own.pid && stat.began == own.began));
        assert_eq!(Stat::of(u32::MAX), None);
    }
}
