//! The studio itself: its ports, server, key, profiles, tools and repositories. Knows no machine.

use super::Finding::{self, Bad, Good, Odd};
use panel::{
    Config,
    boot::{self, kept::kept},
    control::Reply,
    tools::{self, Catalogue},
};
use std::{
    fmt::Display,
    fs, io,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

pub(super) fn look(config: &Config, server: Option<Reply>) -> Vec<Finding> {
    let served = server.is_some();
    let mut findings = vec![port(config, served)];
    findings.extend(running(server));
    findings.push(key(config));
    findings.extend(users(config));
    findings.extend(of_tools(config, served));
    findings.extend(repositories(config));
    findings
}

/// A port, and who has it where it cannot be had.
fn free(config: &Config, port: u16) -> Result<(), String> {
    match TcpListener::bind((config.bind, port)) {
        Ok(_) => Ok(()),
        Err(e) => Err(match tools::owner_of_port(port) {
            Some((pid, name)) => format!("{name} (process {pid}) has it"),
            None => e.to_string(),
        }),
    }
}

fn port(config: &Config, served: bool) -> Finding {
    let Config { port, bind, .. } = config;
    match free(config, *port) {
        Ok(()) => Good(format!("port: {port} is free on {bind}")),
        Err(_) if served => Good(format!("port: {port} is taken, and a server of this data folder runs")),
        Err(why) => Bad(format!("port: {port} on {bind} cannot be taken: {why}; stop that, or choose another with --port")),
    }
}

fn running(server: Option<Reply>) -> Vec<Finding> {
    let Some(Reply::Status(status)) = server else { return vec![Odd("server: none runs on this data folder".into())] };
    let engine = format!("engine: {}", status.engine);
    vec![
        Good(format!("server: Easel {} as process {} on {}", status.version, status.pid, status.url)),
        if status.engine.split("; ").any(|part| part.starts_with("failed")) { Bad(engine) } else { Good(engine) },
    ]
}

/// The first start makes the store and the key together.
fn key(config: &Config) -> Finding {
    if config.data.join("state").join(panel::store::FILE).exists() {
        Good("studio key: made; `easel key reset` makes a new one".into())
    } else {
        Odd("studio key: not made yet; the first start prints it".into())
    }
}

fn users(config: &Config) -> Vec<Finding> {
    let file = boot::users_file(config);
    let told = |what: &dyn Display| format!("users: {}: {what}", file.display());
    match fs::read_to_string(&file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => vec![Odd(told(&"there is no such file; profiles are made in Easel"))],
        Err(e) => vec![Bad(told(&e))],
        Ok(text) => match panel::users::file::parse(&text) {
            Err(problem) => vec![Bad(told(&problem))],
            Ok(parsed) => {
                let mut findings = vec![Good(told(&format_args!("{} profiles", parsed.entries.len())))];
                findings.extend(parsed.problems.iter().map(|problem| Bad(told(problem))));
                findings
            }
        },
    }
}

/// The folders of tools, and the ports at which they are opened.
fn of_tools(config: &Config, served: bool) -> Vec<Finding> {
    let folder = boot::tools_folder(config);
    let catalogue = match Catalogue::load(&folder) {
        Ok(catalogue) => catalogue,
        Err(e) if e.kind() == io::ErrorKind::NotFound && !config.setup_named => {
            return vec![Odd("tools: the first start unpacks them".into())];
        }
        Err(e) => return vec![Bad(format!("tools: {} cannot be read: {e}", folder.display()))],
    };
    let mut findings = vec![Good(format!("tools: {} in {}", catalogue.tools().count(), folder.display()))];
    for broken in catalogue.broken() {
        findings.extend(broken.problems.iter().map(|problem| Bad(format!("tools: {}: {problem}", broken.folder))));
    }
    // While a studio runs, its own gates have some of them.
    for tool in catalogue.tools().filter(|_| !served) {
        let Some(port) = tool.spec.public_port else { continue };
        if let Err(why) = free(config, port) {
            let name = &tool.spec.name;
            findings
                .push(Bad(format!("tools: port {port} of {name} cannot be taken: {why}; stop that, or set another public_port")));
        }
    }
    findings
}

fn repositories(config: &Config) -> Vec<Finding> {
    let reports = kept(&config.data);
    let one = |repo: &panel::config::Repo| {
        let report = reports.iter().find(|report| report.name == repo.name);
        match report.map(|report| (report, report.behind())) {
            None => Odd(format!("repository {}: not synced yet; `easel sync` does that now", repo.name)),
            Some((report, None)) => {
                let commit = report.commit.as_ref().map_or("", |commit| commit.id.get(..10).unwrap_or_default());
                Good(format!("repository {}: in step at {commit}", repo.name))
            }
            Some((report, Some(why))) if report.commit.is_some() => {
                Odd(format!("repository {}: the last good copy is used. {why}", repo.name))
            }
            Some((_, Some(why))) => Bad(format!("repository {}: it is not here. {why}", repo.name)),
        }
    };
    let mut findings: Vec<Finding> = config.boot.repos.iter().map(one).collect();
    if config.boot.repos.iter().any(|repo| repo.address.is_ssh()) {
        findings.push(ssh(&config.boot.ssh));
    }
    findings
}

/// The folder of keys; the next sync mends its modes, but not its owner.
fn ssh(folder: &Path) -> Finding {
    let shown = folder.display();
    let meta = match fs::metadata(folder) {
        Ok(meta) => meta,
        Err(_) => {
            return Bad(format!(
                "ssh: there is no folder {shown}; put id_ed25519 there, and its public half to the repository's deploy keys"
            ));
        }
    };
    let has_key = ["id_ed25519", "id_ecdsa", "id_rsa"].iter().any(|name| folder.join(name).is_file());
    if meta.uid() != rustix::process::geteuid().as_raw() {
        Bad(format!("ssh: {shown} belongs to user {}; it has to be this one's: chown it", meta.uid()))
    } else if !has_key {
        Bad(format!("ssh: no key in {shown}; put id_ed25519 there, and its public half to the repository's deploy keys"))
    } else if meta.permissions().mode() & 0o077 != 0 {
        Odd(format!("ssh: others may look into {shown}; the next sync closes it"))
    } else {
        Good(format!("ssh: a key is in {shown}"))
    }
}
