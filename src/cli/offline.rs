//! One question to the studio: to the running server where there is one, else to the store, with the data
//! folder taken for that long. Knows no subcommand.

use super::{Exit, Failure, Shared, say};
use anyhow::Context as _;
use panel::control::{Control, Desk, OfflineError, Reply, socket};
use panel::datafolder::DataFolderError;

/// Asks, and returns the answer unless it is a failure.
pub(crate) fn ask(shared: &Shared, question: Control) -> Result<Reply, Failure> {
    let config = shared.load()?;
    let reply = match socket::ask(&config, &question).context("asking the running server")? {
        Some(reply) => reply,
        None if question == Control::Status => Reply::Refused { why: "No server runs on this data folder.".into() },
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (_folder, desk) = Desk::offline(&config).await.map_err(failure)?;
                Ok::<_, Failure>(desk.answer(question).await)
            })?
        }
    };
    succeeded(reply)
}

fn succeeded(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Failed { why } => Err(anyhow::anyhow!(why).into()),
        Reply::Refused { why } => Err(Failure { exit: Exit::Refused, why: anyhow::anyhow!(why) }),
        reply => Ok(reply),
    }
}

/// Why the folder could not be taken, with its exit code.
pub(crate) fn failure(why: OfflineError) -> Failure {
    let exit = match &why {
        OfflineError::Folder(DataFolderError::InUse { .. }) => Exit::InUse,
        _ => Exit::Failed,
    };
    Failure { exit, why: why.into() }
}

/// Asks, and prints what comes back.
pub(crate) fn run(shared: &Shared, question: Control) -> Result<Exit, Failure> {
    tell(ask(shared, question)?)
}

/// Prints what came back.
pub(crate) fn tell(reply: Reply) -> Result<Exit, Failure> {
    match succeeded(reply)? {
        Reply::Done { message } => say(message),
        Reply::Once { message, secret } => {
            // The sentence is for a person; a script that reads standard output gets the secret alone.
            super::note(message);
            say(secret.expose());
        }
        Reply::Users { users, problems } => {
            for user in users {
                say(row(&user));
            }
            for problem in problems {
                super::note(format_args!("users.toml: {problem}"));
            }
        }
        Reply::Status(status) => {
            say(format_args!("Easel {} serves on {} as process {}", status.version, status.url, status.pid));
            say(format_args!("Engine: {}", status.engine));
            say(format_args!("{} profiles", status.profiles));
            for problem in status.problems {
                super::note(format_args!("users.toml: {problem}"));
            }
        }
        Reply::Refused { .. } | Reply::Failed { .. } => unreachable!("they are errors"),
    }
    Ok(Exit::Done)
}

fn row(user: &panel::control::UserLine) -> String {
    let mut words = vec![format!("{:16} {:24} {:6}", user.id, user.name, user.role.as_str())];
    words.extend(user.has_pin.then(|| "PIN".into()));
    words.extend(user.has_password.then(|| "password".into()));
    words.extend(user.disabled.then(|| "disabled".into()));
    words.extend(user.pending.map(|role| format!("asks to be {}, see `easel user confirm`", role.as_str())));
    words.join("  ").trim_end().to_string()
}
