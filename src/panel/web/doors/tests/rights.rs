//! Every route as everybody: nobody, an artist, another artist, an admin, one who was disabled. The routes
//! come from the table, so a new one is tried without being named here.

use super::studio::{Request, Studio};
use crate::artifacts::NewPicture;
use crate::control::{Control, Reply};
use crate::web::{Route, TABLE, Who};
use protocol::Recipe;

const USERS: &str = "[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Mateo\"\n[[user]]\nname = \"Gone\"\n\
     [[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

/// What Zoe has: a job, a picture, a reference picture, an upload that is under way, a dataset with a picture and another
/// on its way.
struct Belongings {
    dataset: String,
    dataset_picture: String,
    dataset_upload: String,
    job: String,
    artifact: String,
    reference: String,
    upload: String,
}

impl Belongings {
    async fn of_zoe(studio: &Studio) -> Belongings {
        let zoe = studio.app.users.find("zoe").unwrap().id;
        let job = studio.app.jobs.submit(&zoe, Recipe::example(), None).await.unwrap().id;
        let picture =
            NewPicture { index: 0, width: 64, height: 64, file: vec![1; 9], thumb: vec![1; 9], recipe: Recipe::example() };
        studio.app.artifacts.publish(&zoe, &job, picture).await.unwrap();
        let pixels = media::Rgb8::new(8, 8, vec![90; 8 * 8 * 3]).unwrap();
        let file = media::thumb::thumbnail(&pixels).unwrap();
        let reference = studio.app.uploads.whole(&zoe, file).await.unwrap().sha256;
        let upload = studio.app.uploads.begin(&zoe, 100, None).await.unwrap();
        let (dataset, dataset_picture, dataset_upload) = dataset_of(studio, &zoe).await;
        let filter = crate::artifacts::Filter::default();
        let artifact = studio.app.artifacts.layout(&zoe, filter).await.unwrap()[0].0.clone();
        Belongings { dataset, dataset_picture, dataset_upload, job: job.to_string(), artifact, reference, upload }
    }

    fn path(&self, route: &Route) -> String {
        let id = match route.path {
            p if p.contains("/datasets/") => &self.dataset,
            p if p.contains("/dataset-pictures/") => &self.dataset_picture,
            p if p.contains("/dataset-uploads/") => &self.dataset_upload,
            p if p.contains("/jobs/") => &self.job,
            p if p.contains("/artifacts/") || p.contains("/picture/") => &self.artifact,
            "/api/v1/uploads/{id}/file" => &self.reference,
            p if p.contains("/uploads/") => &self.upload,
            _ => "zoe",
        };
        route.path.replace("{id}", id).replace(['{', '}'], "")
    }
}

/// A dataset with one picture, and one on its way.
async fn dataset_of(studio: &Studio, zoe: &crate::users::ProfileId) -> (String, String, String) {
    use crate::datasets::{Added, Begin, Stage};
    let datasets = &studio.app.datasets;
    let dataset = datasets.make(zoe, "Cats", "ohwx").await.unwrap().id;
    let file = media::thumb::thumbnail(&media::Rgb8::new(64, 64, vec![90; 64 * 64 * 3]).unwrap()).unwrap();
    let begin = || Begin { name: "cat.webp".into(), bytes: file.len() as u64, caption: "a cat".into() };
    let first = datasets.begin(zoe, &dataset, begin()).await.unwrap();
    let Stage::Picture(added) = datasets.piece(zoe, &first, 0, file.clone()).await.unwrap() else { panic!() };
    let Added::New(picture) = *added else { panic!() };
    let second = datasets.begin(zoe, &dataset, begin()).await.unwrap();
    (dataset, picture.id, second)
}

async fn token(studio: &Studio, user: &str) -> String {
    let Reply::Once { secret, .. } = studio.command(Control::UserToken { user: user.into() }).await else { panic!() };
    format!("Bearer {}", secret.expose())
}

fn as_whom(studio: &Studio, method: &'static str, path: &str, token: Option<&str>) -> Request {
    // From elsewhere, so that the keyless rule opens nothing.
    let request = studio.request(method, path).header("x-forwarded-for", "203.0.113.9");
    match token {
        Some(token) => request.header("authorization", token),
        None => request,
    }
}

fn upper(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].into_iter().find(|m| m.eq_ignore_ascii_case(method)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_does_not_exist() {
    let studio = Studio::start(USERS).await;
    let things = Belongings::of_zoe(&studio).await;
    let (zoe, others) = (token(&studio, "zoe").await, [token(&studio, "mateo").await, token(&studio, "ada").await]);
    // Tools and terminals are the studio's, not a profile's.
    let shared = |path: &str| path.starts_with("/api/v1/tools/") || path.starts_with("/api/v1/sessions/");
    let own = TABLE
        .iter()
        .filter(|r| r.who == Who::Artist && r.path.starts_with("/api/") && r.path.contains("{id}") && !shared(r.path));
    let (mut tried, mut opened) = (0, 0);
    for route in own {
        let path = things.path(route);
        for other in &others {
            let request = as_whom(&studio, upper(route.method), &path, Some(other));
            let request = request.header("upload-offset", "0").header("content-type", "application/octet-stream");
            let answer = studio.send(&request).await;
            assert_eq!(answer.status, 404, "{} {path}: {answer:?}", route.method);
            tried += 1;
        }
        // A picture of the studio's own holds no workflow; those of ComfyUI's are tried with ComfyUI's double.
        if route.method == "get" && !path.ends_with("/events") && !path.ends_with("/workflow") {
            let answer = studio.send(&as_whom(&studio, "GET", &path, Some(&zoe))).await;
            assert_eq!(answer.status, 200, "{path} as its owner: {answer:?}");
            opened += 1;
        }
    }
    // Lists of ids in a body: what is another's is passed over as if it were not there.
    let ids = format!("{{\"ids\": [\"{}\"]}}", things.artifact);
    for other in &others {
        for (path, said) in [("delete", ""), ("restore", "{\"ids\":[]}")] {
            let request = as_whom(&studio, "POST", &format!("/api/v1/artifacts/{path}"), Some(other));
            let answer = studio.send(&request.header("content-type", "application/json").body(&ids)).await;
            assert!((200..300).contains(&answer.status) && answer.body == said, "{path}: {answer:?}");
            tried += 1;
        }
    }
    println!("{tried} tries at another's things, {opened} of the owner's own");
    assert!(tried >= 12 && opened >= 5);
    let zoe_id = studio.app.users.find("zoe").unwrap().id;
    let left = studio.app.artifacts.layout(&zoe_id, Default::default()).await.unwrap();
    assert_eq!(left.len(), 1, "nothing of hers was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_the_disabled_get_nothing() {
    let studio = Studio::start(USERS).await;
    let things = Belongings::of_zoe(&studio).await;
    let gone = token(&studio, "gone").await;
    studio.command(Control::UserDisable { user: "gone".into() }).await;
    for route in TABLE.iter().filter(|r| r.who != Who::Open) {
        let path = things.path(route);
        for who in [None, Some(gone.as_str()), Some("Bearer easel_0")] {
            let answer = studio.send(&as_whom(&studio, upper(route.method), &path, who)).await;
            let refused = answer.status == 401 || (answer.status == 303 && answer.header("location") == Some("/"));
            assert!(refused, "{} {path} as {who:?}: {answer:?}", route.method);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_routes_need_admin_mode() {
    let studio = Studio::start(USERS).await;
    let whos = [token(&studio, "zoe").await, token(&studio, "ada").await];
    for route in TABLE.iter().filter(|r| r.who == Who::Admin) {
        let path = route.path.replace("{id}", "zoe");
        for who in &whos {
            let answer = studio.send(&as_whom(&studio, upper(route.method), &path, Some(who))).await;
            assert_eq!(answer.status, 403, "{} {}: {answer:?}", route.method, route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_hears_why_and_an_artist_hears_less() {
    let studio = Studio::start(USERS).await;
    let (zoe, ada) = (studio.pick("zoe").await, studio.pick("ada").await);
    let mut tried = 0;
    for route in TABLE.iter().filter(|r| r.who == Who::Admin && r.path.starts_with("/api/")) {
        let path = route.path.replace("{id}", "zoe");
        for (cookie, why) in [(&zoe, "This is for admins."), (&ada, "This needs admin mode.")] {
            let request = studio.request(upper(route.method), &path).cookie(cookie);
            let answer = studio.send(&request).await;
            assert_eq!(answer.status, 403, "{} {path}: {answer:?}", route.method);
            assert!(route.method == "head" || answer.body.contains(why), "{} {path}: {answer:?}", route.method);
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried} tries");
}
