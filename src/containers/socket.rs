//! Where an engine may listen, and whether to use one. Looks at files; asks nobody.

use std::{
    fmt, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    str::FromStr,
};

/// How tools run that can run either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// In a container where there is an engine, else as a process.
    #[default]
    Auto,
    /// As a process, whatever there is.
    Process,
    /// In a container; without an engine not at all.
    Container,
}

impl Way {
    /// Its name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Auto => "auto",
            Way::Process => "process",
            Way::Container => "container",
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        [Way::Auto, Way::Process, Way::Container]
            .into_iter()
            .find(|way| way.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is none of auto, process, container"))
    }
}

/// How one tool runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// As a process of this machine.
    Process,
    /// In a container.
    Container,
}

impl Way {
    /// How a tool runs that can run either way.
    ///
    /// # Errors
    /// When it may run in a container only and there is no engine: why, and what to do.
    pub fn road(self, engine: Result<(), &NoEngine>) -> Result<Road, NoEngine> {
        match (self, engine) {
            (Way::Process, _) | (Way::Auto, Err(_)) => Ok(Road::Process),
            (Way::Auto | Way::Container, Ok(())) => Ok(Road::Container),
            (Way::Container, Err(why)) => Err(NoEngine(format!("It is set to run in a container only. {why}"))),
        }
    }
}

/// What of the environment says where an engine is. Read by whoever reads the environment.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// Easel itself runs in a container: there is `/.dockerenv` or `/run/.containerenv`.
    pub contained: bool,
}

/// Why there is no engine: whole sentences, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoEngine(pub String);

impl fmt::Display for NoEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoEngine {}

/// The socket of an engine.
///
/// # Errors
/// When there is none, or `DOCKER_HOST` names something else than a socket of this machine.
pub fn find(around: &Surroundings) -> Result<PathBuf, NoEngine> {
    let places = candidates(around)?;
    let sockets: Vec<&PathBuf> = places.iter().filter(|path| is_socket(path)).collect();
    let usable = sockets.iter().find(|path| may_use(path).is_ok());
    if let Some(path) = usable {
        return Ok(path.to_path_buf());
    }
    Err(NoEngine(match sockets.first() {
        Some(path) => format!(
            "{} is the socket of a container engine, but Easel may not use it ({}). Run Easel as root or as a member of the \
             group that owns the socket.",
            path.display(),
            may_use(path).err().map(|e| e.to_string()).unwrap_or_default()
        ),
        None => {
            let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            format!(
                "There is no container engine on this machine (looked for {}), so tools run as processes. Most pods have none; \
                 elsewhere install Docker or Podman, or set DOCKER_HOST=unix:///path/of/the/socket.",
                looked.join(", ")
            )
        }
    }))
}

/// Where an engine may listen, the likeliest first. What `DOCKER_HOST` names is the only place then.
fn candidates(around: &Surroundings) -> Result<Vec<PathBuf>, NoEngine> {
    if let Some(host) = around.docker_host.as_deref().filter(|host| !host.is_empty()) {
        return match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(vec![path.into()]),
            // An engine elsewhere would mount its own folders, not these, and publish ports on its own loopback.
            _ => Err(NoEngine(
                "DOCKER_HOST does not name a socket of this machine (unix:///path), and containers run on this machine only. \
                 Set it to such a socket, or unset it."
                    .into(),
            )),
        };
    }
    if around.contained {
        return Err(NoEngine(
            "Easel itself runs in a container, so tools run as processes of it. An engine outside would mount its own folders \
             and publish ports on its own loopback; one inside is used when DOCKER_HOST=unix:///path names it."
                .into(),
        ));
    }
    let rootless = around.runtime_dir.iter().flat_map(|dir| [dir.join("docker.sock"), dir.join("podman/podman.sock")]);
    let mut all = vec![PathBuf::from("/var/run/docker.sock")];
    all.extend(rootless);
    all.push("/run/podman/podman.sock".into());
    Ok(all)
}

/// Whether an engine may begin to listen at any place that is looked at: after the boot of a machine it does so late.
pub fn may_come(around: &Surroundings) -> bool {
    candidates(around).is_ok()
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())
}

/// Connecting asks for the right to write.
fn may_use(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn with_host(host: &str) -> Surroundings {
        Surroundings { docker_host: Some(host.into()), ..Surroundings::default() }
    }

    #[test]
    fn an_engine_elsewhere_is_refused_and_not_replaced_by_one_here() {
        for host in ["tcp://10.0.0.1:2375", "ssh://box", "npipe:////./pipe/x", "unix://relative"] {
            let why = find(&with_host(host)).unwrap_err();
            assert!(why.0.starts_with("DOCKER_HOST does not name a socket of this machine"), "{why}");
        }
    }

    #[test]
    fn what_is_no_socket_is_no_engine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docker.sock");
        std::fs::write(&file, "").unwrap();
        let host = format!("unix://{}", file.display());
        let why = find(&with_host(&host)).unwrap_err();
        assert!(why.0.contains(&file.display().to_string()) && why.0.contains("so tools run as processes"), "{why}");
        std::fs::remove_file(&file).unwrap();
        let _listens = UnixListener::bind(&file).unwrap();
        assert_eq!(find(&with_host(&host)), Ok(file));
    }

    #[test]
    fn podman_of_ones_own_is_found_in_the_runtime_folder() {
        let dir = PathBuf::from("/run/user/1000");
        let around = Surroundings { docker_host: Some(String::new()), runtime_dir: Some(dir), contained: false };
        let places = candidates(&around).unwrap();
        let text: Vec<_> = places.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(
            text,
            [
                "/var/run/docker.sock",
                "/run/user/1000/docker.sock",
                "/run/user/1000/podman/podman.sock",
                "/run/podman/podman.sock"
            ]
        );
    }

    #[test]
    fn in_a_container_only_an_engine_that_is_named_is_used() {
        let why = find(&Surroundings { contained: true, ..Surroundings::default() }).unwrap_err();
        assert!(why.0.starts_with("Easel itself runs in a container"), "{why}");
        assert!(!may_come(&Surroundings { contained: true, ..Surroundings::default() }) && may_come(&Surroundings::default()));
        let named = Surroundings { contained: true, ..with_host("unix:///no/such.sock") };
        assert_eq!(candidates(&named), Ok(vec!["/no/such.sock".into()]));
    }

    #[test]
    fn each_way_leads_down_one_road() {
        let none = NoEngine("There is none.".into());
        let roads = |way: Way| (way.road(Ok(())), way.road(Err(&none)));
        assert_eq!(roads(Way::Auto), (Ok(Road::Container), Ok(Road::Process)));
        assert_eq!(roads(Way::Process), (Ok(Road::Process), Ok(Road::Process)));
        let only = "It is set to run in a container only. There is none.";
        assert_eq!(roads(Way::Container), (Ok(Road::Container), Err(NoEngine(only.into()))));
    }

    #[test]
    fn the_three_ways_have_names() {
        for way in [Way::Auto, Way::Process, Way::Container] {
            assert_eq!(way.as_str().parse(), Ok(way));
        }
        assert!("docker".parse::<Way>().is_err());
    }
}
