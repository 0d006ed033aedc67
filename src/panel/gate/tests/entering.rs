//! Who gets in, and what a browser has to bring for it: every way in that is none leads to the login page, and the
//! tool is not even connected to.

use super::*;
use std::time::Duration;

/// Every kind of request that a browser or a script could make.
fn attempts(studio: &Studio) -> Vec<Request> {
    let port = studio.port;
    let own = format!("http://127.0.0.1:{port}");
    vec![
        studio.get("/"),
        studio.get("/hello"),
        studio.get("/__easel/state"),
        studio.get("/__easel/nothing"),
        studio.get("/hello").header("accept", "application/json"),
        Request::new(port, "HEAD", "/hello"),
        Request::new(port, "OPTIONS", "/hello").origin(&own),
        Request::new(port, "DELETE", "/hello").origin(&own),
        Request::post(port, "/count", "data").origin(&own),
        Request::new(port, "PROPFIND", "/hello").origin(&own),
        studio.get("/socket").upgrade().origin(&own),
    ]
}

#[tokio::test]
async fn a_ticket_becomes_a_pass_and_a_pass_opens_the_tool() {
    let studio = Studio::start().await;
    let zoe = studio.login("zoe").await;
    let ticket = studio.gates.ticket("comfy", &zoe).unwrap();
    assert!(ticket.life <= Duration::from_secs(30));
    let answer = studio.post_ticket(ticket.secret.expose()).await;
    let cookie = answer.header("set-cookie").unwrap().to_string();
    let name = format!("easel-gate-{}=", studio.port);
    assert!(cookie.starts_with(&name) && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(cookie.len(), name.len() + 64 + "; Path=/; HttpOnly; SameSite=Lax".len(), "32 random bytes");
    let pass = cookie.split(';').next().unwrap();
    let answer = studio.get("/hello").cookie(&format!("a=1; {pass}")).send().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    let again = studio.post_ticket(ticket.secret.expose()).await;
    assert_eq!((again.status, again.header("set-cookie")), (401, None), "a ticket is good once");
}

#[tokio::test]
async fn without_a_pass_there_is_the_login_page_and_the_tool_sees_no_byte() {
    let studio = Studio::start().await;
    let zoe = studio.login("zoe").await;
    let token = studio.logins.begin(Some(zoe.profile.clone()), true).await.unwrap();
    let other = {
        let swarm = GateSpec { tool: "swarm".into(), name: "SwarmUI".into(), port: 0, admits: Admits::Everyone, isolation: None };
        let port = studio.gates.open(swarm).await.unwrap();
        let ticket = studio.gates.ticket("swarm", &zoe).unwrap();
        let entered = Request::post(port, ENTER, &format!("ticket={}", ticket.secret.expose())).origin(&studio.panel.to_string());
        let answer = entered.send().await;
        let pass = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_string();
        assert_eq!(Request::new(port, "GET", "/").cookie(&pass).send().await.status, 503, "it is valid there");
        pass
    };
    let value = other.split_once('=').unwrap().1;
    let ticket = studio.gates.ticket("comfy", &zoe).unwrap();
    let cookies = [
        String::new(),
        format!("easel-login-{PANEL}={}", token.expose()),
        other.clone(),
        format!("easel-gate-{}={value}", studio.port),
        format!("easel-gate-{}={}", studio.port, token.expose()),
        format!("easel-gate-{}={}", studio.port, ticket.secret.expose()),
        format!("easel-gate-{}=", studio.port),
        format!("easel-gate-{}={}", studio.port, "0".repeat(64)),
    ];
    for cookie in &cookies {
        for request in attempts(&studio) {
            let answer = request.cookie(cookie).send().await;
            assert_eq!(answer.status, 401, "{cookie} {answer:?}");
            assert!(answer.headers.iter().any(|(n, v)| n == "content-security-policy" && v.starts_with("default-src 'none'")));
            assert!(!answer.body.contains("hello"), "{answer:?}");
        }
    }
    let page = studio.get("/").send().await;
    assert!(page.body.contains(&format!("href=\"http://127.0.0.1:{PANEL}/tools\"")), "{}", page.body);
    assert!(!page.body.contains("<style") && !page.body.contains("<script>"));
    let script = studio.get("/").header("accept", "application/json").send().await;
    assert_eq!(script.header("content-type"), Some("application/problem+json"));
    assert_eq!(studio.tool.seen(), (0, 0));
}

#[tokio::test]
async fn tickets_of_elsewhere_of_yesterday_and_of_other_gates_open_nothing() {
    let studio = Studio::start().await;
    let swarm = GateSpec { tool: "swarm".into(), name: "SwarmUI".into(), port: 0, admits: Admits::Everyone, isolation: None };
    studio.gates.open(swarm).await.unwrap();
    let zoe = studio.login("zoe").await;
    let old = studio.gates.ticket("comfy", &zoe).unwrap();
    studio.clock.advance(old.life);
    let others = studio.gates.ticket("swarm", &zoe).unwrap();
    for ticket in [old.secret.expose(), others.secret.expose(), "", "0", &"f".repeat(64)] {
        let answer = studio.post_ticket(ticket).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{ticket}");
    }
    // A ticket whose owner left before it was used.
    let left = studio.gates.ticket("comfy", &zoe).unwrap();
    studio.logins.end(zoe.login).await.unwrap();
    assert_eq!(studio.post_ticket(left.secret.expose()).await.status, 401);
    assert!(matches!(studio.gates.ticket("comfy", &zoe), Err(GateError::NotAdmitted(_))));
    assert_eq!(studio.tool.seen(), (0, 0));
}

#[tokio::test]
async fn a_ticket_comes_from_a_page_of_easels_only() {
    let studio = Studio::start().await;
    let zoe = studio.login("zoe").await;
    let gate = format!("http://127.0.0.1:{}", studio.port);
    let panel = studio.panel.to_string();
    let ticket = studio.gates.ticket("comfy", &zoe).unwrap();
    let form = format!("ticket={}", ticket.secret.expose());
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1:9999"), Some(&*gate)] {
        let post = Request::post(studio.port, ENTER, &form);
        let answer = origin.into_iter().fold(post, Request::origin).send().await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{origin:?}");
    }
    let twice = Request::post(studio.port, ENTER, &form).origin(&panel).origin("https://evil.example").send().await;
    assert_eq!(twice.status, 403);
    let large = Request::post(studio.port, ENTER, &format!("ticket={}&{form}", "a".repeat(5_000))).origin(&panel);
    assert_eq!(large.send().await.status, 401);
    let get = Request::new(studio.port, "GET", &format!("{ENTER}?{form}")).origin(&panel);
    assert_eq!(get.send().await.status, 401, "never from a URL");
    assert_eq!(studio.post_ticket(ticket.secret.expose()).await.status, 303, "and none of that used it up");
}

#[tokio::test]
async fn pages_of_elsewhere_do_nothing_with_somebodys_pass() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let own = format!("http://127.0.0.1:{}", studio.port);
    let before = studio.tool.seen();
    let panel = studio.panel.to_string();
    for origin in ["null", "https://evil.example", "https://zzzz-8188.proxy.runpod.net", "http://localhost:1", &*panel] {
        for request in [
            Request::post(studio.port, "/count", "data"),
            Request::new(studio.port, "DELETE", "/hello"),
            studio.get("/hello"),
            studio.get("/socket").upgrade(),
        ] {
            assert_eq!(request.cookie(&pass).origin(origin).send().await.status, 403, "{origin}");
        }
    }
    for request in [Request::post(studio.port, "/count", "data"), studio.get("/socket").upgrade()] {
        assert_eq!(request.cookie(&pass).send().await.status, 403, "no Origin");
    }
    assert_eq!(studio.tool.seen(), before);
    assert_eq!(Request::post(studio.port, "/count", "data").cookie(&pass).origin(&own).send().await.body, "4");
    assert_eq!(studio.get("/socket").upgrade().cookie(&pass).origin(&own).send().await.status, 101);
}

#[tokio::test]
async fn each_gate_admits_whom_it_should() {
    let studio = Studio::start_with(Admits::Only(ProfileId::parse("zoe").unwrap()), |_| {}).await;
    let (zoe, ada) = (studio.login("zoe").await, studio.login("ada").await);
    assert!(matches!(studio.gates.ticket("comfy", &ada), Err(GateError::NotAdmitted(_))));
    let pass = studio.enter(&zoe).await;
    studio.gates.admit("comfy", Admits::Admins).unwrap();
    assert_eq!(studio.status(&pass).await, 401);
    assert!(studio.gates.ticket("comfy", &ada).is_err(), "an admin outside admin mode");
    studio.logins.set_admin(&ada.login, true);
    studio.logins.set_admin(&zoe.login, true);
    assert!(studio.gates.ticket("comfy", &zoe).is_err(), "an artist, whatever the login says");
    assert_eq!(studio.status(&studio.enter(&ada).await).await, 200);
}

#[tokio::test]
async fn an_admins_tool_needs_an_address_that_nobody_can_read() {
    let lan = "10.9.8.7".parse().unwrap();
    let studio = Studio::start_with(Admits::Admins, |config| {
        config.bind = "0.0.0.0".parse().unwrap();
        config.surroundings.addresses = vec![lan];
    })
    .await;
    let ada = studio.login("ada").await;
    studio.logins.set_admin(&ada.login, true);
    let pass = studio.enter(&ada).await;
    assert_eq!(studio.status(&pass).await, 200);
    let outside = studio.get("/hello").cookie(&pass).host(&format!("{lan}:{}", studio.port)).send().await;
    assert_eq!(outside.status, 401);
}

#[tokio::test]
async fn another_host_is_misdirected() {
    let studio = Studio::start().await;
    let pass = studio.pass_of("zoe").await;
    let before = studio.tool.seen();
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:8080", "", "k3v9-8188.proxy.runpod.net"] {
        assert_eq!(studio.get("/hello").cookie(&pass).host(host).send().await.status, 421, "{host}");
    }
    let own = format!("127.0.0.1:{}", studio.port);
    assert_eq!(studio.get("/hello").cookie(&pass).header("host", &own).send().await.status, 421, "two of them");
    let absolute = studio.get("http://evil.example/hello").cookie(&pass).send().await;
    assert_eq!(absolute.status, 421);
    assert_eq!(studio.tool.seen(), before);
    assert_eq!(studio.get(&format!("http://{own}/hello")).cookie(&pass).send().await.status, 200);
}

#[tokio::test]
async fn the_next_profile_in_a_browser_finds_nothing_of_the_one_before() {
    let lan = "10.9.8.7".parse().unwrap();
    let studio = Studio::start_with(Admits::Everyone, |config| {
        config.bind = "0.0.0.0".parse().unwrap();
        config.surroundings.addresses = vec![lan];
    })
    .await;
    let enter = async |profile: &str, cookies: &str, host: &str| {
        let ticket = studio.gates.ticket("comfy", &studio.login(profile).await).unwrap();
        let form = format!("ticket={}", ticket.secret.expose());
        let request = Request::post(studio.port, ENTER, &form).origin(&studio.panel.to_string()).host(host);
        let answer = request.cookie(cookies).send().await;
        let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, v)| v.split(';').next().unwrap());
        let (pass, last) = { (set.clone().next().unwrap().to_owned(), set.clone().nth(1).map(str::to_owned)) };
        (answer.header("clear-site-data").map(str::to_owned), answer.header("location").unwrap().to_owned(), pass, last)
    };
    let here = format!("127.0.0.1:{}", studio.port);
    let (clear, to, _, last) = enter("zoe", "", &here).await;
    assert_eq!((clear.as_deref(), to.as_str()), (Some("\"storage\""), "/"), "nobody knows who was here before");
    let zoe = last.unwrap();
    assert!(!zoe.contains("zoe"), "{zoe}");
    assert_eq!(enter("zoe", &format!("a=1; {zoe}"), &here).await.0, None, "the same one again keeps what is theirs");
    let (clear, _, _, mateo) = enter("mateo", &zoe, &here).await;
    assert!(clear.is_some() && mateo.unwrap() != zoe);

    // Where anybody may read along, browsers do not listen to that header: a page forgets, and its script says that it has.
    let outside = format!("{lan}:{}", studio.port);
    let (clear, to, pass, last) = enter("mateo", &zoe, &outside).await;
    assert_eq!((clear, to.as_str(), last), (None, "/__easel/fresh", None));
    let page = studio.get("/__easel/fresh").cookie(&pass).host(&outside).send().await;
    assert!(page.status == 200 && page.body.contains("/__easel/fresh.js") && page.header("set-cookie").is_none());
    let script = studio.get("/__easel/fresh.js").cookie(&pass).host(&outside).send().await;
    let mateo = script.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(script.body.contains("localStorage.clear()"));
    assert_eq!(enter("mateo", &mateo, &outside).await.1, "/");
    assert_eq!(studio.get("/__easel/fresh").host(&outside).send().await.status, 401);
}

#[tokio::test]
async fn one_login_takes_so_many_connections_and_shuts_the_gate_for_nobody() {
    let studio = Studio::start().await;
    let (hers, his) = (studio.pass_of("zoe").await, studio.pass_of("mateo").await);
    let mut open = Vec::new();
    for _ in 0..128 {
        let (answer, stream) = studio.get("/hello").cookie(&hers).begin().await;
        assert_eq!(answer.status, 200);
        open.push(stream);
    }
    let crowded = studio.get("/hello").cookie(&hers).header("accept", "application/json").send().await;
    assert_eq!((crowded.status, crowded.body.contains("too many connections")), (429, true), "{crowded:?}");
    assert_eq!(studio.status(&his).await, 200);
    assert_eq!(studio.get("/hello").cookie(&hers).over(&mut open[0]).await.status, 200, "what was open goes on");
    drop(open.split_off(1));
    let begun = std::time::Instant::now();
    while studio.status(&hers).await != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "there is room again");
    }
}
