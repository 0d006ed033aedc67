//! `/api/v1/events`: one stream of all jobs of the caller, as server-sent events. Knows how long a stream
//! lives and beats; what is in it is `crate::events`' business.

use crate::{App, error::AppError, events::Subscription, jobs::JobView, store::StoreError, web::auth::Artist};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, Data, Path, Query},
};
use futures_util::stream;
use protocol::JobId;
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use tokio::sync::watch;

/// A comment at least this often, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams end before proxies cut them (100 s), and the browser goes on from the last number.
const LIFE: Duration = Duration::from_secs(90);
/// Milliseconds after which a browser connects again.
const RETRY_MS: u32 = 300;

/// Where to go on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct After {
    /// The last number that was seen; also taken from `Last-Event-ID`.
    after: Option<i64>,
}

/// All jobs of the caller: `state` and `artifact` with their number as id; `step`, `loading`, `preview`, `place` and
/// `held` without, `dataset` where one has changed, and `tools` and `notices` with a version, at first and whenever it
/// changes. Ends after 90 s; go on from the last id.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(After),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub async fn of_all(app: Data<App>, artist: Artist, request: HttpRequest, after: Query<After>) -> Result<HttpResponse, AppError> {
    let sub = app.events.subscribe(&artist.profile.id, resume(&request, &after), None);
    answer(app, artist, sub, None).await
}

/// The same for one job; ends when the job does.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "events", params(("id" = String, Path), After),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub async fn of_job(
    app: Data<App>,
    artist: Artist,
    request: HttpRequest,
    id: Path<String>,
    after: Query<After>,
) -> Result<HttpResponse, AppError> {
    let id = JobId(id.into_inner());
    let sub = app.events.subscribe(&artist.profile.id, resume(&request, &after), Some(id.clone()));
    app.jobs.get(&artist.profile.id, &id).await?.ok_or(AppError::NotFound)?;
    answer(app, artist, sub, Some(id)).await
}

/// A reconnecting browser's header is newer than the address that it opened first.
fn resume(request: &HttpRequest, after: &After) -> Option<i64> {
    let header = request.headers().get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    header.or(after.after)
}

struct Stream {
    app: Data<App>,
    artist: Artist,
    sub: Subscription,
    /// Rings when somebody's login ended.
    ends: watch::Receiver<()>,
    only: Option<JobId>,
    /// What was missed is told.
    begun: bool,
    /// The one job that was asked for is over.
    over: bool,
    until: jiff::Timestamp,
}

async fn answer(app: Data<App>, artist: Artist, sub: Subscription, only: Option<JobId>) -> Result<HttpResponse, AppError> {
    let (until, ends) = (app.clock.now() + LIFE, app.logins.ends());
    let stream = Stream { app, artist, sub, ends, only, begun: false, over: false, until };
    let body = stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies of the nginx kind hold answers back otherwise.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(body))
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            if !self.artist.is_still_in(&self.app) {
                return None;
            }
            return self.first().await.inspect_err(|e| tracing::error!("events: {e}")).ok();
        }
        // Whoever was logged out or disabled hears nothing more.
        while !self.over && self.artist.is_still_in(&self.app) {
            let left = Duration::try_from(self.until - self.app.clock.now()).ok().filter(|left| !left.is_zero())?;
            let clock = self.app.clock.clone();
            tokio::select! {
                open = self.sub.changed() => {
                    if !open {
                        return None;
                    }
                    if !self.artist.is_still_in(&self.app) {
                        return None;
                    }
                    let batch = self.sub.take().await.inspect_err(|e| tracing::error!("events: {e}")).ok()?;
                    self.over = !batch.more && self.ended().await;
                    // Somebody else's job of this profile changed, in a stream of one job.
                    if batch.numbered.is_empty() && batch.passing.is_empty() {
                        continue;
                    }
                    return Some(join(batch.numbered.into_iter().chain(batch.passing)));
                }
                // Perhaps it was this one; the loop looks.
                Ok(()) = self.ends.changed() => {}
                () = clock.sleep(HEARTBEAT.min(left)) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
        None
    }

    /// What was missed, a page at a time; with the last one how the unfinished jobs stand, and the latest of what passes.
    async fn first(&mut self) -> Result<Bytes, StoreError> {
        let batch = self.sub.take().await?;
        let seq = self.sub.seq();
        let mut lines = vec![Bytes::from(format!("retry: {RETRY_MS}\n\n"))];
        lines.extend(batch.numbered);
        if batch.more {
            return Ok(join(lines));
        }
        self.begun = true;
        // Read after the replay, so that it can only be newer: what is told twice does no harm.
        for job in self.snapshot().await? {
            let data = serde_json::to_string(&job).expect("numbers and strings are JSON");
            lines.push(Bytes::from(format!("id: {seq}\nevent: state\ndata: {data}\n\n")));
        }
        // A number without an event: a browser that was told nothing yet still goes on from here.
        lines.push(Bytes::from(format!("id: {seq}\n\n")));
        lines.extend(batch.passing);
        self.over = self.ended().await;
        Ok(join(lines))
    }

    async fn snapshot(&self) -> Result<Vec<JobView>, StoreError> {
        let profile = &self.artist.profile.id;
        match &self.only {
            Some(id) => Ok(self.app.jobs.get(profile, id).await?.into_iter().collect()),
            None => self.app.jobs.snapshot(profile).await,
        }
    }

    /// Whether the one job that was asked for is over.
    async fn ended(&self) -> bool {
        let Some(id) = &self.only else { return false };
        let job = self.app.jobs.get(&self.artist.profile.id, id).await;
        !job.is_ok_and(|job| job.is_some_and(|job| job.state == "queued" || job.state == "running"))
    }
}

/// One chunk of lines; a single line is sent as it is, without a copy.
fn join(lines: impl IntoIterator<Item = Bytes>) -> Bytes {
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let Some(second) = lines.next() else { return first };
    let mut all = [first, second].concat();
    lines.for_each(|line| all.extend_from_slice(&line));
    all.into()
}
