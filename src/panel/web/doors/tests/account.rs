//! What a profile's own door holds: PINs, guessing, disabling, admin mode, the first page.

use super::studio::{Answer, Studio};
use crate::control::{Control, Reply};
use crate::doors::PER_DAY;
use crate::secrets::{Hasher, Phc, Secret, hash_now};
use crate::users::Name;
use std::time::{Duration, Instant};

const ADA: &str = "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n[[user]]\nname = \"Zoe\"\n";
const PASSWORD: &str = "canary correct horse";

async fn set_pin(studio: &Studio, user: &str, pin: &str) {
    let reply = studio.command(Control::UserSetPin { user: user.into(), pin: Some(Secret::new(pin)) }).await;
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

async fn guess(studio: &Studio, id: &str, pin: &str) -> Answer {
    studio.send(&studio.post(&format!("/pin/{id}"), &format!("pin={pin}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_asked_and_guessing_gets_slow() {
    let studio = Studio::start(ADA).await;
    set_pin(&studio, "zoe", "4711").await;
    let picked = studio.send(&studio.post("/pick/zoe", "")).await;
    assert_eq!((picked.header("location"), picked.set_cookie("login")), (Some("/pin/zoe"), None));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let answer = guess(&studio, "zoe", "0000").await;
        assert!(answer.status == 429 && answer.body.contains("Wrong PIN"), "{answer:?}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        let early = guess(&studio, "zoe", "4711").await;
        assert!(early.status == 429 && early.body.contains("Too many tries"), "the right one too early: {early:?}");
        studio.advance(wait);
        waits.push(wait);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16]);
    let right = guess(&studio, "zoe", "4711").await;
    assert_eq!(right.header("location"), Some("/studio"));
    assert!(studio.is_in(&right.login_cookie()).await);
    let nobody = guess(&studio, "nobody", "4711").await;
    assert!(nobody.status == 429 && nobody.body.contains("Wrong PIN"), "an unknown one is answered alike: {nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pin_lets_in_whoever_guesses_at_the_old_one_locked_out() {
    let studio = Studio::start(ADA).await;
    set_pin(&studio, "zoe", "4711").await;
    for _ in 0..4 {
        let answer = guess(&studio, "zoe", "0000").await;
        studio.advance(answer.header("retry-after").unwrap().parse().unwrap());
    }
    assert_eq!(guess(&studio, "zoe", "0000").await.header("retry-after"), Some("16"));
    set_pin(&studio, "zoe", "1147").await;
    assert_eq!(guess(&studio, "zoe", "1147").await.header("location"), Some("/studio"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_holds_at_most_a_hundred_guesses() {
    let studio = Studio::start(ADA).await;
    let id = studio.app.users.find("zoe").unwrap().id;
    let (mut looked_at, begin) = (0, studio.clock.ms());
    while studio.clock.ms() - begin < 24 * 3_600_000 {
        // The hash is not the point here: a wrong key costs nothing, and the rule is the same.
        match studio.app.doors.try_key(None, "wrong").await.unwrap() {
            crate::doors::Guess::Wrong(_) => looked_at += 1,
            crate::doors::Guess::Wait(seconds) => studio.advance(seconds),
            crate::doors::Guess::Right => unreachable!(),
        }
    }
    println!("{looked_at} guesses in a day");
    assert!((50..=PER_DAY).contains(&looked_at), "{looked_at}");
    assert!(studio.app.users.pin_hash(&id).is_none());
}

/// The least of several tries each, side by side: what else the machine does only ever adds time. That the work is the same
/// to the last pass, `secrets` says; here it is that it is done.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_takes_as_long_as_a_wrong_guess() {
    let hasher = Hasher::new();
    let hash = hasher.hash(Secret::new("4711")).await.unwrap();
    let time = async |hash: Option<Phc>| {
        let begin = Instant::now();
        assert!(!hasher.verify(Secret::new("0000"), hash).await.unwrap());
        begin.elapsed()
    };
    let mut ratio = f64::INFINITY;
    let (mut wrong, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..40 {
        wrong = wrong.min(time(Some(hash.clone())).await);
        unknown = unknown.min(time(None).await);
        ratio = unknown.as_secs_f64() / wrong.as_secs_f64();
        if (0.5..=2.0).contains(&ratio) {
            break;
        }
    }
    println!("wrong {:.0} ms, unknown {:.0} ms, ratio {ratio:.3}", wrong.as_secs_f64() * 1e3, unknown.as_secs_f64() * 1e3);
    assert!((0.5..=2.0).contains(&ratio), "{ratio}");
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_acts_on_the_next_request() {
    let studio = Studio::start(ADA).await;
    let cookie = studio.pick("zoe").await;
    let Reply::Once { secret, .. } = studio.command(Control::UserToken { user: "zoe".into() }).await else { panic!() };
    let by_token = studio.post("/profile/theme", "theme=dark").header("authorization", &format!("bearer {}", secret.expose()));
    assert!(studio.is_in(&cookie).await);
    assert_eq!(studio.send(&by_token).await.header("location"), Some("/profile"));
    studio.command(Control::UserDisable { user: "zoe".into() }).await;
    assert!(!studio.is_in(&cookie).await);
    assert_eq!(studio.send(&by_token).await.header("location"), Some("/"));
    assert_eq!(studio.send(&studio.post("/pick/zoe", "")).await.status, 404);
    studio.command(Control::UserEnable { user: "Zoe".into() }).await;
    assert!(!studio.is_in(&cookie).await, "the login is gone for good");
    assert_eq!(studio.send(&by_token).await.header("location"), Some("/profile"), "the token was not revoked");
    studio.command(Control::UserRevokeTokens { user: "zoe".into() }).await;
    assert_eq!(studio.send(&by_token).await.header("location"), Some("/"));
    studio.pick("zoe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_with_disuse_and_with_age() {
    let studio = Studio::start(ADA).await;
    let idle = studio.pick("zoe").await;
    studio.advance(7 * 86_400);
    assert!(!studio.is_in(&idle).await);
    let used = studio.pick("zoe").await;
    for _ in 0..5 {
        studio.advance(6 * 86_400);
        assert_eq!(studio.is_in(&used).await, studio.clock.ms() < 1_800_000_000_000 + 37 * 86_400_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_mode_needs_a_password_and_turns_itself_off() {
    let studio = Studio::start(ADA).await;
    let cookie = studio.pick("ada").await;
    let turn_on = |password: &str| {
        let form = format!("password={}", password.replace(' ', "+"));
        studio.post("/admin", &form).cookie(&cookie)
    };
    let page = studio.send(&studio.get("/admin").cookie(&cookie)).await;
    assert!(page.body.contains("easel user set-password ada"), "{page:?}");
    assert_eq!(studio.send(&turn_on("")).await.status, 403, "no password, no admin mode");
    let ask = Control::UserSetPassword { user: "ada".into(), password: Secret::new(PASSWORD) };
    assert!(matches!(studio.command(ask).await, Reply::Done { .. }));
    let wrong = studio.send(&turn_on("wrong")).await;
    assert!(wrong.status == 429 && wrong.body.contains("Wrong password"), "{wrong:?}");
    let change = |current: &str| {
        let form = format!("password=another+long+password&current={}", current.replace(' ', "+"));
        studio.post("/profile/password", &form).cookie(&cookie)
    };
    assert_eq!(studio.send(&change(PASSWORD)).await.status, 403, "not in admin mode");
    studio.advance(1);
    assert_eq!(studio.send(&turn_on(PASSWORD)).await.header("location"), Some("/admin/system"));
    studio.advance(29 * 60);
    assert_eq!(studio.send(&change("")).await.status, 422, "in admin mode, but the present password is wrong");
    let link = studio.send(&studio.post("/admin/link/zoe", "").cookie(&cookie)).await;
    let ticket = link.body.split_once('#').unwrap().1.trim_end_matches(['"', '}']).to_string();
    let entered = studio.send(&studio.post("/ticket", &format!("ticket={ticket}"))).await;
    assert_eq!(entered.header("location"), Some("/studio"), "an admin's link for Zoe: {entered:?}");
    studio.advance(30 * 60);
    assert_eq!(studio.send(&change(PASSWORD)).await.status, 403, "30 minutes without use");
    let zoe = studio.pick("zoe").await;
    let refused = studio.send(&studio.post("/admin", "password=x").cookie(&zoe)).await;
    assert_eq!(refused.status, 403, "an artist");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_can_read_along_no_password_is_taken() {
    let studio = Studio::start_with(ADA, |c| c.public_urls = vec!["http://studio.lan:8080".into()]).await;
    let here = |r: super::studio::Request| r.host("studio.lan:8080").header("x-forwarded-for", "10.0.0.9");
    let posted = |r: super::studio::Request| here(r).origin(Some("http://studio.lan:8080"));
    let key = studio.send(&posted(studio.post("/key", &format!("key={}", studio.key)))).await.login_cookie();
    let picked = studio.send(&posted(studio.post("/pick/ada", "")).cookie(&key)).await;
    let cookie = picked.login_cookie();
    let ask = Control::UserSetPassword { user: "ada".into(), password: Secret::new(PASSWORD) };
    studio.command(ask).await;
    let page = studio.send(&here(studio.get("/admin")).cookie(&cookie)).await;
    assert!(page.status == 200 && page.body.contains("ssh -L") && !page.body.contains("type=\"password\""), "{page:?}");
    let form = format!("password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(studio.send(&posted(studio.post("/admin", &form)).cookie(&cookie)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_makes_one_admin_and_then_closes() {
    let studio = Studio::start("").await;
    let page = studio.send(&studio.get("/")).await;
    assert!(page.status == 200 && page.body.contains("action=\"/first\""), "{page:?}");
    let short = studio.send(&studio.post("/first", "name=Zo%C3%AB&password=short")).await;
    assert!(short.status == 422 && short.body.contains("at least 15 characters") && short.body.contains("Zoë"), "{short:?}");
    let form = format!("name=Zo%C3%AB&password={}", PASSWORD.replace(' ', "+"));
    let made = studio.send(&studio.post("/first", &form)).await;
    assert_eq!(made.header("location"), Some("/studio"), "{made:?}");
    assert!(studio.is_in(&made.login_cookie()).await);
    assert_eq!(studio.send(&studio.post("/first", &form)).await.status, 409);
    assert_eq!(studio.app.users.list().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_sets_and_removes_its_pin() {
    let studio = Studio::start(ADA).await;
    let (cookie, other) = (studio.pick("zoe").await, studio.pick("zoe").await);
    let set = |cookie: &str, form: &str| studio.post("/profile/pin", form).cookie(cookie);
    assert_eq!(studio.send(&set(&cookie, "pin=12")).await.status, 422, "too short");
    let answer = studio.send(&set(&cookie, "pin=4711")).await;
    let renewed = answer.login_cookie();
    assert!(!studio.is_in(&other).await && studio.is_in(&renewed).await, "the other browsers are out");
    assert_eq!(studio.send(&set(&renewed, "pin=")).await.status, 422, "the present one is asked");
    studio.advance(1);
    assert_eq!(studio.send(&set(&renewed, "pin=&current=4711")).await.status, 303);
    studio.pick("zoe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admins_first_password_comes_by_a_link_that_works_once() {
    let studio = Studio::start(ADA).await;
    let id = studio.app.users.find("ada").unwrap().id;
    let link = studio.app.doors.link(crate::doors::TicketKind::Password, Some(id.clone())).await.unwrap();
    let (page, ticket) = link.expose().split_once('#').unwrap();
    assert_eq!(page, format!("http://127.0.0.1:{}/password", studio.port));
    let post = |password: &str| studio.post("/password", &format!("ticket={ticket}&password={}", password.replace(' ', "+")));
    assert_eq!(studio.send(&post("short")).await.status, 422);
    assert_eq!(studio.send(&post(PASSWORD)).await.status, 303, "a short one left it good");
    assert_eq!(studio.send(&post(PASSWORD)).await.status, 410);
    assert!(studio.app.users.password_hash(&id).is_some());
    let as_key = studio.send(&studio.post("/ticket", &format!("ticket={ticket}"))).await;
    assert_eq!(as_key.status, 410, "it opens nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_the_data_folder() {
    let studio = Studio::start(ADA).await;
    set_pin(&studio, "zoe", "canary-pin-81").await;
    let ask = Control::UserSetPassword { user: "ada".into(), password: Secret::new(PASSWORD) };
    studio.command(ask).await;
    let Reply::Once { secret: token, .. } = studio.command(Control::UserToken { user: "zoe".into() }).await else { panic!() };
    let Reply::Once { secret: link, .. } = studio.command(Control::KeyShowLink { user: None }).await else { panic!() };
    let cookie = studio.pick("ada").await;
    guess(&studio, "zoe", "canary-wrong-81").await;
    let (ticket, cookie) = (link.expose().split_once('#').unwrap().1, cookie.split_once('=').unwrap().1);
    let canaries = ["canary", token.expose(), ticket, cookie, studio.key.as_str()];
    let mut folders = vec![studio.folder.path().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if let Ok(bytes) = std::fs::read(entry.path()) {
                files += 1;
                for canary in canaries {
                    let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
                    assert!(!found, "{canary} lies in {}", entry.path().display());
                }
            }
        }
    }
    assert!(files >= 3, "the store was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_applied_while_the_studio_runs() {
    let hash = hash_now(&Secret::new("4711"));
    let studio = Studio::start(ADA).await;
    let cookie = studio.pick("zoe").await;
    let users = studio.folder.path().join("users.toml");
    let sync = async |text: &str| {
        std::fs::write(&users, text).unwrap();
        crate::boot::sync_users(&studio.app.users, &studio.app.logins, &users).await.unwrap();
    };
    sync("").await;
    assert!(
        studio.is_in(&cookie).await && studio.app.users.problems()[0].contains("names nobody"),
        "an empty file changes nothing"
    );
    sync("[[user]\n").await;
    assert!(studio.is_in(&cookie).await && studio.app.users.problems()[0].contains("changes nothing"));
    sync(&format!("[[user]]\nname = \"Ada\"\nrole = \"admin\"\npin = \"{}\"", hash.as_str())).await;
    assert!(!studio.is_in(&cookie).await, "no longer named: logged out at once");
    let listed = |id: &str| studio.app.users.find(id).unwrap();
    assert!(listed("zoe").disabled && listed("ada").has_pin && studio.app.users.problems().is_empty());
    sync("[[user]]\nname = \"Zoe\"\nrole = \"admin\"\n[[user]]\nname = \"Ada\"\nrole = \"admin\"").await;
    assert!(!listed("zoe").disabled && listed("zoe").role == crate::users::Role::Artist && listed("zoe").pending.is_some());
    assert!(listed("ada").has_pin, "a hash that left the file stays");
    studio.command(Control::UserConfirm { user: "zoe".into() }).await;
    assert_eq!(listed("zoe").role, crate::users::Role::Admin);
    let add = Control::UserAdd { name: Name::parse("Guest").unwrap(), id: None, role: crate::users::Role::Artist };
    studio.command(add).await;
    sync("[[user]]\nname = \"Zoe\"\nrole = \"admin\"\n[[user]]\nname = \"Ada\"\nrole = \"admin\"").await;
    assert!(!listed("guest").disabled, "made in Easel");
}
