//! Who gets as far as the picker: Host, Origin, the keyless rule, the studio key, links.

use super::studio::Studio;
use crate::control::{Control, Reply};
use crate::web::{TABLE, Who};

const ZOE: &str = "[[user]]\nname = \"Zoë\"\n";
const FORWARDED: (&str, &str) = ("x-forwarded-for", "203.0.113.9");

#[tokio::test(flavor = "multi_thread")]
async fn one_click_on_this_machine_and_the_cookie_is_well_made() {
    let studio = Studio::start(ZOE).await;
    let picker = studio.send(&studio.get("/")).await;
    assert!(picker.status == 200 && picker.body.contains("Zoë") && picker.body.contains("/pick/zoe"), "{picker:?}");
    let answer = studio.send(&studio.post("/pick/zoe", "")).await;
    let cookie = answer.set_cookie("easel-login").unwrap();
    assert!(cookie.starts_with(&format!("easel-login-{}=", studio.port)), "{cookie}");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(part), "{part} is missing in {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    assert!(studio.is_in(&answer.login_cookie()).await);
    assert!(!studio.is_in(&format!("easel-login-{}=0", studio.port)).await);
    assert_eq!(studio.send(&studio.get("/").cookie(&answer.login_cookie())).await.header("location"), Some("/studio"));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_https_the_cookie_is_secure_and_bound_to_the_host() {
    let studio = Studio::start_with(ZOE, |c| c.public_urls = vec!["https://studio.example.org".into()]).await;
    let enter = studio.post("/key", &format!("key={}", studio.key));
    let answer = studio.send(&enter.host("studio.example.org").origin(Some("https://studio.example.org"))).await;
    let cookie = answer.set_cookie("easel-login").unwrap();
    assert!(cookie.starts_with("__Host-easel-login-443=") && cookie.contains("Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_misdirected() {
    let studio = Studio::start(ZOE).await;
    let port = studio.port;
    let mut hosts = vec!["evil.example".to_string(), format!("evil.example:{port}"), "127.0.0.1".into(), "127.0.0.1:1".into()];
    hosts.push(format!("127.0.0.1:{port}.evil.example"));
    for host in hosts {
        let answer = studio.send(&studio.get("/").host(&host)).await;
        assert_eq!(answer.status, 421, "{host}");
        assert!(answer.body.contains("public_urls") && answer.header("content-security-policy").is_some());
    }
    let mut none = studio.get("/");
    none.host = None;
    assert_ne!(studio.send(&none).await.status, 200);
    let twice = studio.get("/").header("host", "evil.example");
    assert_ne!(studio.send(&twice).await.status, 200, "two Hosts");
    assert_eq!(studio.send(&studio.get("/").host(&format!("localhost:{port}"))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_anything_needs_an_origin_of_the_list() {
    let studio = Studio::start(ZOE).await;
    let port = studio.port;
    let evil = [
        None,
        Some("null".to_string()),
        Some("http://evil.example".into()),
        Some(format!("http://127.0.0.1:{}", port ^ 1)),
        Some(format!("https://127.0.0.1:{port}")),
        Some(format!("http://evil.example:{port}")),
        Some(format!("http://127.0.0.1:{port}.evil.example")),
        Some("https://zzz-8080.proxy.runpod.net".into()),
    ];
    for origin in evil {
        let answer = studio.send(&studio.post("/pick/zoe", "").origin(origin.as_deref())).await;
        assert_eq!(answer.status, 403, "{origin:?}");
        assert!(answer.set_cookie("easel").is_none());
        let upgrade = studio.get("/").origin(origin.as_deref()).header("upgrade", "websocket");
        assert_eq!(studio.send(&upgrade).await.status, 403, "a WebSocket of {origin:?}");
    }
    let own = format!("http://localhost:{port}");
    assert_eq!(studio.send(&studio.post("/pick/zoe", "").origin(Some(&own))).await.status, 303);
    let Reply::Once { secret, .. } = studio.command(Control::UserToken { user: "zoe".into() }).await else { panic!() };
    let by_token = studio.post("/profile/theme", "theme=light").origin(None);
    let good = by_token.clone().header("authorization", &format!("Bearer {}", secret.expose()));
    assert_eq!(studio.send(&good).await.header("location"), Some("/profile"), "a token needs no Origin");
    let cookie = studio.pick("zoe").await;
    let both = by_token.header("authorization", "Bearer wrong").cookie(&cookie);
    assert_eq!(studio.send(&both).await.header("location"), Some("/"), "a wrong token does not fall back to the cookie");
    let query = studio.get(&format!("/admin?token={}", secret.expose()));
    assert_eq!(studio.send(&query).await.header("location"), Some("/"), "a token in a query is nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_from_elsewhere_needs_the_key() {
    let studio = Studio::start(ZOE).await;
    for header in [FORWARDED, ("forwarded", "for=203.0.113.9"), ("x-forwarded-proto", "https"), ("x-forwarded-x", "")] {
        let asked = studio.get("/").header(header.0, header.1);
        assert_eq!(studio.send(&asked).await.header("location"), Some("/key"), "{header:?}");
    }
    let from_elsewhere = |path: &str, form: &str| studio.post(path, form).header(FORWARDED.0, FORWARDED.1);
    assert_eq!(studio.send(&from_elsewhere("/pick/zoe", "")).await.header("location"), Some("/"));
    let keyless = studio.pick("zoe").await;
    let carried = from_elsewhere("/profile/theme", "theme=dark").cookie(&keyless);
    assert_eq!(studio.send(&carried).await.header("location"), Some("/"), "a keyless login counts only where no key is needed");

    let wrong = studio.send(&from_elsewhere("/key", "key=0000-0000-0000-0000-0000")).await;
    assert_eq!((wrong.status, wrong.header("retry-after")), (429, Some("1")));
    assert!(wrong.body.contains("five groups of four"));
    let typed = format!("key={}", studio.key.to_uppercase().replace('-', "+"));
    assert_eq!(studio.send(&from_elsewhere("/key", &typed)).await.status, 429, "not looked at before the wait is over");
    studio.advance(1);
    let right = studio.send(&from_elsewhere("/key", &typed)).await;
    assert_eq!(right.header("location"), Some("/"), "{right:?}");
    let picked = studio.send(&from_elsewhere("/pick/zoe", "").cookie(&right.login_cookie())).await;
    assert_eq!(picked.header("location"), Some("/studio"));
    assert_ne!(picked.login_cookie(), right.login_cookie(), "a new token with the profile");
    let old = studio.get("/").header(FORWARDED.0, FORWARDED.1).cookie(&right.login_cookie());
    assert_eq!(studio.send(&old).await.header("location"), Some("/key"));

    let cookie = picked.login_cookie();
    let switched = studio.send(&from_elsewhere("/switch", "").cookie(&cookie)).await;
    let picker = studio.get("/").header(FORWARDED.0, FORWARDED.1).cookie(&switched.login_cookie());
    assert_eq!(studio.send(&picker).await.status, 200, "the key stays entered");
    studio.send(&from_elsewhere("/logout", "").cookie(&switched.login_cookie())).await;
    assert_eq!(studio.send(&picker).await.header("location"), Some("/key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_ends_the_old_one_and_every_login() {
    let studio = Studio::start(ZOE).await;
    let cookie = studio.pick("zoe").await;
    let Reply::Once { secret, .. } = studio.command(Control::KeyReset).await else { panic!() };
    assert!(!studio.is_in(&cookie).await);
    let old = studio.send(&studio.post("/key", &format!("key={}", studio.key))).await;
    assert_eq!(old.status, 429);
    studio.advance(1);
    let new = studio.send(&studio.post("/key", &format!("key={}", secret.expose()))).await;
    assert_eq!(new.status, 303);
}

const STRANGER: &str = "127.0.0.2";
const OWNER: &str = "127.0.0.1";

/// A stranger who guesses at the key all day: how many of his guesses were looked at.
async fn guess_all_day(studio: &Studio) -> u32 {
    let (wrong, begin, mut looked_at) = (studio.post("/key", "key=0"), studio.clock.ms(), 0);
    while studio.clock.ms() - begin < 24 * 3_600_000 {
        let answer = studio.send_from(&wrong, STRANGER).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        looked_at += u32::from(answer.body.contains("five groups of four"));
        studio.advance(answer.header("retry-after").unwrap().parse().unwrap());
    }
    looked_at
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_guesses_the_key_keeps_nobody_out() {
    let studio = Studio::start(ZOE).await;
    let looked_at = guess_all_day(&studio).await;
    assert!((50..=crate::doors::PER_DAY).contains(&looked_at), "{looked_at} guesses in a day");
    let right = studio.post("/key", &format!("key={}", studio.key));
    while studio.send_from(&studio.post("/key", "key=0"), STRANGER).await.body.contains("five groups of four") {}
    assert_eq!(studio.send_from(&right, STRANGER).await.status, 429, "he waits, whatever he types");
    assert_eq!(studio.send_from(&right, OWNER).await.header("location"), Some("/"));
}

/// Behind a proxy everybody comes from one place, so a stranger makes the owner wait; but not with a link.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_new_key_open_while_typed_keys_wait() {
    let studio = Studio::start(ZOE).await;
    for _ in 0..12 {
        let answer = studio.send(&studio.post("/key", "key=0")).await;
        studio.advance(answer.header("retry-after").unwrap().parse().unwrap());
    }
    studio.send(&studio.post("/key", "key=0")).await;
    let forwarded = studio.post("/key", &format!("key={}", studio.key)).header("x-forwarded-for", "198.51.100.7");
    let waits = studio.send(&forwarded).await;
    assert_eq!((waits.status, waits.header("retry-after")), (429, Some("900")), "no header makes another place");
    assert!(waits.body.contains("easel key show-link"), "{}", waits.body);
    let Reply::Once { secret, .. } = studio.command(Control::KeyShowLink { user: None }).await else { panic!() };
    let ticket = secret.expose().split_once('#').unwrap().1.to_string();
    let linked = studio.send(&studio.post("/ticket", &format!("ticket={ticket}"))).await;
    assert_eq!(linked.header("location"), Some("/"));
    let Reply::Once { secret, .. } = studio.command(Control::KeyReset).await else { panic!() };
    let new = studio.send(&studio.post("/key", &format!("key={}", secret.expose()))).await;
    assert_eq!(new.header("location"), Some("/"), "a new key starts anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once_for_fifteen_minutes() {
    let studio = Studio::start(ZOE).await;
    let link = async |user: Option<&str>| {
        let ask = Control::KeyShowLink { user: user.map(str::to_string) };
        let Reply::Once { secret, .. } = studio.command(ask).await else { panic!() };
        let (page, ticket) = secret.expose().split_once('#').map(|(p, t)| (p.to_string(), t.to_string())).unwrap();
        assert!(page.ends_with("/key"), "{page}");
        studio.post("/ticket", &format!("ticket={ticket}"))
    };
    let first = link(None).await;
    assert_eq!(studio.send(&first).await.header("location"), Some("/"));
    assert_eq!(studio.send(&first).await.status, 410, "used");
    let late = link(None).await;
    studio.advance(15 * 60);
    assert_eq!(studio.send(&late).await.status, 410, "too old");
    let named = link(Some("Zoë")).await;
    let answer = studio.send(&named).await;
    assert_eq!(answer.header("location"), Some("/studio"));
    assert!(studio.is_in(&answer.login_cookie()).await);
    let before = link(None).await;
    studio.command(Control::KeyReset).await;
    assert_eq!(studio.send(&before).await.status, 410, "tickets end with the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_and_nobody_gets_in_by_any_route() {
    let studio = Studio::start(ZOE).await;
    for route in TABLE {
        let path = route.path.replace("{id}", "zoe").replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = studio.request(method, &path).header(FORWARDED.0, FORWARDED.1);
            let answer = studio.send(&request).await;
            let own = route.method.eq_ignore_ascii_case(method);
            let open = TABLE.iter().any(|r| r.path == route.path && r.method.eq_ignore_ascii_case(method) && r.who == Who::Open);
            assert!(open || !(200..300).contains(&answer.status), "{method} {path} without a login: {answer:?}");
            assert!(!own || answer.status != 404 || route.path.contains('{'), "{method} {path} is listed but not there");
            for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "strict-origin")] {
                assert_eq!(answer.header(name), Some(value), "{method} {path}");
            }
            let csp = answer.header("content-security-policy").unwrap_or_default();
            assert!(!csp.contains("unsafe") && (csp.contains("frame-ancestors 'none'") || csp.contains("sandbox")), "{csp}");
        }
    }
}
