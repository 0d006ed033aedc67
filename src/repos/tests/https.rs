//! A git server over https: nginx ends TLS with a certificate of an authority made for the test, and hands on to a small server that
//! runs git's own `http-backend`, or misbehaves as told.

use super::servers::{Server, program, run};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How the server behaves.
#[derive(Clone, Debug)]
pub(super) enum Behaviour {
    Good,
    /// Answers every request with this status.
    Status(u16),
    /// Wants this as user and password.
    Token(&'static str),
    /// Sends so many bytes of a pack's answer and then nothing.
    Stall(usize),
    /// Sends a pack's answer this many bytes at a time, one every 10 ms.
    Slow(usize),
    /// Sends every request to another address.
    Redirect(String),
}

pub(super) struct Https {
    nginx: Option<Server>,
    port: u16,
    folder: PathBuf,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    behaviour: Mutex<Behaviour>,
    over: AtomicBool,
    requests: AtomicUsize,
    /// What came in `Authorization`, last.
    shown: Mutex<Option<String>>,
}

impl Https {
    /// Serves the repositories of a folder.
    pub(super) fn start(root: &Path) -> Https {
        let folder = root.join("nginx");
        fs::create_dir_all(folder.join("logs")).unwrap();
        certificates(&folder);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let behind = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            root: root.to_owned(),
            behaviour: Mutex::new(Behaviour::Good),
            over: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            shown: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                if serving.over.load(Ordering::Relaxed) {
                    break;
                }
                // One that is cut off by its peer is no matter.
                thread::spawn(move || _ = serving.serve(stream.unwrap()));
            }
        });
        let nginx = nginx(&folder, behind);
        Https { port: nginx.port, nginx: Some(nginx), folder, state }
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    pub(super) fn shown(&self) -> Option<String> {
        self.state.shown.lock().unwrap().clone()
    }

    /// Nothing listens any more.
    pub(super) fn stop(&mut self) {
        self.nginx = None;
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let (method, target) = (line.split(' ').next().unwrap_or("").to_owned(), line.split(' ').nth(1).unwrap_or("").to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
        let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut body)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !header("authorization").is_empty() {
            *self.shown.lock().unwrap() = Some(header("authorization").to_owned());
        }
        let behaviour = self.behaviour.lock().unwrap().clone();
        let mut stream = stream;
        match behaviour {
            Behaviour::Status(status) => return plain(&mut stream, status, ""),
            Behaviour::Redirect(to) => return plain(&mut stream, 302, &format!("Location: {to}{target}\r\n")),
            Behaviour::Token(token) if header("authorization") != basic(token) => {
                return plain(&mut stream, 401, "WWW-Authenticate: Basic realm=\"git\"\r\n");
            }
            _ => {}
        }
        let answer = self.backend(&method, &target, header("content-type"), &body);
        match behaviour {
            Behaviour::Stall(after) if method == "POST" => {
                stream.write_all(&answer[..after.min(answer.len())])?;
                while !self.over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            }
            Behaviour::Slow(bytes) if method == "POST" => answer.chunks(bytes).try_for_each(|piece| {
                thread::sleep(Duration::from_millis(10));
                stream.write_all(piece)
            }),
            _ => stream.write_all(&answer),
        }
    }

    /// git's own server program, by the rules of CGI.
    fn backend(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Vec<u8> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut git = Command::new("git");
        git.arg("http-backend").env("GIT_PROJECT_ROOT", &self.root).env("GIT_HTTP_EXPORT_ALL", "1");
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query).env("CONTENT_TYPE", kind);
        git.env("CONTENT_LENGTH", body.len().to_string()).env("REMOTE_ADDR", "127.0.0.1");
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(body).unwrap();
        let output = child.wait_with_output().unwrap().stdout;
        let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
        let head = String::from_utf8_lossy(&output[..end]).into_owned();
        let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let length = output.len().saturating_sub(end + 4);
        let mut answer =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n\r\n").into_bytes();
        answer.extend_from_slice(output.get(end + 4..).unwrap_or_default());
        answer
    }
}

fn basic(token: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(token))
}

fn plain(stream: &mut TcpStream, status: u16, headers: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status} Told\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n").as_bytes())
}

/// An authority, and a certificate of it for localhost.
fn certificates(folder: &Path) {
    let openssl = |args: &str| run(Command::new("openssl").current_dir(folder).args(args.split(' ')));
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=Test-{}", crate::random()));
    openssl(&format!(
        "req -x509 {key} -keyout server.key -out server.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext \
         basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key"
    ));
}

fn nginx(folder: &Path, behind: u16) -> Server {
    Server::start(|port| {
        let at = folder.display();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
             events {{ worker_connections 64; }}
             http {{
               access_log off; client_max_body_size 0;
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
               server {{
                 listen 127.0.0.1:{port} ssl; ssl_certificate {at}/server.pem; ssl_certificate_key {at}/server.key;
                 location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_buffering off; proxy_read_timeout 600s; proxy_redirect off; }}
               }}
             }}"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new(program("nginx"));
        nginx.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        nginx
    })
}
