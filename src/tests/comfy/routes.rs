//! The table of ComfyUI's routes, tried route by route by an artist and by an admin in admin mode, and routes that are not in
//! it. Knows the table's form and nothing of its meaning but who may.

use super::{guest::Guest, studio};
use reqwest::Method;

/// Rows of the table: method, path, treatment.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let text = include_str!("../../panel/gate/comfy/routes.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap())
        })
        .collect()
}

/// A row's path with something in the place of what is open in it.
fn example(path: &str) -> String {
    let fill = |part: &str| if part.starts_with('{') { "output".to_owned() } else { part.to_owned() };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_does_for_an_artist_what_the_table_says_and_no_other_is_carried() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("comfy").await;
    let (artist, admin) = (zoe.enter("comfy").await, ada.enter("comfy").await);
    assert!(rows().len() > 150);
    let mut wrong = Vec::new();
    for (method, path, treatment) in rows() {
        let (method, path) = (Method::from_bytes(method.as_bytes()).unwrap(), example(path));
        let spellings = if path.starts_with("/api/") { vec![path.clone()] } else { vec![path.clone(), format!("/api{path}")] };
        for path in spellings {
            let (hers, adas) = (artist.send(method.clone(), &path).await, admin.send(method.clone(), &path).await);
            if (hers == 403) != (treatment == "admin") || adas == 403 {
                wrong.push(format!("{method} {path} is {treatment}: {hers} for an artist, {adas} for an admin"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unlisted = [
        (Method::GET, "/nothing"),
        (Method::GET, "/api/api/queue"),
        (Method::PUT, "/queue"),
        (Method::PATCH, "/history"),
        (Method::DELETE, "/history"),
        (Method::OPTIONS, "/queue"),
        (Method::GET, "/QUEUE"),
        (Method::GET, "/customnode/new"),
        (Method::POST, "/manager/queue/new"),
        (Method::GET, "/assets"),
    ];
    for (method, path) in unlisted {
        assert_eq!(artist.send(method.clone(), path).await, 403, "{method} {path}");
        assert_ne!(admin.send(method.clone(), path).await, 403, "{method} {path} for an admin");
    }
    for path in ["/queue/", "//queue", "/%2e%2e/queue", "/userdata/%2e%2e%2fx", "/a%5cb", "/%zz"] {
        assert!(artist.raw("GET", path).await >= 400, "{path}");
    }
    // What is refused says so: to a person as a page, to a script as JSON.
    let page = artist.get_as("/manager/notice", &[("accept", "text/html")]).await.text().await.unwrap();
    assert!(page.contains("only an admin in admin mode"), "{page}");
    // Some change things by GET: a link on a page of elsewhere is not enough, and neither is an address typed in.
    let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("none", 403), ("same-origin", 200)] {
        let headers = [&link[..], &[("sec-fetch-site", site)]].concat();
        assert_eq!(admin.get_as("/manager/notice", &headers).await.status(), status, "{site}");
    }
    assert_eq!(admin.get("/manager/notice").await.status(), 403);
    // An admin out of admin mode is an artist.
    let artist = Guest::pick(&program, "ada").await.enter("comfy").await;
    assert_eq!(artist.send(Method::GET, "/manager/notice").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_socket_becomes_one() {
    let folder = tempfile::tempdir().unwrap();
    let program = studio(folder.path(), &[]);
    let ada = Guest::admin(&program).await;
    ada.install("comfy").await;
    let zoe = Guest::pick(&program, "zoe").await;
    zoe.start("comfy").await;
    let gate = zoe.enter("comfy").await;
    for (path, status) in [
        ("/ws", 101),
        ("/api/ws?clientId=a-b_1", 101),
        ("/%77s", 101),
        ("/ws?clientId=mateo.tab", 400),
        ("/ws?clientId=a&clientId=b", 400),
        ("/ws?clientId=a%20b", 400),
        ("/ws/", 400),
        ("/ws/x", 403),
        ("/", 403),
        ("/queue", 403),
        ("/anything", 403),
    ] {
        assert_eq!(gate.socket(path, &gate.url).0, status, "{path}");
    }
    assert_eq!(gate.get("/ws").await.status(), 400, "a plain request");
}
