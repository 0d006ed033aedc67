//! The way from a terminal to a client beside terminado's (PyPI) and wetty's (npm), in turn and in the same run, with the
//! same bytes and the same WebSocket. Asserts ratios of that run; prints the figures. wetty is there in `--long` only.

use super::flood::median;
use crate::program::{Program, is_long};
use crate::terminal::{
    client::{Admin, studio},
    socket::{BINARY, Socket, TEXT},
};
use crate::tool_folder::free_port;
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A shell that shows nothing of its own beside its prompt.
const SHELL: &str = "#!/bin/sh\nPS1='$ ' exec bash --norc --noprofile -i\n";
/// What is typed for a flood.
const FLOOD: &str = "yes 0123456789012345678901234567890123456789012345678901234567890123\n";
/// Bytes of a flood before its rate is taken.
const RUN_UP: usize = 2_000_000;
/// Keys whose echoes are waited for.
const KEYS: usize = 200;
/// Python of the tests' tools: its terminado as Jupyter uses it, one terminal for everybody.
const TERMINADO: &str = "
import asyncio, signal, sys, tornado.web, tornado.netutil, tornado.httpserver, terminado
# What ignores them (nohup, a job in the background) leaves it to its children, and a flood would not hear its key.
for usual in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(usual, signal.SIG_DFL)
async def main():
    manager = terminado.SingleTermManager(shell_command=[sys.argv[1]])
    app = tornado.web.Application([('/ws', terminado.TermSocket, {'term_manager': manager})])
    sockets = tornado.netutil.bind_sockets(0, '127.0.0.1')
    tornado.httpserver.HTTPServer(app).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
";
/// wetty starts a local program for root only, and takes ssh for others; what is measured is the same.
const AS_ROOT: &str = "data:text/javascript,process.getuid=()=>0";
/// wetty's page commits so many bytes at once.
const COMMIT: usize = 262_144;

/// Something that runs a terminal, with a client before it.
struct Server {
    name: &'static str,
    pid: u32,
    socket: Socket,
    speech: Speech,
    /// What came and was not looked at yet.
    seen: Vec<u8>,
    rates: Vec<f64>,
    /// MB for each second of processor time that the server took, its terminal's programs not counted.
    thrifts: Vec<f64>,
}

/// How a client and its server talk.
enum Speech {
    Easel { at: u64 },
    Terminado,
    Wetty { uncommitted: usize },
}

/// Ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tools() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}

impl Server {
    fn new(name: &'static str, pid: u32, socket: Socket, speech: Speech) -> Server {
        Server { name, pid, socket, speech, seen: Vec::new(), rates: Vec::new(), thrifts: Vec::new() }
    }

    async fn easel(program: &Program) -> Server {
        let admin = Admin::log_in(program).await;
        let session = admin.shell().await;
        let mut server = Server::new("easel", program.pid(), admin.attach(&session, 0).socket, Speech::Easel { at: 0 });
        server.socket.send(TEXT, b"{\"kind\":\"take\"}").unwrap();
        // The same shell as the others.
        server.type_keys("PS1='$ ' exec bash --norc --noprofile -i\n");
        server
    }

    fn terminado(shell: &str) -> (Killed, Server) {
        let mut python = Command::new(tools().join("python/bin/python"));
        let child = python.args(["-c", TERMINADO, shell]).stdout(Stdio::piped()).spawn().expect("setup/test.sh makes it");
        let mut child = Killed(child);
        let mut port = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "terminado does not start; setup/test.sh installs it");
        let (status, socket) = Socket::ask(&format!("127.0.0.1:{}", port.trim()), "/ws", "");
        assert_eq!(status, 101);
        let server = Server::new("terminado", child.0.id(), socket.unwrap(), Speech::Terminado);
        (child, server)
    }

    fn wetty(shell: &str) -> (Killed, Server) {
        let port = free_port();
        let mut node = Command::new("node");
        node.args(["--import", AS_ROOT]).arg(tools().join("wetty/node_modules/wetty/build/main.js"));
        node.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--base", "/", "--command", shell]);
        let child = Killed(node.env("NODE_ENV", "production").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "wetty does not start; setup/test.sh --long installs it");
            std::thread::sleep(Duration::from_millis(50));
        }
        let (status, socket) = Socket::ask(&format!("127.0.0.1:{port}"), "/socket.io/?EIO=4&transport=websocket", "");
        assert_eq!(status, 101);
        let mut server = Server::new("wetty", child.0.id(), socket.unwrap(), Speech::Wetty { uncommitted: 0 });
        // Socket.IO: a connection to its usual namespace.
        server.socket.send(TEXT, b"40").unwrap();
        (child, server)
    }

    /// Takes one frame, answers it as its protocol wants; how many of the terminal's bytes were in it.
    fn take(&mut self) -> usize {
        let (kind, body) = self.socket.next().unwrap();
        match &mut self.speech {
            Speech::Easel { at } if kind == BINARY => {
                *at += body.len() as u64;
                let ack = format!("{{\"kind\":\"ack\",\"up_to\":{at}}}");
                let came = body.len();
                keep(&mut self.seen, body);
                self.socket.send(TEXT, ack.as_bytes()).unwrap();
                came
            }
            Speech::Easel { .. } => 0,
            Speech::Terminado => body.strip_prefix(b"[\"stdout\", \"").map_or(0, |text| keep(&mut self.seen, text)),
            Speech::Wetty { .. } if body == b"2" => {
                self.socket.send(TEXT, b"3").unwrap();
                0
            }
            Speech::Wetty { uncommitted } => {
                let Some(text) = body.strip_prefix(b"42[\"data\",\"") else { return 0 };
                let came = keep(&mut self.seen, text);
                *uncommitted += came;
                if *uncommitted >= COMMIT {
                    let commit = format!("42[\"commit\",{uncommitted}]");
                    *uncommitted = 0;
                    self.socket.send(TEXT, commit.as_bytes()).unwrap();
                }
                came
            }
        }
    }

    fn type_keys(&mut self, keys: &str) {
        let text = serde_json::to_string(keys).unwrap();
        match self.speech {
            Speech::Easel { .. } => self.socket.send(BINARY, keys.as_bytes()),
            Speech::Terminado => self.socket.send(TEXT, format!("[\"stdin\",{text}]").as_bytes()),
            Speech::Wetty { .. } => self.socket.send(TEXT, format!("42[\"input\",{text}]").as_bytes()),
        }
        .unwrap();
    }

    /// Reads until the text has come.
    fn until(&mut self, text: &str) {
        while !self.seen.windows(text.len()).any(|w| w == text.as_bytes()) {
            self.take();
        }
        self.seen.clear();
    }

    /// A flood of so many bytes, and its end by a key.
    fn flood(&mut self, bytes: usize) {
        self.type_keys(FLOOD);
        let mut left = RUN_UP;
        while left > 0 {
            left = left.saturating_sub(self.take());
        }
        let (begun, busy, mut came) = (Instant::now(), busy(self.pid), 0);
        while came < bytes {
            came += self.take();
        }
        self.rates.push(came as f64 / 1e6 / begun.elapsed().as_secs_f64());
        self.thrifts.push(came as f64 / 1e6 / (self::busy(self.pid) - busy).as_secs_f64().max(0.001));
        self.type_keys("\u{3}");
        self.type_keys("echo $((40+2))fin\n");
        self.until("42fin");
    }

    /// Times from a key to its echo, shortest first.
    fn echoes(&mut self) -> Vec<Duration> {
        self.type_keys("cat\n");
        self.until("cat");
        std::thread::sleep(Duration::from_millis(200));
        let one = |_| {
            std::thread::sleep(Duration::from_millis(5));
            self.seen.clear();
            let begun = Instant::now();
            self.type_keys("x");
            while !self.seen.contains(&b'x') {
                self.take();
            }
            begun.elapsed()
        };
        let mut echoes: Vec<Duration> = (0..KEYS).map(one).collect();
        echoes.sort();
        echoes
    }
}

/// Keeps the last of what a terminal wrote, and counts it: of JSON, each escape is one byte, and the frame's end is none.
fn keep(seen: &mut Vec<u8>, text: &[u8]) -> usize {
    if seen.len() > 4096 {
        seen.drain(..seen.len() - 2048);
    }
    seen.extend_from_slice(&text[text.len().saturating_sub(2048)..]);
    match text.strip_suffix(b"\"]") {
        Some(text) => text.len() - text.iter().filter(|b| **b == b'\\').count(),
        None => text.len(),
    }
}

/// Processor time of a process.
fn busy(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Forgets what a process had resident before now: passwords are hashed with much memory, at no other time.
fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Most memory that a process had resident since, in MB; and without the pages of files, most of which are its program.
fn peak(pid: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mb = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    (mb("VmHWM:"), mb("VmHWM:") - mb("RssFile:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_faster_than_terminado_and_wetty_with_less_memory() {
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("shell.sh");
    std::fs::write(&shell, SHELL).unwrap();
    std::fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = studio(folder.path());
    let mut servers = vec![Server::easel(&program).await];
    let (_terminado, server) = Server::terminado(shell.to_str().unwrap());
    servers.push(server);
    let _wetty = is_long().then(|| {
        let (wetty, server) = Server::wetty(shell.to_str().unwrap());
        servers.push(server);
        wetty
    });
    let figures = tokio::task::block_in_place(|| {
        servers.iter().for_each(|server| forget_peak(server.pid));
        let (rounds, bytes) = if is_long() { (9, 100_000_000) } else { (9, 20_000_000) };
        for _ in 0..rounds {
            servers.iter_mut().for_each(|server| server.flood(bytes));
        }
        let figure = |server: &mut Server| {
            let echoes = server.echoes();
            (peak(server.pid), echoes[KEYS / 2], echoes[KEYS * 99 / 100])
        };
        servers.iter_mut().map(figure).collect::<Vec<_>>()
    });
    let thrifts: Vec<f64> = servers.iter_mut().map(|server| median(&mut server.thrifts)).collect();
    println!("{:10} {:>8} {:>18} {:>20} {:>24}", "", "MB/s", "MB per CPU second", "peak MB (own)", "echo p50 / p99");
    for ((server, thrift), ((peak, own), p50, p99)) in servers.iter().zip(&thrifts).zip(&figures) {
        let (name, rate) = (server.name, median(&mut server.rates.clone()));
        let (memory, echo) = (format!("{peak:.1} ({own:.1})"), format!("{p50:.2?} / {p99:.2?}"));
        println!("{name:10} {rate:>8.1} {thrift:>18.1} {memory:>20} {echo:>24}");
    }
    let ((_, own), p50, _) = figures[0];
    for ((rival, theirs), ((_, their_own), their_p50, _)) in servers[1..].iter().zip(&thrifts[1..]).zip(&figures[1..]) {
        // Round by round, so that other work on the machine falls on both.
        let mut ratios: Vec<f64> = servers[0].rates.iter().zip(&rival.rates).map(|(ours, theirs)| ours / theirs).collect();
        let (name, ratio) = (rival.name, median(&mut ratios));
        // Three programs on two cores: what the clock shows of a short run moves by a tenth, what a processor does in a second
        // does not.
        let least = if is_long() { 1.0 } else { 0.85 };
        assert!(ratio > least, "Easel carries {ratio:.2} of what {name} does");
        let thrift = thrifts[0] / theirs;
        assert!(thrift > 1.0, "for a second of processor Easel carries {thrift:.2} of what {name} does");
        assert!(own < *their_own, "{name} takes {their_own:.1} MB, Easel {own:.1}");
        assert!(p50 < 2 * *their_p50 + Duration::from_millis(2), "{name} echoes after {their_p50:?}, Easel after {p50:?}");
    }
}
