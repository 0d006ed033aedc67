//! A terminal's bytes between an engine and whoever looks: attaching, carrying, and going on where it was after a break.

use crate::{
    ContainerError, Engine, Owned,
    raw::{self, Stream},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use supervise::Size;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{sleep, timeout},
};

/// How long new bytes are collected while the log is read, to find where both meet.
const MEET: Duration = Duration::from_millis(150);
/// Bytes in which they are looked for.
const WINDOW: usize = 1 << 20;
/// A container that has ended says so a moment after its bytes have ended.
const ENDING: Duration = Duration::from_millis(50);
/// Between two tries to attach again.
const AGAIN: Duration = Duration::from_millis(500);

/// A container's terminal, and what is to be shown before it.
pub(crate) struct TakenUp {
    /// What it wrote before.
    pub(crate) past: Vec<u8>,
    /// What it writes, and where keys go.
    pub(crate) stream: Stream,
}

/// The two ends of a line; one is for a session.
pub(crate) struct Line {
    typed: OwnedReadHalf,
    screen: OwnedWriteHalf,
}

impl Line {
    /// A line, and the other end of it.
    pub(crate) fn new() -> std::io::Result<(Line, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (typed, screen) = ours.into_split();
        Ok((Line { typed, screen }, theirs))
    }

    /// Carries bytes until the engine's side ends. False: nobody looks any more.
    pub(crate) async fn carry(&mut self, stream: Stream) -> bool {
        let (mut from, mut to) = split(stream);
        let shown = copy(&mut from, &mut self.screen);
        tokio::pin!(shown);
        tokio::select! {
            // An error of the engine's side is its end too; one of ours is told by the next write.
            _ = &mut shown => true,
            typed = copy(&mut self.typed, &mut to) => match typed {
                // The other end is closed.
                Ok(_) => false,
                // The engine takes no more keys, but may have something to show still.
                Err(_) => {
                    let _ = shown.await;
                    true
                }
            },
        }
    }

    /// Shows bytes of the past, as fast as whoever looks takes them.
    async fn show(&mut self, bytes: &[u8]) {
        // Nobody looks: told by whoever carries next.
        let _ = self.screen.write_all(bytes).await;
    }

    /// Whether somebody types Ctrl-C; never returns otherwise.
    pub(crate) async fn interrupted(typed: &mut OwnedReadHalf) {
        let mut keys = [0; 64];
        loop {
            match typed.read(&mut keys).await {
                Ok(0) | Err(_) => std::future::pending().await,
                Ok(count) if keys[..count].contains(&3) => return,
                Ok(_) => {}
            }
        }
    }

    /// Keyboard and screen apart.
    pub(crate) fn into_parts(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (self.typed, self.screen)
    }
}

/// The terminal of a container's first process.
pub(crate) async fn attach(engine: &Engine, container: &Owned) -> Result<Stream, ContainerError> {
    let path = engine.path(&format!("/containers/{}/attach?stream=1&stdin=1&stdout=1&stderr=1", container.id()));
    raw::upgrade(engine.socket(), &path, "", "attaching to its terminal").await
}

/// Shows what a container wrote before, then what it writes until it has ended or nobody looks; attaches again where the engine was
/// restarted under it.
pub(crate) async fn follow(engine: &Engine, container: &Owned, mut taken_up: TakenUp, mut line: Line) {
    loop {
        let TakenUp { past, stream } = taken_up;
        line.show(&past).await;
        drop(past);
        if !line.carry(stream).await {
            return;
        }
        let since = now();
        sleep(ENDING).await;
        taken_up = loop {
            match engine.standing(container).await {
                Ok(standing) if standing.running => {}
                Err(e) if e.is_lost() => {
                    sleep(AGAIN).await;
                    continue;
                }
                Ok(_) | Err(_) => return,
            }
            match take_up(engine, container, Some(since)).await {
                Ok(taken_up) => break taken_up,
                Err(e) => tracing::debug!("{e}"),
            }
            sleep(AGAIN).await;
        };
    }
}

/// Attaches to a container that runs already: what its log has from `since` on, and what comes. No byte twice and none lost, but
/// the beginning of a line that was not ended when the former line broke: an engine logs whole lines.
///
/// The past is handed over and not shown here: nobody looks before there is a session, and a line takes a few hundred KB.
pub(crate) async fn take_up(engine: &Engine, container: &Owned, since: Option<Duration>) -> Result<TakenUp, ContainerError> {
    // In this order: what comes between the two is in both, and found there.
    let mut stream = attach(engine, container).await?;
    sleep(MEET).await;
    let mut past = engine.log(container, since).await?;
    let mut fresh = Vec::new();
    let collect = async { while fresh.len() < WINDOW && matches!(stream.read_buf(&mut fresh).await, Ok(1..)) {} };
    let _ = timeout(MEET, collect).await;
    let twice = overlap(&past, &fresh);
    past.extend_from_slice(&fresh[twice..]);
    Ok(TakenUp { past, stream })
}

/// How many bytes at the beginning of `fresh` are the end of `log`, at most.
fn overlap(log: &[u8], fresh: &[u8]) -> usize {
    let pattern = &fresh[..fresh.len().min(WINDOW)];
    let text = &log[log.len().saturating_sub(pattern.len())..];
    // Knuth, Morris, Pratt: borders[i] is the longest beginning of the pattern that is also an end of its first i + 1 bytes.
    let mut borders = vec![0; pattern.len()];
    let step = |borders: &[usize], mut at: usize, byte: u8| {
        while at > 0 && (at == pattern.len() || pattern[at] != byte) {
            at = borders[at - 1];
        }
        if pattern.get(at) == Some(&byte) { at + 1 } else { 0 }
    };
    let mut at = 0;
    for i in 1..pattern.len() {
        at = step(&borders, at, pattern[i]);
        borders[i] = at;
    }
    text.iter().fold(0, |at, byte| step(&borders, at, *byte))
}

/// Passes sizes on as they change.
pub(crate) async fn resize(engine: Engine, container: Owned, mut sizes: watch::Receiver<Size>) {
    while sizes.changed().await.is_ok() {
        let size = *sizes.borrow_and_update();
        if let Err(e) = engine.resize(&container, size).await {
            tracing::debug!("{e}");
        }
    }
}

/// The time of day as logs tell it.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_log_and_stream_meet_nothing_is_shown_twice() {
        for (log, fresh, twice) in [
            ("1\n2\n3\n", "3\n4\n", 2),
            ("1\n2\n", "3\n", 0),
            ("", "abc", 0),
            ("abc", "", 0),
            ("xaaa", "aaaa", 3),
            ("abab", "abab", 4),
            ("abcab", "abd", 2),
            ("hel\nhello\n", "hello\nworld", 6),
        ] {
            assert_eq!(overlap(log.as_bytes(), fresh.as_bytes()), twice, "{log:?} {fresh:?}");
        }
    }

    #[test]
    fn it_equals_the_plain_way_on_many_short_texts() {
        let word = |mut n: usize, len: usize| {
            (0..len)
                .map(|_| {
                    n /= 2;
                    b'a' + (n % 2) as u8
                })
                .collect::<Vec<u8>>()
        };
        for n in 0..4096 {
            let (log, fresh) = (word(n, 6), word(n.rotate_left(3) ^ (n >> 5), 7));
            let plain = (0..=fresh.len()).rev().find(|k| log.ends_with(&fresh[..*k])).unwrap();
            assert_eq!(overlap(&log, &fresh), plain, "{log:?} {fresh:?}");
        }
    }
}
