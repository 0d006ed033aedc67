//! The one task that owns a running container: passes signals on, shows its bytes, waits for its end, removes it.

use crate::{
    Engine, Owned,
    line::{self, Line},
    raw::Stream,
};
use std::time::Duration;
use supervise::{Exit, Signal, Size};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

/// What a container wrote last gets so long to be shown.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running container and all that leads to it.
pub(crate) struct Keeper {
    pub(crate) engine: Engine,
    pub(crate) container: Owned,
    pub(crate) stream: Stream,
    pub(crate) line: Line,
    pub(crate) inbox: mpsc::UnboundedReceiver<Signal>,
    pub(crate) sizes: watch::Receiver<Size>,
    pub(crate) ended: oneshot::Sender<Exit>,
}

impl Keeper {
    /// Until its end.
    pub(crate) async fn run(self) {
        let Keeper { engine, container, stream, line, inbox, sizes, mut ended } = self;
        let sizes = tokio::spawn(line::resize(engine.clone(), container.clone(), sizes));
        let (of, it) = (engine.clone(), container.clone());
        let mut shown = tokio::spawn(async move { line::follow(&of, &it, stream, line).await });
        let exit = until_end(&engine, &container, inbox, &mut ended).await;
        if timeout(LAST_WORDS, &mut shown).await.is_err() {
            shown.abort();
        }
        sizes.abort();
        if let Err(e) = engine.remove(&container).await {
            // It has our labels: whoever starts the tool again removes it first.
            tracing::warn!(tool = container.tool(), "{e}");
        }
        let _ = ended.send(exit);
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
                Some(signal) => pass_on(engine, container, signal),
                None => break,
            },
            () = ended.closed() => break,
        }
    }
    // Nobody wants it any more.
    pass_on(engine, container, Signal::Kill);
    exit.await
}

/// Apart from waiting: an engine that does not answer must not hold up the next signal.
fn pass_on(engine: &Engine, container: &Owned, signal: Signal) {
    let (engine, container) = (engine.clone(), container.clone());
    tokio::spawn(async move {
        let done = match signal {
            Signal::Terminate => engine.terminate(&container).await,
            Signal::Kill => engine.kill(&container).await,
        };
        if let Err(e) = done {
            tracing::warn!(tool = container.tool(), "{e}");
        }
    });
}
