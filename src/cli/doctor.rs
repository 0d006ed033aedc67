//! `easel doctor`: what could keep a studio from working here, one line each. Changes nothing but a probe
//! file that it removes again. Knows no HTTP.

use super::{Exit, Failure, Shared, say};
use panel::Config;
use panel::control::{Control, Reply, socket};
use std::fmt::Display;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

/// Bytes written to see whether there is room: a quota shows in no table.
const PROBE: usize = 32 << 20;
/// A clock before the first of January 2025 was never set, in seconds since 1970.
const SET: u64 = 1_735_689_600;

/// Flags of `doctor`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// One finding.
enum Finding {
    Good(String),
    Odd(String),
    Bad(String),
}

use Finding::{Bad, Good, Odd};

/// Looks at everything; fails where anything is bad.
pub(crate) fn run(shared: &Shared, _args: Args) -> Result<Exit, Failure> {
    let config = shared.load()?;
    let server = socket::ask(&config, &Control::Status).ok().flatten();
    let mut findings = vec![Good(format!("configuration: data folder {}", config.data.display()))];
    findings.push(room(&config.data));
    findings.push(port(&config, server.is_some()));
    findings.extend(running(server));
    findings.push(key(&config));
    findings.extend(users(&config));
    findings.push(clock());
    let mut exit = Exit::Done;
    for finding in findings {
        let (mark, text) = match &finding {
            Good(text) => ("ok   ", text),
            Odd(text) => ("note ", text),
            Bad(text) => ("bad  ", text),
        };
        if matches!(finding, Bad(_)) {
            exit = Exit::Failed;
        }
        say(format_args!("{mark}{text}"));
    }
    Ok(exit)
}

/// Writes and syncs a file in the data folder, or in the first folder above it that exists.
fn room(data: &Path) -> Finding {
    let folder = data.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".easel-doctor-{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&probe)?;
        file.write_all(&vec![0x5a; PROBE])?;
        file.sync_all()
    };
    let outcome: std::io::Result<()> = write();
    let _ = std::fs::remove_file(&probe);
    let folder = folder.display();
    match outcome {
        Ok(()) => Good(format!("disk: {} MB could be written to {folder}", PROBE / 1_000_000)),
        Err(e) => Bad(format!("disk: {} MB cannot be written to {folder}: {e}", PROBE / 1_000_000)),
    }
}

fn port(config: &Config, served: bool) -> Finding {
    match TcpListener::bind((config.bind, config.port)) {
        Ok(_) => Good(format!("port: {} is free on {}", config.port, config.bind)),
        Err(_) if served => Good(format!("port: {} is taken, and a server of this data folder runs", config.port)),
        Err(e) => Bad(format!("port: {} on {} cannot be taken: {e}; choose another with --port", config.port, config.bind)),
    }
}

fn running(server: Option<Reply>) -> Vec<Finding> {
    let Some(Reply::Status(status)) = server else { return vec![Odd("server: none runs on this data folder".into())] };
    let engine = format!("engine: {}", status.engine);
    vec![
        Good(format!("server: Easel {} as process {} on {}", status.version, status.pid, status.url)),
        if status.engine.starts_with("failed") { Bad(engine) } else { Good(engine) },
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
    let told = |what: &dyn Display| format!("users: {}: {what}", config.users.display());
    match std::fs::read_to_string(&config.users) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            vec![Odd(told(&"there is no such file; profiles are made in Easel"))]
        }
        Err(e) => vec![Bad(told(&e))],
        Ok(text) => match panel::users::file::parse(&text) {
            Err(problem) => vec![Bad(told(&problem))],
            Ok((entries, problems)) => {
                let mut findings = vec![Good(told(&format_args!("{} profiles", entries.len())))];
                findings.extend(problems.iter().map(|problem| Bad(told(problem))));
                findings
            }
        },
    }
}

fn clock() -> Finding {
    match std::time::UNIX_EPOCH.elapsed() {
        Ok(now) if now.as_secs() > SET => Good("clock: set".into()),
        _ => Bad("clock: it was never set; logins and links depend on it".into()),
    }
}
