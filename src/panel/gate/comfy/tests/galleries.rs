//! What becomes of pictures where ComfyUI answers late, in part, or of prompts that nobody has run.

use super::*;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Says what it is told to, path by path, and of `BROKEN` nothing; so many answers to `/view` are failures first.
#[derive(Debug, Default)]
struct Fake {
    said: Mutex<HashMap<String, String>>,
    failures: AtomicUsize,
}

const BROKEN: &str = "/history/broken";

async fn serve(tool: Arc<Fake>, mut stream: TcpStream) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        read.extend(&buffer[..n]);
        if !read.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut read)).unwrap();
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
        let failed =
            path == "/view" && tool.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        let (status, body) = match tool.said.lock().unwrap().get(&path) {
            _ if failed || path == BROKEN => ("500 No", String::new()),
            Some(body) => ("200 OK", body.clone()),
            None => ("200 OK", "{}".to_owned()),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn start(tool: &Arc<Fake>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tool) = (listener.local_addr().unwrap(), tool.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(tool.clone(), stream));
        }
    });
    address
}

#[derive(Debug, Default)]
struct Wall(Mutex<Vec<(String, Bytes)>>);

impl Gallery for Wall {
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>> {
        Box::pin(async move {
            let pieces: Vec<io::Result<Bytes>> = found.file.pieces.collect().await;
            let Ok(pieces) = pieces.into_iter().collect::<io::Result<Vec<Bytes>>>() else { return Taken::Unread };
            let file = pieces.concat();
            assert_eq!(found.file.bytes, Some(file.len() as u64), "it is told how long the file is");
            self.0.lock().unwrap().push((found.profile.to_string(), file.into()));
            Taken::Settled
        })
    }
}

/// A gallery with room for so many pictures: what it was handed, and what it has taken.
#[derive(Debug, Default)]
struct Small {
    room: AtomicUsize,
    handed: Mutex<Vec<(String, u32)>>,
    taken: Mutex<Vec<(String, u32)>>,
}

impl Gallery for Small {
    fn take(&self, found: Found) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>> {
        let picture = (found.prompt, found.index);
        self.handed.lock().unwrap().push(picture.clone());
        let room = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if room {
            self.taken.lock().unwrap().push(picture);
        }
        Box::pin(async move { if room { Taken::Settled } else { Taken::NoRoom } })
    }
}

/// A prompt of a profile's that has left the queue, with this many pictures.
async fn done(run: &Run, tool: &Fake, profile: &str, prompt: &str, pictures: u32) {
    let profile = ProfileId::parse(profile).unwrap();
    let file = |n| format!(r#"{{"filename": "{n}.png", "subfolder": "@{profile}", "type": "output"}}"#);
    let files: Vec<String> = (0..pictures).map(file).collect();
    let entry = format!(r#"{{"{prompt}": {{"outputs": {{"9": {{"images": [{}]}}}}}}}}"#, files.join(","));
    tool.said.lock().unwrap().insert(format!("/history/{prompt}"), entry);
    run.owners().reserve(prompt, &profile, 1, Instant::now()).unwrap();
    run.owners().taken(prompt, Instant::now());
    let waiting = Waiting { prompt: prompt.to_owned(), profile, tries: 0, settled: 0 };
    run.watched().waiting.push_back(waiting);
}

fn empty_queue() -> Arc<Fake> {
    let tool = Fake::default();
    for (path, said) in [("/queue", r#"{"queue_running": [], "queue_pending": []}"#), ("/view", "pixels")] {
        tool.said.lock().unwrap().insert(path.into(), said.into());
    }
    Arc::new(tool)
}

#[tokio::test]
async fn a_picture_waits_for_room_however_long_and_comes_once() {
    let (tool, run, wall) = (empty_queue(), Run::new(), Small { room: AtomicUsize::new(1), ..Small::default() });
    let (home, address) = (Home::default(), start(&tool).await);
    let look = || look(&run, Tool { home: &home, address }, Some(&wall));
    done(&run, &tool, "zoe", "hers", 3).await;
    for _ in 0..TRIES * 2 {
        assert_eq!(look().await.unwrap(), Next::NoRoom);
    }
    assert_eq!(*wall.taken.lock().unwrap(), [("hers".to_owned(), 0)]);
    wall.room.store(9, Ordering::SeqCst);
    assert_eq!((look().await.unwrap(), look().await.unwrap()), (Next::More, Next::Nothing));
    assert_eq!(*wall.taken.lock().unwrap(), [0, 1, 2].map(|index| ("hers".to_owned(), index)));
    let again = wall.handed.lock().unwrap().iter().filter(|(_, index)| *index == 0).count();
    assert_eq!(again, 1, "she may have deleted it to make room");
}

#[tokio::test]
async fn nobody_waits_for_a_prompt_of_which_comfyui_cannot_tell() {
    let (tool, run, wall) = (empty_queue(), Run::new(), Small { room: AtomicUsize::new(9), ..Small::default() });
    let (home, address) = (Home::default(), start(&tool).await);
    done(&run, &tool, "mateo", "broken", 1).await;
    done(&run, &tool, "zoe", "hers", 1).await;
    for _ in 0..TRIES {
        look(&run, Tool { home: &home, address }, Some(&wall)).await.unwrap();
    }
    assert_eq!(*wall.taken.lock().unwrap(), [("hers".to_owned(), 0)]);
    assert!(run.watched().waiting.is_empty(), "it is given up");
}

#[test]
fn not_more_prompts_wait_than_are_known() {
    let (run, zoe, mateo) = (Run::new(), ProfileId::parse("zoe").unwrap(), ProfileId::parse("mateo").unwrap());
    let (run, nowhere) = (Arc::new(run), "127.0.0.1:9".parse().unwrap());
    // Somebody looks after them already.
    run.watched().watching = true;
    watch(&run, None, &mateo, "his", nowhere);
    (0..=PROMPTS_MAX).for_each(|n| watch(&run, None, &zoe, &n.to_string(), nowhere));
    let watched = run.watched();
    let waiting: Vec<&str> = watched.waiting.iter().map(|waiting| waiting.prompt.as_str()).collect();
    assert_eq!((waiting.len(), &waiting[..2]), (PROMPTS_MAX + 1, &["his", "1"][..]));
}

#[tokio::test]
async fn pictures_come_whatever_others_took_out_and_although_a_try_failed() {
    let tool = Arc::new(Fake { failures: AtomicUsize::new(1), ..Fake::default() });
    let say = |path: &str, body: &str| drop(tool.said.lock().unwrap().insert(path.to_owned(), body.to_owned()));
    say("/queue", r#"{"queue_running": [[1, "running", {}, {}, []]], "queue_pending": []}"#);
    let output = r#"{"images": [{"filename": "a.png", "subfolder": "@mateo", "type": "output"}, {"filename": "p.png", "subfolder": "", "type": "temp"}]}"#;
    say("/history/done", &format!(r#"{{"done": {{"outputs": {{"9": {output}}}, "cfg": NaN}}}}"#));
    say("/view", "pixels");
    let address = start(&tool).await;
    let (zoe, mateo) = (ProfileId::parse("zoe").unwrap(), ProfileId::parse("mateo").unwrap());
    let (run, wall) = (Arc::new(Run::new()), Arc::new(Wall::default()));
    let gallery: Arc<dyn Gallery> = wall.clone();
    let put_in = |prompt: &str, profile: &ProfileId| {
        run.owners().reserve(prompt, profile, 1, Instant::now()).unwrap();
        watch(&run, Some(&gallery), profile, prompt, address);
        run.owners().taken(prompt, Instant::now());
    };
    put_in("running", &mateo);
    (0..150).for_each(|n| put_in(&format!("cleared{n}"), &zoe));
    put_in("done", &mateo);
    let begun = Instant::now();
    while wall.0.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "his picture does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(*wall.0.lock().unwrap(), [("mateo".to_owned(), Bytes::from("pixels"))]);
    let preview = File { kind: Kind::Temp, subfolder: String::new(), name: "p.png".into() };
    assert!(run.has(&mateo, &preview) && !run.has(&zoe, &preview));
    while run.watched().waiting.len() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(10), "what was taken out is waited for");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(run.watched().waiting[0].prompt, "running");
}

#[tokio::test]
async fn nobody_waits_for_the_questions_of_others() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let run = Arc::new(Run::new());
    let ask = |_: usize| {
        let run = run.clone();
        async move { run.queue(Tool { home: &Home::default(), address }).await.is_err() }
    };
    let begun = Instant::now();
    let failed = futures_util::future::join_all((0..20).map(ask)).await;
    assert!(failed.iter().all(|failed| *failed));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
