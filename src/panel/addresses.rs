//! Which addresses are asked for somebody's sake, by a download or for a caption: public ones only, at the first request
//! and at every redirect, as names and as numbers, and by what a name leads to at the moment of connecting. Knows no file.
//!
//! A browser must not be able to reach, through this machine, what only this machine can: its own ports, its neighbours, a
//! provider's metadata service.

use anyhow::ensure;
use reqwest::{
    ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Redirects that are followed.
const MOST_HOPS: usize = 10;

/// An address that may not be asked.
#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

const PRIVATE: Refused =
    Refused("the address leads into a private network, which nothing is fetched from; private_downloads in easel.toml allows it");
const SCHEME: Refused = Refused("a secure address led to one that is not");

/// Whether a request failed because its address may not be asked.
pub fn is_refusal(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = cause {
        if e.is::<Refused>() {
            return true;
        }
        cause = e.source();
    }
    false
}

/// A client that asks public addresses only. No proxy: it would resolve names where nobody checks them.
///
/// # Errors
/// When `first`, the address that is asked first, is none of those, is neither http nor https, or holds a password.
pub fn public_only(client: ClientBuilder, first: &Url) -> anyhow::Result<ClientBuilder> {
    ensure!(matches!(first.scheme(), "http" | "https"), "only http and https addresses are fetched");
    ensure!(
        first.username().is_empty() && first.password().is_none(),
        "the address holds a user or password; use an access token"
    );
    check(first)?;
    let policy = Policy::custom(|attempt| {
        let downgraded = attempt.previous().last().is_some_and(|p| p.scheme() == "https") && attempt.url().scheme() != "https";
        if downgraded {
            return attempt.error(SCHEME);
        }
        if attempt.previous().len() > MOST_HOPS {
            return attempt.error(Refused("the address leads on and on"));
        }
        match check(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(e) => attempt.error(e),
        }
    });
    Ok(client.no_proxy().redirect(policy).dns_resolver(Arc::new(PublicNames)))
}

/// An address with a number in it, which no resolver sees. The parser has read every way to write one by now: octal,
/// hexadecimal, in one number, percent-encoded.
fn check(url: &Url) -> Result<(), Refused> {
    let host = url.host_str().ok_or(Refused("the address names no host"))?;
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) if !is_public(ip) => Err(PRIVATE),
        _ => Ok(()),
    }
}

/// Names as the system resolves them, as long as all of their addresses are public. The connection goes to the very
/// addresses that were checked, so that a second answer cannot lead elsewhere.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| !is_public(address.ip())) {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether everybody on the internet means the same host by this address.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// IANA's registry of special IPv4 addresses.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Global unicast only, and of the addresses that carry an IPv4 one, those that carry a public one.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match s {
        // Mapped, and translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo and other protocols' own, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests;
