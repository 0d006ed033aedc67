//! Downloading a model: goes on where it stopped, believes no server, and gives the file its name only when it is
//! whole and its header says that it is a model. Knows HTTP; what a model is, the engine's library tells.

use super::{check, discard, part_of, publish, target};
use crate::cli::{generate::hex, say};
use anyhow::{Context as _, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use panel::{
    addresses::{is_refusal, public_only},
    outgoing::client,
};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// Times that a broken connection is taken up again without any new byte in between.
const TRIES: u32 = 5;
/// A server that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// A server that takes no connection for so long is given up.
const CONNECT: Duration = Duration::from_secs(30);
/// Largest model.
const MAX_BYTES: u64 = 200 << 30;

/// What to fetch, and how.
#[derive(Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    pub(super) url: &'a str,
    /// Its name in the models folder; the server's where absent.
    pub(super) name: Option<&'a str>,
    /// What it must be.
    pub(super) sha256: Option<&'a str>,
    /// Sent to the address's own host.
    pub(super) token: Option<&'a str>,
    /// Only from public addresses, at every redirect.
    pub(super) public_only: bool,
}

/// What is told while it comes.
pub(super) enum Told<'a> {
    Name(&'a str),
    Bytes(u64, Option<u64>),
}

/// Downloads to the models folder for the person at the terminal; the file's path.
pub(super) fn run(models: &Path, url: &str, name: Option<&str>, sha256: Option<&str>) -> anyhow::Result<PathBuf> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bar = Bar::new();
    let mut tell = |told: Told<'_>| {
        if let Told::Bytes(have, total) = told {
            bar.at(have, total);
        }
    };
    let wish = Wish { url, name, sha256, ..Wish::default() };
    let (path, digest) = runtime.block_on(fetch(models, wish, &mut tell))?;
    say(format_args!("sha256 {digest}"));
    Ok(path)
}

/// Downloads to the models folder; the file's path and SHA-256.
pub(super) async fn fetch(
    models: &Path,
    wish: Wish<'_>,
    tell: &mut (dyn FnMut(Told<'_>) + Send),
) -> anyhow::Result<(PathBuf, String)> {
    let url = Url::parse(wish.url).context("this is no address")?;
    let mut client = client().read_timeout(SILENCE).connect_timeout(CONNECT);
    if wish.public_only {
        client = public_only(client, &url)?;
    }
    let from = From { client: client.build()?, url, token: wish.token };
    let name = match wish.name {
        Some(name) => name.to_owned(),
        None => name_of(&from).await?,
    };
    let target = target(models, &name, false)?;
    tell(Told::Name(&name));
    let mut part = Part::open(&part_of(&target))?;
    part.fetch(&from, tell).await?;
    let digest = part.finish(&target, wish.sha256)?;
    Ok((target, digest))
}

/// Throws away what an earlier download of this name left.
pub(super) fn forget(models: &Path, name: &str) {
    if let Ok(target) = target(models, name, false) {
        let part = part_of(&target);
        discard(&part);
        let _ = fs::remove_file(mark_of(&part));
    }
}

/// Where a file comes from.
struct From<'a> {
    client: Client,
    url: Url,
    token: Option<&'a str>,
}

impl From<'_> {
    fn request(&self) -> reqwest::RequestBuilder {
        let request = self.client.get(self.url.clone());
        match self.token {
            // It does not follow a redirect to another host.
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// What the file is called: by the address, else by what the server says.
async fn name_of(from: &From<'_>) -> anyhow::Result<String> {
    let url = &from.url;
    let last = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default().to_owned();
    if last.ends_with(".safetensors") {
        return Ok(last);
    }
    let response = from.request().header(RANGE, "bytes=0-0").send().await.map_err(without_url)?;
    let said = response.headers().get(CONTENT_DISPOSITION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = said.split("filename=").nth(1).map(|n| n.split(';').next().unwrap_or(n).trim().trim_matches('"').to_owned());
    name.filter(|n| n.ends_with(".safetensors")).context("the address does not name a .safetensors file; give its name")
}

/// A file in the making, and beside it the mark of the version that it is part of.
struct Part {
    path: PathBuf,
    file: File,
    have: u64,
    hash: Sha256,
    etag: Option<String>,
}

impl Part {
    /// What an earlier download left, or nothing.
    fn open(path: &Path) -> anyhow::Result<Part> {
        let etag = fs::read_to_string(mark_of(path)).ok();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        // Two downloads into one file would mix their bytes.
        file.try_lock().map_err(|_| anyhow!("this file is being downloaded already"))?;
        let mut part = Part { path: path.into(), have: 0, hash: Sha256::new(), etag, file: file.try_clone()? };
        if part.etag.is_some() {
            // The hash cannot be taken up in the middle, so what is there is read once more.
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    n => {
                        part.hash.update(&buffer[..n]);
                        part.have += n as u64;
                    }
                }
            }
        }
        Ok(part)
    }

    /// Everything that is missing, over as many connections as it takes.
    async fn fetch(&mut self, from: &From<'_>, tell: &mut (dyn FnMut(Told<'_>) + Send)) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let before = self.have;
            match self.once(from, tell).await {
                Ok(()) => return Ok(()),
                Err(Broken::For(why)) => {
                    self.discard();
                    return Err(why);
                }
                Err(Broken::Off(why)) => {
                    tries = if self.have > before { 0 } else { tries + 1 };
                    if tries == TRIES {
                        let have = self.have;
                        return Err(
                            why.context(format!("the download broke off after {have} bytes; the same again goes on there"))
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(200 << tries)).await;
                }
            }
        }
    }

    /// One connection, to the end of the file.
    async fn once(&mut self, from: &From<'_>, tell: &mut (dyn FnMut(Told<'_>) + Send)) -> Result<(), Broken> {
        // Without compression: ranges count bytes of the file itself.
        let mut request = from.request().header(ACCEPT_ENCODING, "identity");
        if let (Some(etag), true) = (&self.etag, self.have > 0) {
            request = request.header(RANGE, format!("bytes={}-", self.have)).header(IF_RANGE, etag);
        }
        let mut response = request.send().await.map_err(broken)?;
        let total = self.begin(&response)?;
        while let Some(chunk) = response.chunk().await.map_err(|e| Broken::Off(without_url(e)))? {
            self.file.write_all(&chunk).map_err(|e| Broken::Off(anyhow!("writing {}: {e}", self.path.display())))?;
            self.hash.update(&chunk);
            self.have += chunk.len() as u64;
            if self.have > total.unwrap_or(MAX_BYTES) {
                return Err(Broken::For(anyhow!("the server sends more than it announced")));
            }
            tell(Told::Bytes(self.have, total));
        }
        match total {
            Some(total) if self.have < total => Err(Broken::Off(anyhow!("{} of {total} bytes came", self.have))),
            _ => Ok(()),
        }
    }

    /// Judges an answer and goes to where its bytes belong. The size of the whole file, where it is told.
    fn begin(&mut self, response: &Response) -> Result<Option<u64>, Broken> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        if status == StatusCode::PARTIAL_CONTENT {
            let (start, total) = header(CONTENT_RANGE).and_then(range).ok_or_else(|| odd("a part without saying which"))?;
            if start != self.have {
                return Err(odd("another part than the one asked for"));
            }
            return Ok(Some(total));
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            self.restart(None)?;
            return Err(Broken::Off(anyhow!("the file has changed")));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Broken::Off(anyhow!("the server answers {status}")));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Broken::For(anyhow!("the server answers {status}: this file needs a login or an access token")));
        }
        if !status.is_success() {
            return Err(Broken::For(anyhow!("the server answers {status}")));
        }
        if header(CONTENT_TYPE).is_some_and(|t| t.starts_with("text/html")) {
            return Err(Broken::For(anyhow!("the server sent a web page, not a model: the address probably needs a login")));
        }
        // Only a strong mark promises that two parts belong together.
        let etag = header(ETAG).filter(|e| !e.starts_with("W/")).map(str::to_owned);
        self.restart(etag)?;
        let total = response.content_length();
        if total.is_some_and(|t| t > MAX_BYTES) {
            return Err(Broken::For(anyhow!("the file is larger than any model")));
        }
        Ok(total)
    }

    /// From the first byte, of this version.
    fn restart(&mut self, etag: Option<String>) -> Result<(), Broken> {
        let again = (|| {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            match &etag {
                Some(etag) => fs::write(mark_of(&self.path), etag),
                None => fs::remove_file(mark_of(&self.path)).or(Ok(())),
            }
        })();
        again.map_err(|e: std::io::Error| Broken::For(anyhow!("writing {}: {e}", self.path.display())))?;
        (self.have, self.hash, self.etag) = (0, Sha256::new(), etag);
        Ok(())
    }

    /// Checks the whole file and gives it its name; its SHA-256. A file that is no model is not kept.
    fn finish(mut self, target: &Path, wanted: Option<&str>) -> anyhow::Result<String> {
        let digest = hex(&std::mem::take(&mut self.hash).finalize());
        let checked = (|| {
            if let Some(wanted) = wanted {
                ensure!(wanted.eq_ignore_ascii_case(&digest), "the file's SHA-256 is not the one that was asked for");
            }
            self.file.sync_all()?;
            check(&self.path)
        })();
        if let Err(why) = checked {
            self.discard();
            return Err(why);
        }
        let _ = fs::remove_file(mark_of(&self.path));
        publish(&self.path, target)?;
        Ok(digest)
    }

    fn discard(&self) {
        discard(&self.path);
        let _ = fs::remove_file(mark_of(&self.path));
    }
}

/// How a connection can end early.
enum Broken {
    /// It can be taken up again.
    Off(anyhow::Error),
    /// It would end the same way again.
    For(anyhow::Error),
}

fn odd(what: &str) -> Broken {
    Broken::For(anyhow!("the server sent {what}"))
}

/// A request that was not answered: for good where its address may not be asked.
fn broken(error: reqwest::Error) -> Broken {
    if is_refusal(&error) { Broken::For(without_url(error)) } else { Broken::Off(without_url(error)) }
}

/// Errors without the address, whose query may hold a secret.
fn without_url(error: reqwest::Error) -> anyhow::Error {
    error.without_url().into()
}

/// `bytes START-END/TOTAL`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((span.split_once('-')?.0.parse().ok()?, total.parse().ok()?))
}

/// The file beside a part that holds its version's mark.
fn mark_of(part: &Path) -> PathBuf {
    part.with_extension("etag")
}

/// A progress bar on a terminal, and nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "[{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed").progress_chars("=> "));
        Bar(bar)
    }

    fn at(&self, have: u64, total: Option<u64>) {
        self.0.set_length(total.unwrap_or(have));
        self.0.set_position(have);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;
