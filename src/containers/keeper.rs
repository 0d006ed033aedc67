//! The one task that owns a running container: passes signals on, shows its bytes, waits for its end, removes it. What an engine
//! does not do at once it is asked for again.

use crate::{
    Engine, Owned,
    line::{self, Line, TakenUp},
};
use std::{convert::Infallible, time::Duration};
use supervise::{Exit, Signal, Size};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};

/// What a container wrote last gets so long to be shown.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Between two tries to kill.
const KILLING: Duration = Duration::from_secs(2);
/// Each of which an engine may take so long for: it waits for the end itself, a while.
const KILLED: Duration = Duration::from_secs(10);
/// Between two tries to remove what an engine that is away still has.
const REMOVING: Duration = Duration::from_secs(5);

/// A running container and all that leads to it.
pub(crate) struct Keeper {
    pub(crate) engine: Engine,
    pub(crate) container: Owned,
    pub(crate) taken_up: TakenUp,
    pub(crate) line: Line,
    pub(crate) inbox: mpsc::UnboundedReceiver<Signal>,
    pub(crate) sizes: watch::Receiver<Size>,
    pub(crate) ended: oneshot::Sender<Exit>,
}

impl Keeper {
    /// Until its end.
    pub(crate) async fn run(self) {
        let Keeper { engine, container, taken_up, line, inbox, sizes, mut ended } = self;
        let sizes = tokio::spawn(line::resize(engine.clone(), container.clone(), sizes));
        let (of, it) = (engine.clone(), container.clone());
        let mut shown = tokio::spawn(async move { line::follow(&of, &it, taken_up, line).await });
        let exit = until_end(&engine, &container, inbox, &mut ended).await;
        if timeout(LAST_WORDS, &mut shown).await.is_err() {
            shown.abort();
        }
        sizes.abort();
        let removed = engine.remove(&container).await;
        let _ = ended.send(exit);
        let Err(e) = removed else { return };
        // It has our labels: whoever starts the tool again removes it first.
        tracing::warn!(tool = container.tool(), "{e}");
        if e.is_lost() {
            // It may run on, with a graphics card, and nobody else would ever end it.
            while engine.remove(&container).await.is_err_and(|e| e.is_lost()) {
                sleep(REMOVING).await;
            }
        }
    }
}

async fn until_end(
    engine: &Engine,
    container: &Owned,
    mut inbox: mpsc::UnboundedReceiver<Signal>,
    ended: &mut oneshot::Sender<Exit>,
) -> Exit {
    let exit = engine.wait(container);
    tokio::pin!(exit);
    loop {
        tokio::select! {
            exit = &mut exit => return exit,
            signal = inbox.recv() => match signal {
                Some(Signal::Terminate) => terminate(engine, container),
                // None: nobody wants it any more.
                Some(Signal::Kill) | None => break,
            },
            () = ended.closed() => break,
        }
    }
    tokio::select! {
        exit = exit => exit,
        never = kill(engine, container) => match never {},
    }
}

/// Apart from waiting: an engine that does not answer must not hold up the next signal.
fn terminate(engine: &Engine, container: &Owned) {
    let (engine, container) = (engine.clone(), container.clone());
    tokio::spawn(async move {
        if let Err(e) = engine.terminate(&container).await {
            tracing::warn!(tool = container.tool(), "{e}");
        }
    });
}

/// Kills it until somebody sees it ended. Once is not enough: an engine that is being restarted hears nothing, and one whose
/// container hangs in the kernel says that it did not work.
async fn kill(engine: &Engine, container: &Owned) -> Infallible {
    let mut told = false;
    loop {
        if let Ok(Err(e)) = timeout(KILLED, engine.kill(container)).await
            && !std::mem::replace(&mut told, true)
        {
            tracing::warn!(tool = container.tool(), "{e}");
        }
        sleep(KILLING).await;
    }
}
