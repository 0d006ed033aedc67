//! The keys of ssh hosts: which are pinned in a `known_hosts` file, and what a host that shows a key is to us. Pure; knows no files.

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The key that an ssh host showed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HostKey {
    /// The host as `known_hosts` names it: `github.com`, or `[host]:2222`.
    pub host: String,
    /// The kind of the key: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` …
    pub kind: String,
    /// Its fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.
    pub fingerprint: String,
    /// The key itself, in base64.
    pub key: String,
}

impl HostKey {
    /// From the key's bytes on the wire; `None` where they are no key.
    pub(crate) fn of(host: &str, wire: &[u8]) -> Option<HostKey> {
        Some(HostKey {
            host: host.to_owned(),
            kind: kind(wire)?.to_owned(),
            fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(wire))),
            key: STANDARD.encode(wire),
        })
    }

    /// As a line of `known_hosts`.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}\n", self.host, self.kind, self.key)
    }
}

/// The name that a key's bytes begin with.
fn kind(wire: &[u8]) -> Option<&str> {
    let length = u32::from_be_bytes(wire.get(..4)?.try_into().ok()?) as usize;
    std::str::from_utf8(wire.get(4..4 + length.min(64))?)
        .ok()
        .filter(|k| !k.is_empty() && k.chars().all(|c| c.is_ascii_graphic()))
}

/// What is pinned.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownHosts(Vec<Line>);

#[derive(Clone, Debug)]
struct Line {
    hosts: String,
    revoked: bool,
    wire: Vec<u8>,
}

/// What a key that a host shows is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Pinned,
    Unknown,
    /// Other keys are pinned, or this one is revoked.
    Changed {
        pinned: String,
    },
}

impl KnownHosts {
    /// Reads a file. Lines that make no sense, and those of certificate authorities, pin nothing.
    pub(crate) fn parse(text: &str) -> KnownHosts {
        KnownHosts(text.lines().filter_map(Line::parse).collect())
    }

    /// What a key is to us.
    pub(crate) fn standing(&self, shown: &HostKey) -> Standing {
        let wire = STANDARD.decode(&shown.key).unwrap_or_default();
        let lines: Vec<&Line> = self.0.iter().filter(|line| line.names(&shown.host)).collect();
        if lines.iter().any(|line| line.revoked && line.wire == wire) {
            return Standing::Changed { pinned: "that it is revoked".to_owned() };
        }
        let pinned: Vec<&&Line> = lines.iter().filter(|line| !line.revoked).collect();
        match () {
            () if pinned.is_empty() => Standing::Unknown,
            () if pinned.iter().any(|line| line.wire == wire) => Standing::Pinned,
            () => {
                let keys = pinned.iter().filter_map(|line| HostKey::of("", &line.wire));
                Standing::Changed { pinned: keys.map(|k| k.fingerprint).collect::<Vec<_>>().join(", ") }
            }
        }
    }

    /// The keys that are pinned for a host.
    pub(crate) fn keys(&self, host: &str) -> Vec<HostKey> {
        let lines = self.0.iter().filter(|line| !line.revoked && line.names(host));
        lines.filter_map(|line| HostKey::of(host, &line.wire)).collect()
    }

    /// The keys of a file that we wrote, one host a line.
    pub(crate) fn all(&self) -> Vec<HostKey> {
        self.0.iter().filter_map(|line| HostKey::of(&line.hosts, &line.wire)).collect()
    }
}

/// The text of a `known_hosts` file with a key pinned: other keys of that kind are no longer pinned for that very name. A line that is
/// about other hosts too stays theirs.
pub(crate) fn with_pinned(text: &str, key: &HostKey) -> String {
    let mut pinned = String::new();
    for line in text.lines() {
        let other = Line::parse(line);
        match other.filter(|other| !other.revoked && other.names(&key.host) && kind(&other.wire) == Some(&key.kind)) {
            None => pinned.extend([line, "\n"]),
            Some(other) if other.is_of_one() => {}
            // The first word, as the line is no revocation.
            Some(other) => {
                pinned.push_str(&line.replacen(&other.hosts, &format!("{},!{}", other.hosts, key.host), 1));
                pinned.push('\n');
            }
        }
    }
    pinned.push_str(&key.line());
    pinned
}

impl Line {
    fn parse(line: &str) -> Option<Line> {
        let line = line.trim();
        let (revoked, line) = match line.strip_prefix("@revoked") {
            Some(rest) => (true, rest),
            None if line.starts_with(['@', '#']) => return None,
            None => (false, line),
        };
        let mut words = line.split_whitespace();
        let (hosts, named, key) = (words.next()?, words.next()?, words.next()?);
        let wire = STANDARD.decode(key).ok().filter(|wire| kind(wire) == Some(named))?;
        Some(Line { hosts: hosts.to_owned(), revoked, wire })
    }

    /// Whether no second host can be meant: a plain name, or a hashed one.
    fn is_of_one(&self) -> bool {
        self.hosts.starts_with("|1|") || !self.hosts.contains([',', '*', '?'])
    }

    /// Whether the line is about a host: a list of patterns of which none that is negated may match, or one hashed name.
    fn names(&self, host: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return hashed_names(hashed, host);
        }
        let patterns = || self.hosts.split(',');
        !patterns().any(|p| p.strip_prefix('!').is_some_and(|p| matches(p, host))) && patterns().any(|p| matches(p, host))
    }
}

/// A salt and an HMAC-SHA-1 of the name, as OpenSSH's `HashKnownHosts` writes them.
fn hashed_names(hashed: &str, host: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = hmac::Hmac::<sha1::Sha1>::new_from_slice(&salt) else { return false };
    mac.update(host.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// `*` and `?`, as in OpenSSH. A name's length bounds the work.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&name[n]) => (p, n) = (p + 1, n + 1),
            _ => match star {
                // The last star takes one character more.
                Some((at, from)) => {
                    (p, n) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: &str, kind: &str, number: u8) -> HostKey {
        let mut wire = (kind.len() as u32).to_be_bytes().to_vec();
        wire.extend_from_slice(kind.as_bytes());
        wire.extend_from_slice(&[0, 0, 0, 1, number]);
        HostKey::of(host, &wire).unwrap()
    }

    #[test]
    fn a_fingerprint_is_the_one_that_is_published() {
        // GitHub's Ed25519 key and its published fingerprint.
        let wire = STANDARD.decode("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl").unwrap();
        let github = HostKey::of("github.com", &wire).unwrap();
        assert_eq!(github.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
        assert_eq!(github.kind, "ssh-ed25519");
    }

    #[test]
    fn pinned_unknown_changed_and_revoked_are_told_apart() {
        let (one, two) = (key("h", "ssh-ed25519", 1), key("h", "ssh-ed25519", 2));
        let known = KnownHosts::parse(&format!("# ours\n{}nonsense\n", one.line()));
        assert_eq!(known.standing(&one), Standing::Pinned);
        assert_eq!(known.standing(&two), Standing::Changed { pinned: one.fingerprint.clone() });
        assert_eq!(known.standing(&key("other", "ssh-ed25519", 1)), Standing::Unknown);
        let revoked = KnownHosts::parse(&format!("{}@revoked * {} {}\n", one.line(), one.kind, one.key));
        assert!(matches!(revoked.standing(&one), Standing::Changed { .. }));
        // An authority's key is no host's key.
        let authority = KnownHosts::parse(&format!("@cert-authority {}", one.line()));
        assert_eq!(authority.standing(&one), Standing::Unknown);
    }

    #[test]
    fn names_may_be_lists_patterns_ports_and_hashes() {
        let plain = key("x", "ssh-rsa", 1);
        let with = |hosts: &str| KnownHosts::parse(&format!("{hosts} {} {}\n", plain.kind, plain.key));
        let pins = |hosts: &str, host: &str| with(hosts).standing(&key(host, "ssh-rsa", 1)) == Standing::Pinned;
        assert!(pins("a,b.example", "b.example") && pins("*.example", "b.example") && pins("[h]:2222", "[h]:2222"));
        assert!(!pins("h", "[h]:2222") && !pins("*.example,!b.example", "b.example") && !pins("b?", "b"));
        // Made with `ssh-keygen -H` for "host.example".
        let hashed = "|1|c2FsdHNhbHRzYWx0c2FsdDEyMzQ=|";
        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(b"saltsaltsaltsalt1234").unwrap();
        mac.update(b"host.example");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        assert!(pins(&format!("{hashed}{hash}"), "host.example") && !pins(&format!("{hashed}{hash}"), "other.example"));
    }

    #[test]
    fn a_pin_takes_the_place_of_keys_of_its_kind_only() {
        let (old, other, new) = (key("h", "ssh-ed25519", 1), key("h", "ssh-rsa", 1), key("h", "ssh-ed25519", 2));
        let text = with_pinned(&format!("# note\n{}{}", old.line(), other.line()), &new);
        assert_eq!(text, format!("# note\n{}{}", other.line(), new.line()));
        // A last line without its end is not glued to.
        assert_eq!(with_pinned("# note", &new), format!("# note\n{}", new.line()));
    }

    #[test]
    fn a_pin_takes_no_key_from_other_hosts() {
        let (old, new) = (key("h", "ssh-ed25519", 1), key("h.example", "ssh-ed25519", 2));
        for hosts in ["h.example,gitlab.com", "*.example", "h.exampl?"] {
            let text = with_pinned(&format!("{hosts} {} {}\n", old.kind, old.key), &new);
            assert_eq!(text, format!("{hosts},!h.example {} {}\n{}", old.kind, old.key, new.line()));
            let known = KnownHosts::parse(&text);
            let other = if hosts.contains("gitlab") { "gitlab.com" } else { "i.example" };
            let shown = |host: &str, key: &HostKey| known.standing(&HostKey { host: host.to_owned(), ..key.clone() });
            assert_eq!(shown("h.example", &new), Standing::Pinned);
            assert!(matches!(shown("h.example", &old), Standing::Changed { .. }));
            assert!(hosts == "h.exampl?" || shown(other, &old) == Standing::Pinned, "{hosts}");
        }
    }
}
