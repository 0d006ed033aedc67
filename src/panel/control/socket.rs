//! The local socket of a running server: one JSON line asks, one answers. Only this user and root are
//! listened to, by what the kernel says of the peer. Knows no question's meaning.

use super::{Control, Desk, Reply};
use crate::config::Config;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Longest line, in bytes.
const LINE_MAX: u64 = 64 * 1024;
/// A connection that says nothing for so long is closed.
const PATIENCE: Duration = Duration::from_secs(10);
/// A command waits so long for its answer: the hash of a password behind others takes seconds.
const ANSWER: Duration = Duration::from_secs(60);

/// Where the socket of this data folder may lie, best first. A network volume holds no sockets, and the
/// command may run without the server's `$XDG_RUNTIME_DIR`, so there is more than one.
fn places(config: &Config) -> Vec<PathBuf> {
    let data = std::fs::canonicalize(&config.data).unwrap_or_else(|_| config.data.clone());
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    let name = digest.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>() + ".sock";
    let mut places = Vec::new();
    if rustix::process::geteuid().is_root() {
        places.push(Path::new("/run/easel").join(&name));
    }
    places.extend(config.surroundings.runtime_dir.iter().map(|dir| dir.join("easel").join(&name)));
    places.push(config.data.join("state").join("control.sock"));
    places
}

/// A path of a socket may have 107 bytes; through an open folder it is always short.
fn short(path: &Path) -> io::Result<(rustix::fd::OwnedFd, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let fd = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let through = Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string()).join(path.file_name().unwrap_or_default());
    Ok((fd, through))
}

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at the best place that works. Whoever calls has the data folder, so a socket that is there
    /// already is a dead server's.
    pub fn listen(config: &Config) -> io::Result<Socket> {
        let mut last = io::Error::other("there is no place for a socket");
        for path in places(config) {
            match listen_at(&path) {
                Ok(listener) => return Ok(Socket { listener, path }),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Answers until the task is aborted.
    pub async fn serve(self, desk: Desk) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let desk = desk.clone();
                    tokio::spawn(async move {
                        if let Err(e) = converse(stream, &desk).await {
                            tracing::warn!("a command on the local socket was not answered: {e}");
                        }
                    });
                }
                // Out of file descriptors, most likely: give the others time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let meta = std::fs::metadata(folder)?;
    // Somebody else's folder could have the socket replaced under us.
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{} belongs to others", folder.display())));
    }
    let (_folder, through) = short(path)?;
    let _ = std::fs::remove_file(&through);
    let listener = UnixListener::bind(&through)?;
    std::fs::set_permissions(&through, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(mut stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::Error::other(format!("it came from uid {peer}")));
    }
    let (read, mut write) = stream.split();
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, BufReader::new(read.take(LINE_MAX)).read_line(&mut line)).await??;
    let reply = match serde_json::from_str::<Control>(&line) {
        Ok(ask) => desk.answer(ask).await,
        // The error's text may quote the line, which may hold a secret.
        Err(_) => Reply::Failed { why: "The server does not understand this command: is it of another version?".into() },
    };
    let mut answer = serde_json::to_vec(&reply)?;
    answer.push(b'\n');
    write.write_all(&answer).await?;
    write.shutdown().await
}

/// Asks the server of this data folder. None where none runs.
pub fn ask(config: &Config, ask: &Control) -> io::Result<Option<Reply>> {
    for path in places(config) {
        let Ok((_folder, through)) = short(&path) else { continue };
        let Ok(mut stream) = Blocking::connect(&through) else { continue };
        stream.set_read_timeout(Some(ANSWER))?;
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        io::BufReader::new(stream.take(16 * LINE_MAX)).read_line(&mut answer)?;
        return Ok(Some(serde_json::from_str(&answer)?));
    }
    Ok(None)
}
