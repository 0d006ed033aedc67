//! A script that changes a tool: what it is started as, what it tells, what its end means. Knows no page.

use super::{
    Home, Installation, ToolError, ToolFolder, Tools,
    contract::{Call, Version, environment},
    ending::Counted,
    shell::TERM,
    stand::ToolState,
    steps::Marks,
};
use crate::{
    secrets::Secret,
    sessions::{Action, Begin, Live, SessionId},
    uids::ToolUser,
    users::ProfileId,
};
use containers::Road;
use std::{collections::BTreeMap, ffi::OsString, path::Path, sync::Arc, time::Duration};
use supervise::{Exit, Guarded, Launch, Size, Spawner};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// Pages are told of new lines at most this often.
const TELL_EVERY: Duration = Duration::from_millis(700);
/// Bytes of a script's output that are looked through at once.
const PIECE: usize = 64 * 1024;
/// Longest token.
const TOKEN_MAX: usize = 512;
/// Installs Debian packages, then becomes the script.
const WITH_PACKAGES: &str = "lib/with-packages.sh";

/// What an admin wants of a change.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What was chosen; empty for everything.
    pub picks: Vec<String>,
    /// Tokens for this one run, by the variable that the script reads them from.
    pub tokens: BTreeMap<String, Secret>,
}

/// Starts the script of an action; what comes of it is seen to in the background.
pub(super) async fn begin(
    tools: &Tools,
    folder: &ToolFolder,
    action: Action,
    wish: Wish,
    by: ProfileId,
    session: SessionId,
) -> Result<(), ToolError> {
    let Wish { picks, tokens } = wish;
    check_tokens(folder, &tokens).map_err(ToolError::Refused)?;
    if let Some(choices) = &folder.choices {
        choices.check(&picks).map_err(ToolError::Refused)?;
    } else if !picks.is_empty() {
        return Err(ToolError::Refused(format!("{} has nothing to choose from.", folder.spec.name)));
    }
    let contained = tools.settled_road(folder).await? == Road::Container;
    let (launch, spawner) = if contained {
        tools.work_on_image(folder, action, &by).await?
    } else {
        let script = script_of(action).and_then(|a| folder.script(a));
        let script = script.ok_or_else(|| ToolError::Refused(format!("{} has no script for that.", folder.spec.name)))?;
        let version = if action == Action::GoBack { Version::Earlier } else { Version::Newest };
        let user = tools.user_of(folder).await?;
        let launch = launch(tools, folder, &script, &Call::Change { picks, tokens, version }, user)?;
        (launch, tools.0.parts.spawner.clone() as Arc<dyn Spawner>)
    };
    let id = folder.spec.id.clone();
    let what = Begin { id: session, tool: Some(id.as_str().to_owned()), action, by };
    let (live, exit) = tools.0.parts.sessions.begin_by(what, &launch, spawner).await?;
    tracing::info!(tool = id.as_str(), action = action.name(), session = live.record.id.as_str(), "script started");
    let (tools, folder, counted) = (tools.clone(), folder.clone(), Counted::new(&tools.0.changing));
    tools.0.runtime.clone().spawn(async move {
        // The panel's end waits for what follows the end of the script.
        let _counted = counted;
        let exit = follow(&tools, &folder, &live, exit).await;
        if contained {
            tools.after_image(&folder).await;
        }
        let verdict = verdict(&tools, &folder, &live, action, exit).await;
        tools.rest(&id, verdict);
    });
    Ok(())
}

/// A token is for a variable that the tool may see, and one line of visible characters.
fn check_tokens(folder: &ToolFolder, tokens: &BTreeMap<String, Secret>) -> Result<(), String> {
    for (name, token) in tokens {
        if !folder.spec.environment.contains(name) {
            return Err(format!("{} does not ask for {name}.", folder.spec.name));
        }
        let text = token.expose();
        if text.is_empty() || text.len() > TOKEN_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("{name} must be one word of at most {TOKEN_MAX} characters."));
        }
    }
    Ok(())
}

fn script_of(action: Action) -> Option<super::Action> {
    match action {
        Action::Install => Some(super::Action::Install),
        // The script that leads forward knows the way back.
        Action::Update | Action::GoBack => Some(super::Action::Update),
        Action::Reinstall => Some(super::Action::Reinstall),
        Action::Start => Some(super::Action::Start),
        Action::Shell | Action::Sync => None,
    }
}

/// A script under a guardian and in a terminal, with the contract's environment and no other.
pub(super) fn launch(
    tools: &Tools,
    folder: &ToolFolder,
    script: &Path,
    call: &Call,
    mut user: Option<ToolUser>,
) -> Result<Launch, ToolError> {
    let parts = &tools.0.parts;
    let shelf = tools.shelf();
    let owner = shelf.catalogue.owner(folder);
    let Home::Own(home) = &owner.spec.home else { return Err(ToolError::Unknown) };
    let panel: BTreeMap<String, String> = parts.variables.all().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let mut env = environment(&folder.spec, home, &folder.path, &parts.places, call, &panel);
    env.extend(TERM.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // A home of its own: caches and settings of tools must not meet in the panel's.
    let own = parts.places.workspace.join(home).join("home");
    env.insert("HOME".into(), own.to_string_lossy().into_owned());
    if let Some(path) = env.get_mut("PATH") {
        *path = parts.users.path(path);
    }
    let mut launch = Launch::new("/bin/bash").in_folder(&parts.places.workspace);
    if matches!(call, Call::Change { .. }) && !folder.spec.apt.is_empty() {
        env.insert("DEBIAN_PACKAGES".into(), folder.spec.apt.join("\n"));
        // Packages are installed by root, in the same terminal; what comes after is the tool's own.
        if let Some(ToolUser { uid, gid }) = user.take() {
            env.insert("RUN_AS".into(), format!("{uid}:{gid}"));
        }
        launch = launch.arg(folder.setup().join(WITH_PACKAGES));
    }
    let user = user.map(|user| (user.uid, user.gid));
    let env = env.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let guarded = Guarded { guardian: parts.guardian.clone(), user, terminal: Some(Size::default()) };
    Ok(launch.arg(script).only_env(env).guarded(guarded))
}

/// Reads a script's marks as they come and tells pages of its lines, until it has ended.
async fn follow(tools: &Tools, folder: &ToolFolder, live: &Live, mut exit: oneshot::Receiver<Exit>) -> Exit {
    let (mut end, mut marks, mut at, mut rested) = (live.session.end(), Marks::default(), 0, Instant::now());
    let ended = loop {
        let news = async {
            sleep_until(rested).await;
            let _ = end.changed().await;
        };
        // Its end is heard at once, whenever pages were told last.
        let exit = tokio::select! {
            exit = &mut exit => Some(exit.unwrap_or(Exit::Unknown)),
            () = news => None,
        };
        loop {
            let piece = live.session.read(at, PIECE);
            if piece.bytes.is_empty() {
                break;
            }
            at = piece.end();
            marks.feed(&piece.bytes).into_iter().for_each(|mark| tools.note(&folder.spec.id, mark));
        }
        if let Some(exit) = exit {
            break exit;
        }
        tools.tell();
        rested = Instant::now() + TELL_EVERY;
    };
    tracing::info!(tool = folder.spec.id.as_str(), session = live.record.id.as_str(), "script {ended}");
    ended
}

/// What the end of a script means. None: the disk says.
async fn verdict(tools: &Tools, folder: &ToolFolder, live: &Live, action: Action, exit: Exit) -> Option<ToolState> {
    if exit == Exit::Code(0) {
        return None;
    }
    let why = match tools.told_error(&folder.spec.id) {
        Some(why) => why,
        None => format!("The script of \"{}\" {exit}.", action.name()),
    };
    let session = live.record.id.clone();
    let found = tools.installation(folder).await;
    if let (Ok(Installation::Changing { change }), true) = (&found, folder.runs()) {
        return Some(ToolState::Unfinished { change: change.clone(), why, session });
    }
    let installed = matches!(found, Ok(Installation::Installed { .. }));
    // An update and a reinstallation go back when they fail; what adds to another tool may have added some of it.
    let remedy = if installed && folder.runs() {
        "It is as it was before. Its terminal says more."
    } else {
        "Its terminal says more. Running it again goes on where it stopped."
    };
    let remedy = remedy.into();
    Some(ToolState::Broken { why, remedy, session: Some(session), installed })
}
