//! The origins of this studio: a list made at start that no header ever adds to. Answers which of them a
//! request's Host names, and whether an Origin is one of them. Knows no HTTP types.

use crate::config::{Config, ConfigError, Host};
use std::fmt;
use std::net::IpAddr;

/// `http` or `https`, a host in lower case, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Behind HTTPS.
    pub https: bool,
    /// Name, IPv4 address, or IPv6 address in brackets.
    pub host: String,
    /// Port, also where it is the scheme's own.
    pub port: u16,
}

impl Origin {
    /// Reads `https://studio.example.org`, with or without a port. A path other than `/` is refused.
    pub fn parse(text: &str) -> Option<Origin> {
        let (https, rest) = match text.split_once("://")? {
            (scheme, rest) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            (scheme, rest) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return None,
        };
        let (host, port) = split_authority(rest.strip_suffix('/').unwrap_or(rest))?;
        Some(Origin { https, host, port: port.unwrap_or(if https { 443 } else { 80 }) })
    }

    /// Names this machine itself: `localhost`, 127.0.0.0/8 or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// Where the password of an admin may be typed: nobody between can read it.
    pub fn is_private(&self) -> bool {
        self.https || self.is_loopback()
    }

    /// The name of one of Easel's cookies here. It carries the port, because cookies reach every port of a
    /// host; `__Host-` keeps other hosts of the same site from setting it.
    pub fn cookie_name(&self, what: &str) -> String {
        format!("{}{COOKIES}{what}-{}", if self.https { "__Host-" } else { "" }, self.port)
    }
}

/// What the names of Easel's cookies begin with, behind their `__Host-`.
const COOKIES: &str = "easel-";

/// Whether a cookie of this name is Easel's own, at whatever port. No tool sees or sets one. Browsers compare the
/// prefixes without case, so the whole name is compared so.
pub fn is_own_cookie(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let bare = ["__host-", "__secure-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    bare.starts_with(COOKIES)
}

/// The one Host of a request: the header, which a target with an authority must not contradict. None where there
/// is none, more than one, or one that is no text.
pub fn one_host<'a>(mut headers: impl Iterator<Item = Option<&'a str>>, authority: Option<&'a str>) -> Option<&'a str> {
    let host = match (headers.next(), authority) {
        (Some(header), _) => header?,
        (None, authority) => authority?,
    };
    (headers.next().is_none() && authority.is_none_or(|a| a.eq_ignore_ascii_case(host))).then_some(host)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, own) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == own { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Host and port of `host`, `host:port`, `[v6]:port`. None for anything that is not exactly that.
fn split_authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let v6: std::net::Ipv6Addr = inside.parse().ok()?;
            (format!("[{v6}]"), if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (text.to_ascii_lowercase(), None),
        },
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let named = !host.is_empty() && host.len() <= 253 && (host.starts_with('[') || host.bytes().all(plain));
    let digits = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    if !named || !digits {
        return None;
    }
    Some((host, port.map(str::parse).transpose().ok()?))
}

fn is_loopback_host(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the value of a Host header names this machine itself.
pub fn host_is_loopback(header: &str) -> bool {
    split_authority(header).is_some_and(|(host, _)| is_loopback_host(&host))
}

/// The list.
#[derive(Clone, Debug)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// Makes the list: loopback, `public_urls`, the pod's proxied URL and public port, and the machine's
    /// own addresses where it listens to more than loopback. `port` is the one that was really bound.
    pub fn of(config: &Config, port: u16) -> Result<Origins, ConfigError> {
        Ok(Origins::list(config, port, public_urls(config)?))
    }

    /// The same for a tool's gate on `port`. RunPod's proxy has a name for each port. Elsewhere, whoever leads a
    /// name of `public_urls` to Easel leads it to the gates too, at their own ports.
    pub fn of_gate(config: &Config, port: u16) -> Result<Origins, ConfigError> {
        let named = if matches!(config.surroundings.host, Host::RunPod { pod: Some(_) }) {
            Vec::new()
        } else {
            public_urls(config)?.into_iter().map(|url| Origin { port, ..url }).collect()
        };
        Ok(Origins::list(config, port, named))
    }

    fn list(config: &Config, port: u16, named: Vec<Origin>) -> Origins {
        let http = |host: String, port| Origin { https: false, host, port };
        let mut list: Vec<Origin> = ["127.0.0.1", "localhost", "[::1]"].map(|host| http(host.into(), port)).into();
        list.extend(named);
        let s = &config.surroundings;
        if let Host::RunPod { pod: Some(pod) } = &s.host {
            list.push(Origin { https: true, host: format!("{}-{port}.proxy.runpod.net", pod.to_ascii_lowercase()), port: 443 });
        }
        if let (Some(ip), Some((_, public))) = (&s.public_ip, s.public_ports.iter().find(|(own, _)| *own == port)) {
            list.push(http(in_authority(ip), *public));
        }
        if config.bind.is_unspecified() {
            list.extend(s.addresses.iter().map(|ip| http(in_authority(&ip.to_string()), port)));
        } else {
            list.push(http(in_authority(&config.bind.to_string()), port));
        }
        let mut unique = Vec::with_capacity(list.len());
        for origin in list {
            if !unique.contains(&origin) {
                unique.push(origin);
            }
        }
        Origins(unique)
    }

    /// The origin that a Host header names. Where a host is listed with both schemes on their own ports,
    /// the plain one: it promises less.
    pub fn by_host(&self, header: &str) -> Option<&Origin> {
        let (host, port) = split_authority(header)?;
        let matches = |o: &&Origin| o.host == host && port.unwrap_or(if o.https { 443 } else { 80 }) == o.port;
        self.0.iter().filter(matches).min_by_key(|o| o.https)
    }

    /// Whether the value of an Origin header is in the list.
    pub fn contains(&self, header: &str) -> bool {
        Origin::parse(header).is_some_and(|origin| !header.ends_with('/') && self.0.contains(&origin))
    }

    /// All of them, loopback first.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }

    /// The one on this machine.
    pub fn own(&self) -> &Origin {
        &self.0[0]
    }

    /// The one of this list that a browser uses which knows Easel by `other`, an origin of another port: on the same
    /// host where there is one.
    pub fn beside(&self, other: &Origin) -> &Origin {
        self.0.iter().find(|o| o.host == other.host && o.https == other.https).unwrap_or_else(|| self.best())
    }

    /// The one to print and to put into links: the first that is reachable from outside, HTTPS before
    /// HTTP, else loopback.
    pub fn best(&self) -> &Origin {
        let outside = || self.0.iter().filter(|o| !o.is_loopback());
        outside().find(|o| o.https).or_else(|| outside().next()).unwrap_or(self.own())
    }
}

/// `public_urls`, each read as an origin.
fn public_urls(config: &Config) -> Result<Vec<Origin>, ConfigError> {
    let wrong = |url| ConfigError(format!("public_urls: \"{url}\" is not an origin such as https://studio.example.org."));
    config.public_urls.iter().map(|url| Origin::parse(url).ok_or_else(|| wrong(url))).collect()
}

fn in_authority(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_string() }
}

#[cfg(test)]
mod tests;
