//! The rented pod, where this is one: under which addresses it is reached, whether its disk lasts, whether it can stop itself.
//! Knows no card.

use super::Finding::{self, Bad, Good, Odd};
use panel::{
    Config,
    config::Host,
    origins::Origins,
    pod::{is_the_containers_own, why_no_idle_stop},
};

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let what = match &config.surroundings.host {
        Host::Plain => return idle(config).into_iter().collect(),
        Host::RunPod { pod: Some(pod) } => Good(format!("pod: {pod} of RunPod")),
        Host::RunPod { pod: None } => Bad(
            "pod: RunPod's variables are here but RUNPOD_POD_ID is not, so its addresses are not known; name them in public_urls"
                .into(),
        ),
        Host::Vast { container } => Good(format!("pod: {} of Vast", container.as_deref().unwrap_or("an instance"))),
    };
    let mut findings = vec![what, volume(config)];
    findings.extend(addresses(config));
    findings.extend(idle(config));
    findings
}

fn volume(config: &Config) -> Finding {
    let data = config.data.display();
    if is_the_containers_own(&config.data) {
        Bad(format!(
            "volume: {data} is on the container's own disk, which is gone when the pod stops; start the pod with a volume at /workspace, or set data to a folder on one"
        ))
    } else {
        Good(format!("volume: {data} outlives the pod"))
    }
}

/// Where browsers find the studio: what has to be exposed as an HTTP port, and what was.
fn addresses(config: &Config) -> Vec<Finding> {
    match Origins::of(config, config.port) {
        Ok(origins) => {
            let outside = origins.iter().filter(|origin| !origin.is_loopback());
            let mut findings: Vec<Finding> = outside.map(|origin| Good(format!("address: {origin}"))).collect();
            if findings.is_empty() {
                findings.push(Odd(format!(
                    "address: only this machine reaches the studio; expose port {} as an HTTP port, or set public_urls",
                    config.port
                )));
            }
            findings
        }
        Err(e) => vec![Bad(format!("address: {e}"))],
    }
}

fn idle(config: &Config) -> Option<Finding> {
    if config.idle_stop.is_zero() {
        return None;
    }
    Some(match why_no_idle_stop(config) {
        None => Good(format!("idle stop: after {} minutes without use", config.idle_stop.as_secs() / 60)),
        Some(why) => Bad(format!("idle stop: idle_stop_min is set, and the pod is not stopped: {why}")),
    })
}
