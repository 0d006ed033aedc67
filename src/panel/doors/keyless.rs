//! When picking a profile is one click. A pure rule over facts; knows no HTTP types.

use crate::config::{Host, Surroundings};
use std::net::IpAddr;

/// What is known about one request.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Address of the other end of the connection. None where it is unknown.
    pub peer: Option<IpAddr>,
    /// The request's Host header.
    pub host: &'a str,
    /// It carries `Forwarded` or any `X-Forwarded-*`.
    pub forwarded: bool,
    /// The process at the other end runs under a tool's uid.
    pub peer_is_tool: bool,
}

/// Every part must hold: bound to loopback, peer on loopback, Host loopback, nothing forwarded, no rented
/// machine, and no tool at the other end. Anything less and the studio key comes first.
pub fn is_keyless(bound: IpAddr, surroundings: &Surroundings, asker: Asker<'_>) -> bool {
    bound.is_loopback()
        && asker.peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && crate::origins::host_is_loopback(asker.host)
        && !asker.forwarded
        && surroundings.host == Host::Plain
        && !asker.peer_is_tool
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn surroundings(variable: Option<&str>) -> Surroundings {
        let environment: BTreeMap<_, _> = variable.map(|name| (name.to_string(), "1".to_string())).into_iter().collect();
        Surroundings::from_environment(&environment)
    }

    /// All 64 combinations: only the one where everything holds is keyless.
    #[test]
    fn the_truth_table() {
        let mut keyless = Vec::new();
        for bits in 0..64u32 {
            let holds = |bit: u32| bits & (1 << bit) == 0;
            let bound: IpAddr = if holds(0) { "127.0.0.1" } else { "0.0.0.0" }.parse().unwrap();
            let asker = Asker {
                peer: Some(if holds(1) { "127.0.0.1" } else { "10.0.0.9" }.parse().unwrap()),
                host: if holds(2) { "localhost:8080" } else { "studio.example:8080" },
                forwarded: !holds(3),
                peer_is_tool: !holds(5),
            };
            if is_keyless(bound, &surroundings((!holds(4)).then_some("RUNPOD_POD_ID")), asker) {
                keyless.push(bits);
            }
        }
        assert_eq!(keyless, [0]);
    }

    #[test]
    fn each_providers_variable_asks_for_the_key() {
        let asker = Asker { peer: Some("::1".parse().unwrap()), host: "[::1]:8080", forwarded: false, peer_is_tool: false };
        let bound = "::1".parse().unwrap();
        assert!(is_keyless(bound, &surroundings(None), asker));
        for name in ["RUNPOD_DC_ID", "VAST_CONTAINERLABEL", "CONTAINER_ID"] {
            assert!(!is_keyless(bound, &surroundings(Some(name)), asker), "{name}");
        }
        assert!(!is_keyless(bound, &surroundings(None), Asker { peer: None, ..asker }));
        let mapped = Asker { peer: Some("::ffff:127.0.0.1".parse().unwrap()), ..asker };
        assert!(is_keyless(bound, &surroundings(None), mapped));
        assert!(!is_keyless(bound, &surroundings(None), Asker { host: "127.0.0.1.evil.example", ..asker }));
    }
}
