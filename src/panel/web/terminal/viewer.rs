//! One viewer before a terminal, from his first frame to his last. Knows what he may do; the terminal does not.

use super::{
    protocol::{CHUNK, FromViewer, ToViewer, UNACKNOWLEDGED, parse, say},
    source::Source,
};
use crate::{
    App,
    sessions::{Keyboard, Live, Seat},
    web::auth::Admin,
};
use actix_web::web::{Bytes, Data};
use actix_ws::{CloseCode, CloseReason, Closed, Message, MessageStream, Session as Socket};
use futures_util::StreamExt as _;
use std::time::Duration;
use supervise::Size;
use tokio::time::{Instant, interval_at};

/// Time between two looks at whether he may still be here.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A ping at least this often: proxies cut what is silent.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Who has not even answered a ping for so long is gone.
const SILENT: Duration = Duration::from_secs(60);

/// Why a viewer is sent away.
const NOT_ALLOWED: CloseReason = CloseReason { code: CloseCode::Policy, description: None };

struct Viewer {
    app: Data<App>,
    admin: Admin,
    source: Source,
    socket: Socket,
    seat: Option<Seat>,
    /// Number of the next byte to send.
    at: u64,
    /// Everything before this was shown.
    acknowledged: u64,
    /// The end was told.
    told: bool,
    heard: Instant,
}

pub(super) async fn serve(app: Data<App>, admin: Admin, source: Source, from: u64, socket: Socket, mut messages: MessageStream) {
    let live = match &source {
        Source::Live(live) => Some(live.clone()),
        Source::Past { .. } => None,
    };
    let seat = live.as_ref().map(|live| live.keyboard.sit(admin.artist.profile.id.clone()));
    // What is not kept any more he is told of as a gap; beyond the end there is nothing to go on from.
    let from = source.read(from, 1).await.from.min(from);
    let mut viewer =
        Viewer { app, admin, source, socket, seat, at: from, acknowledged: from, told: false, heard: Instant::now() };
    // A socket that has closed is told nothing more.
    let reason = viewer.run(live.as_ref(), &mut messages).await.unwrap_or_default();
    let Viewer { socket, .. } = viewer;
    let _ = socket.close(reason).await;
}

impl Viewer {
    /// Until he leaves or has to.
    async fn run(&mut self, live: Option<&Live>, messages: &mut MessageStream) -> Result<Option<CloseReason>, Closed> {
        self.say(&ToViewer::Hello { from: self.at, age_s: self.source.age().as_secs_f64() }).await?;
        let pace = live.map(|live| live.session.viewer());
        let mut seen = self.at;
        if let Some(pace) = &pace {
            pace.has_seen(self.at);
        }
        let never = Keyboard::default();
        let mut room = live.map_or(&never, |live| &live.keyboard).watch();
        room.mark_changed();
        let mut bell = live.map(|live| (live.session.end(), live.session.state(), live.session.size()));
        if let Some((.., size)) = &mut bell {
            size.mark_changed();
        }
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let more = self.send().await?;
            tokio::select! {
                // In this order, so that no flood keeps a look at his rights waiting.
                biased;
                _ = look.tick() => if !self.may_stay() { return Ok(Some(NOT_ALLOWED)) },
                message = messages.next() => match message {
                    Some(Ok(message)) => if let Some(reason) = self.hear(message).await? { return Ok(reason) },
                    Some(Err(_)) | None => return Ok(None),
                },
                Ok(()) = room.changed() => {
                    // Copied before anything else looks at the room: who waits to change it would stand between two looks.
                    let now = room.borrow_and_update().clone();
                    self.tell_room(&now).await?;
                }
                size = changed(&mut bell, self.is_full()) => if let Some(Size { cols, rows }) = size {
                    self.say(&ToViewer::Size { cols, rows }).await?;
                },
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENT {
                        return Ok(None);
                    }
                    self.socket.ping(b"").await?;
                }
                () = std::future::ready(()), if more => {}
            }
            if let Some(pace) = pace.as_ref().filter(|_| self.acknowledged > seen) {
                seen = self.acknowledged;
                pace.has_seen(seen);
            }
        }
    }

    /// As much is under way to him as may be.
    fn is_full(&self) -> bool {
        self.at - self.acknowledged >= UNACKNOWLEDGED
    }

    /// Whether he is still an admin in admin mode. Looking is no use of admin mode; typing is.
    fn may_stay(&self) -> bool {
        self.admin.is_still_on(&self.app)
    }

    /// Sends what is new, as far as he keeps up. True: there is more that he can take at once.
    async fn send(&mut self) -> Result<bool, Closed> {
        // Asked before the bytes, so that none can come after "it has ended".
        let end = self.source.end();
        if self.is_full() {
            return Ok(false);
        }
        let piece = self.source.read(self.at, CHUNK).await;
        if piece.from > self.at {
            self.say(&ToViewer::Gap { from: piece.from, dropped: piece.from - self.at }).await?;
            // What he missed needs no acknowledgement.
            self.acknowledged += piece.from - self.at;
        }
        self.at = piece.end();
        if !piece.bytes.is_empty() {
            self.socket.binary(Bytes::from(piece.bytes)).await?;
            return Ok(!self.is_full());
        }
        if let Some(end) = end.filter(|_| !self.told) {
            self.told = true;
            let (code, signal) = (end.code, end.signal);
            self.say(&ToViewer::Ended { code, signal, after_s: end.after.as_secs_f64() }).await?;
        }
        Ok(false)
    }

    /// One message. Some: he goes, for this reason.
    async fn hear(&mut self, message: Message) -> Result<Option<Option<CloseReason>>, Closed> {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => match parse(&text) {
                Some(word) => self.obey(word),
                None => return Ok(Some(Some(CloseCode::Unsupported.into()))),
            },
            Message::Binary(keys) => self.type_keys(keys).await?,
            Message::Ping(bytes) => self.socket.pong(&bytes).await?,
            Message::Pong(_) | Message::Nop => {}
            Message::Continuation(_) => return Ok(Some(Some(CloseCode::Unsupported.into()))),
            Message::Close(reason) => return Ok(Some(reason)),
        }
        Ok(None)
    }

    fn obey(&mut self, word: FromViewer) {
        let (Some(seat), Source::Live(live)) = (&self.seat, &self.source) else {
            if let FromViewer::Ack { up_to } = word {
                self.acknowledged = up_to.clamp(self.acknowledged, self.at);
            }
            return;
        };
        match word {
            FromViewer::Ack { up_to } => self.acknowledged = up_to.clamp(self.acknowledged, self.at),
            FromViewer::Take {} => seat.take(),
            FromViewer::Give {} => seat.give_back(),
            FromViewer::Resize { cols, rows } if seat.sizes() => live.session.resize(Size::clamped(cols, rows)),
            FromViewer::Resize { .. } => {}
        }
    }

    async fn type_keys(&mut self, keys: Bytes) -> Result<(), Closed> {
        // Looked at again here: between two looks a key must not slip through.
        let types = self.seat.as_ref().is_some_and(Seat::types) && self.admin.use_it(&self.app);
        let refused = match (&self.source, types) {
            (Source::Live(live), true) => live.session.type_keys(keys.to_vec()).err().map(|e| e.to_string()),
            _ => Some("Take the keyboard first.".into()),
        };
        match refused {
            Some(why) => self.say(&ToViewer::Refused { why: &why }).await,
            None => Ok(()),
        }
    }

    async fn tell_room(&mut self, room: &crate::sessions::Room) -> Result<(), Closed> {
        let typist = room.typist.as_ref().and_then(|t| self.app.users.enabled(&t.profile));
        let you = self.seat.as_ref().is_some_and(Seat::types);
        let name = typist.as_ref().map(|profile| profile.name.as_str());
        self.say(&ToViewer::Room { viewers: room.viewers, you, typist: name }).await
    }

    async fn say(&mut self, word: &ToViewer<'_>) -> Result<(), Closed> {
        self.socket.text(say(word)).await
    }
}

type Bells = (
    tokio::sync::watch::Receiver<u64>,
    tokio::sync::watch::Receiver<supervise::SessionState>,
    tokio::sync::watch::Receiver<Size>,
);

/// Waits until there are bytes, an end, or another size; that size. Bytes do not wake who is `full`: a flood would wake
/// every stalled viewer for each of its pieces.
async fn changed(bells: &mut Option<Bells>, full: bool) -> Option<Size> {
    let Some((end, state, size)) = bells else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = end.changed(), if !full => None,
        Ok(()) = state.changed() => None,
        Ok(()) = size.changed() => Some(*size.borrow_and_update()),
        else => std::future::pending().await,
    }
}
