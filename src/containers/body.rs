//! A specification in an engine's words. Pure; the place where a container's walls are built.

use crate::{ContainerSpec, Gpus, Mount, Port, Studio, spec::PIDS};
use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, Mount as BodyMount, MountType, PortBinding, PortMap,
};

/// The only address on which a container's port is published.
const LOOPBACK: &str = "127.0.0.1";

/// The body of the request that makes a container with a terminal.
pub(crate) fn of(spec: &ContainerSpec, studio: &Studio) -> ContainerCreateBody {
    let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    ContainerCreateBody {
        image: Some(spec.image.as_str().to_owned()),
        cmd: list(&spec.command),
        env: Some(spec.env.iter().chain(&spec.once).map(|(name, value)| format!("{name}={value}")).collect()),
        user: spec.user.map(|(user, group)| format!("{user}:{group}")),
        working_dir: spec.folder.as_ref().map(|folder| folder.display().to_string()),
        labels: Some(studio.labels(&spec.tool, &spec.hash())),
        exposed_ports: Some(spec.ports.iter().map(key).collect()),
        tty: Some(true),
        open_stdin: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host(spec)),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec) -> HostConfig {
    let memory = spec.memory.and_then(|bytes| i64::try_from(bytes).ok());
    HostConfig {
        device_requests: gpus(spec.gpus).map(|request| vec![request]),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        port_bindings: Some(published(&spec.ports)),
        memory,
        // The same as the memory: none of it is swap.
        memory_swap: memory,
        shm_size: spec.shared_memory.and_then(|bytes| i64::try_from(bytes).ok()),
        pids_limit: Some(i64::from(spec.pids.unwrap_or(PIDS))),
        security_opt: Some(vec!["no-new-privileges".into()]),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(spec.capabilities.clone()),
        // Reaps what falls to it, and passes signals on to programs that would not hear them as process 1.
        init: Some(true),
        // Whoever runs the container decides whether it comes back, not the engine.
        restart_policy: None,
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(
                [("max-size", spec.logs.file_bytes.to_string()), ("max-file", spec.logs.files.to_string())]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into(),
            ),
        }),
        ..HostConfig::default()
    }
}

fn gpus(gpus: Gpus) -> Option<DeviceRequest> {
    let count = match gpus {
        Gpus::None => return None,
        Gpus::All => -1,
    };
    Some(DeviceRequest { count: Some(count), capabilities: Some(vec![vec!["gpu".into()]]), ..DeviceRequest::default() })
}

fn mount(mount: &Mount) -> BodyMount {
    BodyMount {
        // A bind of this kind fails where the folder is not there; the older kind makes it.
        typ: Some(MountType::BIND),
        source: Some(mount.host.display().to_string()),
        target: Some(mount.inside.display().to_string()),
        read_only: Some(mount.read_only),
        ..BodyMount::default()
    }
}

fn key(port: &Port) -> String {
    format!("{}/tcp", port.inside)
}

fn published(ports: &[Port]) -> PortMap {
    let binding = |port: &Port| PortBinding { host_ip: Some(LOOPBACK.into()), host_port: Some(port.host.to_string()) };
    ports.iter().map(|port| (key(port), Some(vec![binding(port)]))).collect()
}

/// The ports that an engine says are published on loopback.
pub(crate) fn ports(map: &PortMap) -> Vec<Port> {
    let mut ports: Vec<Port> = map
        .iter()
        .filter_map(|(inside, bindings)| {
            let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
            let bound = bindings.as_ref()?.iter().find(|b| b.host_ip.as_deref() == Some(LOOPBACK))?;
            Some(Port { host: bound.host_port.as_ref()?.parse().ok()?, inside })
        })
        .collect();
    ports.sort_by_key(|port| port.inside);
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageId;

    #[test]
    fn the_walls_are_there_without_being_asked_for() {
        let image = ImageId::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let mut spec = ContainerSpec::new("comfy", image);
        spec.ports.push(Port { host: 40_000, inside: 8188 });
        spec.memory = Some(1 << 30);
        spec.gpus = Gpus::All;
        let body = of(&spec, &Studio::new("one").unwrap());
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".into()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".into()]));
        assert_eq!((host.init, host.privileged, host.pids_limit), (Some(true), None, Some(4096)));
        assert_eq!((host.memory, host.memory_swap), (Some(1 << 30), Some(1 << 30)));
        assert_eq!((&host.network_mode, &host.pid_mode, &host.binds), (&None, &None, &None));
        assert_eq!(host.device_requests.unwrap()[0].count, Some(-1));
        let map = host.port_bindings.unwrap();
        assert_eq!(map["8188/tcp"].as_ref().unwrap()[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(ports(&map), spec.ports);
        assert_eq!(body.labels.unwrap()["easel.spec"], spec.hash());
    }

    #[test]
    fn a_port_that_is_open_to_everybody_is_not_ours() {
        let open = PortBinding { host_ip: Some("0.0.0.0".into()), host_port: Some("80".into()) };
        assert_eq!(ports(&[("80/tcp".to_owned(), Some(vec![open])), ("81/tcp".to_owned(), None)].into()), []);
    }
}
