//! What can go wrong with containers, said so that a person knows what to do, and an engine's answers read as that.

use crate::NoEngine;
use bollard::errors::Error;

/// Longest of an engine's own words that is passed on, in characters.
const WORDS_MAX: usize = 500;

/// Why something with containers did not happen. Each is one or two whole sentences.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is no engine.
    #[error(transparent)]
    NoEngine(#[from] NoEngine),
    /// The engine does not answer, or hung up.
    #[error("The container engine did not answer while {doing} ({why}). Look whether it runs: `docker info` or `podman info`.")]
    Lost {
        /// What was done.
        doing: String,
        /// The system's words.
        why: String,
    },
    /// The image is nowhere.
    #[error("The image {image} does not exist: {why}. Check its name and tag in tool.toml.")]
    NoImage {
        /// Its name.
        image: String,
        /// The registry's or the engine's words.
        why: String,
    },
    /// What a tool runs from is not kept any more.
    #[error("The image that it was installed with ({image}) is not on this machine any more. An admin installs it again.")]
    ImageGone {
        /// Its id, shortened.
        image: String,
    },
    /// The registry wants to know who asks.
    #[error(
        "The registry does not give {image} to everybody: {why}. Check the name, as private and missing look the same; if it is \
         private, log in and pull it by hand on this machine (docker login, docker pull {image}) and install again."
    )]
    Denied {
        /// Its name.
        image: String,
        /// The registry's words.
        why: String,
    },
    /// The image did not come whole.
    #[error("{image} could not be pulled: {why}. Try again; layers that came whole are kept.")]
    NotPulled {
        /// Its name.
        image: String,
        /// The engine's words.
        why: String,
    },
    /// The disk of the engine is full.
    #[error(
        "The container engine's disk is full while {doing}: {why}. Make room, or let it clear up with `docker system prune`."
    )]
    DiskFull {
        /// What was done.
        doing: String,
        /// The engine's words.
        why: String,
    },
    /// The engine has no driver for graphics cards.
    #[error(
        "The container engine cannot give graphics cards to containers ({why}). Install the NVIDIA Container Toolkit and restart \
         the engine, or let the tool run as a process."
    )]
    NoGpus {
        /// The engine's words.
        why: String,
    },
    /// A port on loopback is somebody's.
    #[error("A port of this container is taken: {why}. Stop whoever has it, then try again.")]
    PortTaken {
        /// The engine's words.
        why: String,
    },
    /// A container of that name or id belongs to somebody else.
    #[error("The container {0} was not made by this studio, and is left alone. Rename or remove it yourself.")]
    NotOurs(String),
    /// The container is not there any more.
    #[error("The container is not there any more while {doing}; somebody may have removed it. Start the tool again.")]
    Gone {
        /// What was done.
        doing: String,
    },
    /// Somebody stopped it.
    #[error("It was cancelled.")]
    Cancelled,
    /// A container of a new image did not get well, and the former one is back.
    #[error("The new image does not work: {why}. The former one is back.{log}")]
    RolledBack {
        /// In what way.
        why: String,
        /// The last lines that it wrote, after a line break; empty where it wrote nothing.
        log: String,
    },
    /// A value that no engine would take.
    #[error("{0}")]
    Wrong(String),
    /// Anything else that the engine says.
    #[error("The container engine refuses {doing}: {why}.")]
    Refused {
        /// What was done.
        doing: String,
        /// Its words.
        why: String,
    },
}

impl ContainerError {
    /// What an engine answered while something was done, with an image's name where one is meant.
    pub(crate) fn of(doing: &str, error: Error) -> ContainerError {
        let doing = doing.to_owned();
        match error {
            Error::DockerResponseServerError { status_code, message } => in_words(doing, Some(status_code), &message),
            Error::DockerStreamError { error } => in_words(doing, None, &error),
            other => ContainerError::Lost { doing, why: short(&chain(&other)) },
        }
    }

    /// The same where an image is pulled or looked for.
    pub(crate) fn of_image(image: &str, error: Error) -> ContainerError {
        let image = image.to_owned();
        let (status, message) = match error {
            Error::DockerResponseServerError { status_code, message } => (Some(status_code), message),
            Error::DockerStreamError { error } => (None, error),
            other => return ContainerError::Lost { doing: format!("pulling {image}"), why: short(&chain(&other)) },
        };
        let (why, low) = (short(&message), message.to_lowercase());
        let says = |words: &[&str]| words.iter().any(|word| low.contains(word));
        if says(&["no space left", "disk quota"]) {
            ContainerError::DiskFull { doing: format!("pulling {image}"), why }
        } else if says(&["access denied", "unauthorized", "authentication required", "no basic auth", "forbidden"]) {
            ContainerError::Denied { image, why }
        } else if status == Some(404) || says(&["manifest unknown", "not found", "no such image", "name unknown"]) {
            ContainerError::NoImage { image, why }
        } else {
            ContainerError::NotPulled { image, why }
        }
    }

    /// Whether the engine may answer again: it hung up, or is being restarted.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, ContainerError::Lost { .. })
    }
}

/// An engine's refusal. Engines say the same with different numbers, so that words count more.
fn in_words(doing: String, status: Option<u16>, message: &str) -> ContainerError {
    let (why, low) = (short(message), message.to_lowercase());
    let says = |words: &[&str]| words.iter().any(|word| low.contains(word));
    if says(&["could not select device driver", "nvidia-container", "unresolvable cdi", "libnvidia", "nvidia.com/gpu"]) {
        ContainerError::NoGpus { why }
    } else if says(&["port is already allocated", "address already in use"]) {
        ContainerError::PortTaken { why }
    } else if says(&["no space left", "disk quota"]) {
        ContainerError::DiskFull { doing, why }
    } else if says(&["no such image"]) {
        ContainerError::NoImage { image: "of this container".into(), why }
    } else if status == Some(404) && says(&["no such container", "no container with", "no such exec"]) {
        ContainerError::Gone { doing }
    } else {
        ContainerError::Refused { doing, why }
    }
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// An engine's words on one line and not too long, without the full stop.
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(WORDS_MAX).collect();
    cut.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.into() }
    }

    #[test]
    fn what_engines_say_becomes_what_to_do() {
        let of = |status, message: &str| ContainerError::of("starting it", answer(status, message));
        let gpu = of(500, "could not select device driver \"\" with capabilities: [[gpu]]");
        assert!(gpu.to_string().contains("NVIDIA Container Toolkit"), "{gpu}");
        assert!(matches!(
            of(500, "driver failed … Bind for 127.0.0.1:80 failed: port is already allocated"),
            ContainerError::PortTaken { .. }
        ));
        assert!(matches!(of(404, "No such container: abc"), ContainerError::Gone { .. }));
        assert!(matches!(of(404, "No such image: abc"), ContainerError::NoImage { .. }));
        assert!(matches!(of(500, "write /x: no space left on device"), ContainerError::DiskFull { .. }));
        let other = of(500, "OCI runtime create failed.\n");
        assert_eq!(other.to_string(), "The container engine refuses starting it: OCI runtime create failed.");
    }

    #[test]
    fn registries_are_understood() {
        let of = |status, message: &str| ContainerError::of_image("a/b:1", answer(status, message));
        assert!(matches!(of(404, "pull access denied for a/b, repository does not exist"), ContainerError::Denied { .. }));
        assert!(matches!(of(404, "manifest for a/b:1 not found: manifest unknown"), ContainerError::NoImage { .. }));
        assert!(matches!(of(500, "Head \"http://…\": dial tcp: connection refused"), ContainerError::NotPulled { .. }));
        let stream =
            ContainerError::of_image("a/b:1", Error::DockerStreamError { error: "filesystem layer verification failed".into() });
        assert!(matches!(stream, ContainerError::NotPulled { .. }), "{stream}");
    }

    #[test]
    fn an_engine_that_hung_up_may_answer_again() {
        let lost = ContainerError::of("waiting", Error::IOError { err: std::io::Error::other("x") });
        assert!(lost.is_lost() && lost.to_string().contains("docker info"), "{lost}");
    }
}
