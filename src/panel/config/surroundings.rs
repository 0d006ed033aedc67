//! Where this process finds itself: on a plain machine or in a rented pod, under which addresses it can
//! be reached. A value read once; knows no other part of Easel.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Facts about the machine that decide about doors and defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Whose machine this is.
    pub host: Host,
    /// Addresses of the machine's own interfaces.
    pub addresses: Vec<IpAddr>,
    /// Public address of a pod, with the public port of each of its own ports.
    pub public_ip: Option<String>,
    /// Own port and the public one that leads to it.
    pub public_ports: Vec<(u16, u16)>,
    /// `$XDG_RUNTIME_DIR`, where a user's local sockets belong.
    pub runtime_dir: Option<PathBuf>,
    /// The variables themselves, for those programs that may see some of them.
    pub variables: Variables,
}

/// The environment's variables. Shown, it names them only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// One variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of them, for [`crate::tools::contract`], which says which of them another program may see.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Whose machine this is. A variable of either provider is enough: a pod may carry only some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Nobody's but the user's.
    Plain,
    /// A pod of RunPod, reached through its proxy.
    RunPod {
        /// `RUNPOD_POD_ID`, where it is set.
        pod: Option<String>,
    },
    /// A container of Vast, or of somebody else who sets `CONTAINER_ID`.
    Vast {
        /// `CONTAINER_ID`, where it is set.
        container: Option<String>,
    },
}

impl Surroundings {
    /// Reads them out of the environment's variables. Asks the kernel for the interfaces' addresses
    /// only through [`Surroundings::with_interfaces`].
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Surroundings {
        let has = |prefix: &str| environment.keys().any(|name| name.starts_with(prefix));
        let get = |name: &str| environment.get(name).filter(|v| !v.is_empty()).cloned();
        let host = if has("RUNPOD_") {
            Host::RunPod { pod: get("RUNPOD_POD_ID").filter(|pod| is_label(pod)) }
        } else if has("VAST_") || environment.contains_key("CONTAINER_ID") {
            Host::Vast { container: get("CONTAINER_ID") }
        } else {
            Host::Plain
        };
        let public_ports = environment
            .iter()
            .filter_map(|(name, value)| {
                let own = name.strip_prefix("RUNPOD_TCP_PORT_").or_else(|| name.strip_prefix("VAST_TCP_PORT_"))?;
                Some((own.parse().ok()?, value.parse().ok()?))
            })
            .collect();
        Surroundings {
            host,
            addresses: Vec::new(),
            public_ip: get("RUNPOD_PUBLIC_IP").or_else(|| get("PUBLIC_IPADDR")).filter(|ip| ip.parse::<IpAddr>().is_ok()),
            public_ports,
            runtime_dir: get("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()),
            variables: Variables(environment.clone()),
        }
    }

    /// The same, with the addresses that the kernel lists now.
    pub fn with_interfaces(self) -> Surroundings {
        let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        let mut addresses: Vec<IpAddr> = local_v4(&v4).chain(local_v6(&v6)).filter(|ip| !ip.is_loopback()).collect();
        addresses.sort();
        addresses.dedup();
        Surroundings { addresses, ..self }
    }

    /// The name of the rented pod or container, as it would be called in a sentence.
    pub fn pod(&self) -> Option<&str> {
        match &self.host {
            Host::Plain => None,
            Host::RunPod { pod } => pod.as_deref(),
            Host::Vast { container } => container.as_deref(),
        }
    }
}

/// A DNS label: what may stand before `-8080.proxy.runpod.net`.
fn is_label(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Addresses marked `host LOCAL` in the kernel's routing trie; each stands on the line before.
fn local_v4(trie: &str) -> impl Iterator<Item = IpAddr> + '_ {
    let lines = trie.lines().map(str::trim);
    lines.clone().zip(lines.skip(1)).filter_map(|(above, line)| {
        line.starts_with("/32 host LOCAL").then(|| above.trim_start_matches(['|', '-', '+', ' ']).parse().ok())?
    })
}

/// First column of `if_inet6`: 32 hex digits. Link-local addresses need a zone and are left out.
fn local_v6(table: &str) -> impl Iterator<Item = IpAddr> + '_ {
    table.lines().filter_map(|line| {
        let bits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
        let ip = std::net::Ipv6Addr::from(bits);
        (ip.segments()[0] & 0xffc0 != 0xfe80).then_some(IpAddr::V6(ip))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn any_variable_of_a_provider_makes_a_pod() {
        let host = |pairs: &[(&str, &str)]| Surroundings::from_environment(&vars(pairs)).host;
        assert_eq!(host(&[("HOME", "/root")]), Host::Plain);
        assert_eq!(host(&[("RUNPOD_DC_ID", "EU")]), Host::RunPod { pod: None });
        assert_eq!(host(&[("VAST_CONTAINERLABEL", "C.1")]), Host::Vast { container: None });
        assert_eq!(host(&[("CONTAINER_ID", "12")]), Host::Vast { container: Some("12".into()) });
        assert_eq!(host(&[("RUNPOD_POD_ID", "a.evil.example/")]), Host::RunPod { pod: None }, "no dots in a label");
    }

    #[test]
    fn no_secret_is_shown() {
        let s = Surroundings::from_environment(&vars(&[("PATH", "/bin"), ("HF_TOKEN", "hf_secret"), ("EASEL_PORT", "1")]));
        assert_eq!(s.variables.get("HF_TOKEN"), Some("hf_secret"));
        assert!(!format!("{s:?}").contains("hf_secret"));
    }

    #[test]
    fn public_ports_are_read_by_number() {
        let s = Surroundings::from_environment(&vars(&[
            ("RUNPOD_PUBLIC_IP", "203.0.113.7"),
            ("RUNPOD_TCP_PORT_8080", "10341"),
            ("RUNPOD_TCP_PORT_x", "1"),
        ]));
        assert_eq!((s.public_ip.as_deref(), s.public_ports), (Some("203.0.113.7"), vec![(8080, 10341)]));
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.9\n        /32 host LOCAL\n     |-- 10.0.0.0\n        /24 link UNICAST\n";
        assert_eq!(local_v4(trie).collect::<Vec<_>>(), ["10.0.0.9".parse::<IpAddr>().unwrap()]);
        let table = "20010db8000000000000000000000001 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(local_v6(table).collect::<Vec<_>>(), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }
}
