//! Where a repository is fetched from: an address parsed once, https or ssh and nothing else, without any secret in it. Knows no
//! network and no git.

use std::fmt;

/// Longest address that is read, in bytes.
const LONGEST: usize = 1_000;

/// The address of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    road: Road,
    host: String,
    port: u16,
    /// As it stands in the address, with its slash in front.
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Road {
    Https,
    Ssh { user: String },
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Neither https nor ssh.
    #[error("\"{0}\" is not fetched from: write https://host/path or ssh://git@host/path (or git@host:path)")]
    Scheme(String),
    /// A name or a password inside an https address, or a password inside an ssh one.
    #[error(
        "the address holds a user name or a password, which would end up in logs: write it without, and keep an https token in \
         Easel's secrets or an ssh key in the .ssh folder of the volume"
    )]
    Credentials,
    /// Something in it cannot be read.
    #[error("the address cannot be read: {0}")]
    Malformed(&'static str),
}

impl Address {
    /// Reads `https://host[:port]/path`, `ssh://[user@]host[:port]/path` or `[user@]host:path`. Without a user, ssh asks as `git`.
    pub fn parse(text: &str) -> Result<Address, BadAddress> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(BadAddress::Malformed("it is longer than 1,000 characters"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(BadAddress::Malformed("it holds a space or a control character"));
        }
        match text.split_once("://") {
            Some(("https", rest)) => Address::https(rest),
            Some(("ssh", rest)) => Address::ssh(rest),
            Some((scheme, _)) => Err(BadAddress::Scheme(scheme.to_owned())),
            None => Address::short(text),
        }
    }

    /// Whether it is asked over ssh, with a key.
    pub fn is_ssh(&self) -> bool {
        matches!(self.road, Road::Ssh { .. })
    }

    fn https(rest: &str) -> Result<Address, BadAddress> {
        let (place, path) = split(rest)?;
        if place.contains('@') || path.contains(['?', '#']) {
            return Err(BadAddress::Credentials);
        }
        let (host, port) = host_and_port(place, 443)?;
        Ok(Address { road: Road::Https, host, port, path })
    }

    fn ssh(rest: &str) -> Result<Address, BadAddress> {
        let (place, path) = split(rest)?;
        let (user, place) = place.rsplit_once('@').unwrap_or(("git", place));
        let (host, port) = host_and_port(place, 22)?;
        Ok(Address { road: Road::Ssh { user: plain_user(user)? }, host, port, path })
    }

    /// `git@host:path`, as hubs print it.
    fn short(text: &str) -> Result<Address, BadAddress> {
        let Some((place, path)) = text.split_once(':').filter(|(place, _)| !place.contains('/')) else {
            return Err(BadAddress::Scheme(text.chars().take(40).collect()));
        };
        let (user, place) = place.rsplit_once('@').unwrap_or(("git", place));
        let (host, port) = host_and_port(place, 22)?;
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            return Err(BadAddress::Malformed("it names no repository"));
        }
        Ok(Address { road: Road::Ssh { user: plain_user(user)? }, host, port, path: format!("/{path}") })
    }

    /// The host's name or number.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is connected to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom ssh asks as; `None` for https.
    pub fn user(&self) -> Option<&str> {
        match &self.road {
            Road::Https => None,
            Road::Ssh { user } => Some(user),
        }
    }

    /// Host and port.
    fn authority(&self) -> String {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        format!("{open}{}{close}:{}", self.host, self.port)
    }

    /// The host as a `known_hosts` file names it.
    pub(crate) fn known_as(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    /// The same repository, asked for over ssh through a relay: that wall does not depend on the name that is connected to.
    pub(crate) fn through(&self, port: u16) -> String {
        format!("ssh://{}@127.0.0.1:{port}{}", self.user().unwrap_or("git"), self.path)
    }
}

/// In one spelling, so that two spellings of an address are the same origin.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = match &self.road {
            Road::Https => ("https://".to_owned(), 443),
            Road::Ssh { user } => (format!("ssh://{user}@"), 22),
        };
        let authority = self.authority();
        let place = if self.port == usual { authority.trim_end_matches(&format!(":{usual}")) } else { &authority };
        write!(f, "{scheme}{place}{}", self.path)
    }
}

fn split(rest: &str) -> Result<(&str, String), BadAddress> {
    let (place, path) = rest.split_once('/').ok_or(BadAddress::Malformed("it names no repository"))?;
    let path = path.trim_end_matches('/');
    if path.is_empty() { Err(BadAddress::Malformed("it names no repository")) } else { Ok((place, format!("/{path}"))) }
}

fn plain_user(user: &str) -> Result<String, BadAddress> {
    match user {
        _ if user.contains(':') => Err(BadAddress::Credentials),
        _ if user.is_empty() || user.starts_with('-') => Err(BadAddress::Malformed("it has no plain user name")),
        _ if user.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) => Ok(user.to_owned()),
        _ => Err(BadAddress::Malformed("it has no plain user name")),
    }
}

fn host_and_port(place: &str, usual: u16) -> Result<(String, u16), BadAddress> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(BadAddress::Malformed("a bracket is not closed"))?;
            let number: std::net::Ipv6Addr = host.parse().map_err(|_| BadAddress::Malformed("it has no host"))?;
            (number.to_string(), port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (place.to_ascii_lowercase(), None),
        },
    };
    let named = host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    if host.is_empty() || host.starts_with('-') || !named {
        return Err(BadAddress::Malformed("it has no host"));
    }
    let port = match port {
        None => usual,
        Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or(BadAddress::Malformed("its port is not a number"))?,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_one_spelling() {
        for (text, spelled) in [
            ("https://GitHub.com/a/b.git", "https://github.com/a/b.git"),
            ("https://example.org:443/a/", "https://example.org/a"),
            ("https://example.org:8443/a", "https://example.org:8443/a"),
            ("git@github.com:a/b.git", "ssh://git@github.com/a/b.git"),
            ("ssh://github.com/a/b", "ssh://git@github.com/a/b"),
            ("ssh://me@[::1]:2222/srv/a", "ssh://me@[::1]:2222/srv/a"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), spelled);
        }
        assert_eq!(Address::parse("ssh://h:2222/a").unwrap().known_as(), "[h]:2222");
    }

    #[test]
    fn what_is_not_https_or_ssh_is_refused_and_so_is_a_secret() {
        for text in ["file:///srv/a", "http://h/a", "git://h/a", "/srv/a", "../a", "ext::sh -c true", "::a"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        for text in ["https://me:tok@h/a", "https://tok@h/a", "ssh://me:hunter2@h/a", "https://h/a?token=hunter2"] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error, BadAddress::Credentials, "{text}");
            assert!(!error.to_string().contains("hunter2") && error.to_string().contains(".ssh"), "{error}");
        }
        for text in [
            "https:///a",
            "https://h",
            "https://h/",
            "ssh://-oProxyCommand=x/a",
            "https://h:0/a",
            "https://h:x/a",
            "ssh://-x@h/a",
        ] {
            assert!(matches!(Address::parse(text), Err(BadAddress::Malformed(_))), "{text}");
        }
    }
}
