//! A gate as a browser meets it: from a page at Easel's own address with a form, past "starting" into the tool, and
//! out again. Knows no page of the panel: a page of the test stands for it.

use super::Browser;
use super::access::{axe, findings};
use crate::measured::gate::Studio;
use panel::gate::{ENTER, GateState};
use std::{net::SocketAddr, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Serves one page, with whatever cookies came, to every request.
async fn serve(listener: TcpListener, page: impl Fn(&str) -> String + Clone + Send + 'static) {
    while let Ok((stream, _)) = listener.accept().await {
        // Browsers open connections ahead, and ask over them later or never.
        tokio::spawn(answer(stream, page.clone()));
    }
}

async fn answer(mut stream: TcpStream, page: impl Fn(&str) -> String) -> Option<()> {
    let mut request = String::new();
    while !request.contains("\r\n\r\n") {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        request.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    let cookies = request.lines().find_map(|line| line.strip_prefix("cookie: ")).unwrap_or_default();
    let page = page(cookies);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len()).as_bytes()).await.ok()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Looks at a page of the gate in both themes and sizes.
async fn look(b: &Browser, axe: &str, name: &str) {
    for (width, height) in [(1440, 900), (360, 740)] {
        b.resize(width, height).await;
        for theme in ["dark", "light"] {
            b.run(&format!("document.documentElement.dataset.theme = '{theme}'; return true")).await;
            // A colour on its way from one theme to the other is nobody's contrast.
            b.until("no colour is on its way", "return document.getAnimations().length === 0").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(findings(b, axe).await, Vec::<String>::new(), "{name} {width} {theme}");
            let sideways = b.run("return document.documentElement.scrollWidth > innerWidth").await;
            assert_eq!(sideways, false, "{name} {width} scrolls sideways");
            b.screenshot(&format!("gate-{name}-{width}-{theme}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_leads_from_easels_page_into_the_tool_and_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let ((panel, own), (tool, upstream), (nobody, silent)) = (listen().await, listen().await, listen().await);
    drop(nobody);
    let studio = Studio::open(folder.path(), own.port()).await;
    let gate = format!("http://127.0.0.1:{}", studio.gate("ComfyUI", upstream).await);
    let (gates, zoe, target) = (studio.gates.clone(), studio.zoe.clone(), format!("{gate}{ENTER}"));
    tokio::spawn(serve(panel, move |_| {
        let ticket = gates.ticket("ComfyUI", &zoe).unwrap();
        let field = format!("<input type=hidden name=ticket value={}>", ticket.secret.expose());
        format!("<!doctype html><form method=post action={target}>{field}<button id=open>Open</button></form>")
    }));
    tokio::spawn(serve(tool, |cookies| {
        format!("<!doctype html><h1>The tool</h1><p id=cookies>{cookies}</p><script>document.cookie = 'own=1'</script>")
    }));
    let set = |state| studio.gates.set("ComfyUI", state).unwrap();
    let (axe, b) = (axe(), Browser::open(1440, 900).await);

    b.go(&gate).await;
    assert_eq!(b.see("h1").await.text().await.unwrap(), "Log in first");
    look(&b, &axe, "login").await;
    let way = b.run("return document.querySelector('a').href").await;
    assert_eq!(way, format!("http://{own}/tools"));

    set(GateState::Starting { line: "Loading the first node".into() });
    b.go(&format!("http://{own}/")).await;
    b.click("#open").await;
    b.until("the log's line is shown", "return document.body.textContent.includes('Loading the first node')").await;
    look(&b, &axe, "starting").await;
    set(GateState::Starting { line: "Loading the last node".into() });
    b.until("the line follows", "return document.body.textContent.includes('Loading the last node')").await;
    set(GateState::Open { upstream, authorization: None });
    b.until("the page turned into the tool", "return document.querySelector('h1').textContent === 'The tool'").await;
    b.go(&gate).await;
    assert_eq!(b.text("#cookies").await, "own=1", "its own cookie and none of Easel's");

    set(GateState::Open { upstream: silent, authorization: None });
    b.go(&gate).await;
    assert_eq!(b.see("h1").await.text().await.unwrap(), "No answer");
    look(&b, &axe, "silent").await;
    set(GateState::Open { upstream, authorization: None });
    b.until("it came back by itself", "return document.querySelector('h1').textContent === 'The tool'").await;

    studio.logins.end(studio.zoe.login).await.unwrap();
    b.go(&gate).await;
    assert_eq!(b.see("h1").await.text().await.unwrap(), "Log in first");
    // The console reports each page that is no 200; there is nothing else to report.
    let others: Vec<String> =
        b.complaints().await.into_iter().filter(|line| !line.contains("the server responded with")).collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
    b.close().await;
}
