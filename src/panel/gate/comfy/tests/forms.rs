//! Uploads as browsers send them, and as nobody should.

use super::*;
use crate::users::ProfileId;

/// The fields of a form as ComfyUI reads them: name, file name, text.
async fn fields(form: Form) -> Vec<(String, Option<String>, String)> {
    let boundary = multer::parse_boundary(&form.mime).unwrap();
    let mut form = Multipart::new(stream::iter([Ok::<Bytes, Infallible>(form.body.into())]), boundary);
    let mut found = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        let (name, file) = (field.name().unwrap().to_owned(), field.file_name().map(str::to_owned));
        found.push((name, file, field.text().await.unwrap()));
    }
    found
}

/// A form of these fields; one whose name has a second part is a file.
async fn sent(parts: &[(&str, &str)], mask: bool) -> Result<Vec<(String, Option<String>, String)>, Refusal> {
    let mut body = String::new();
    for (name, value) in parts {
        let name = name
            .split_once('|')
            .map_or(format!("name=\"{name}\""), |(name, file)| format!("name=\"{name}\"; filename=\"{file}\""));
        body.push_str(&format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n"));
    }
    body.push_str("--b--\r\n");
    let owner = Owner::of(&ProfileId::parse("zoe").unwrap());
    let has = |_: &File| false;
    let form = rewrite("multipart/form-data; boundary=b", body.into(), mask, &owner, &has, "r").await?;
    Ok(fields(form).await)
}

fn text(name: &str, value: &str) -> (String, Option<String>, String) {
    (name.into(), None, value.into())
}

#[tokio::test]
async fn an_upload_lands_in_the_profiles_folder() {
    let image = ("image".to_owned(), Some("x.png".to_owned()), "pixels".to_owned());
    let plain = sent(&[("image|x.png", "pixels")], false).await.unwrap();
    assert_eq!(plain, [text("type", "input"), text("subfolder", "@zoe"), image.clone()]);
    let told = [("type", "temp"), ("subfolder", "clipspace"), ("overwrite", "true"), ("other", "x"), ("image|x.png", "pixels")];
    let expected = [text("type", "temp"), text("subfolder", "@zoe/clipspace"), text("overwrite", "true"), image];
    assert_eq!(sent(&told, false).await.unwrap(), expected);
}

#[tokio::test]
async fn of_two_fields_one_is_sent_on() {
    let told = [
        ("subfolder", "a"),
        ("subfolder", "../@mateo"),
        ("image|x.png", "1"),
        ("image|../y.png", "2"),
        ("type", "input"),
        ("type", "output"),
    ];
    let fields = sent(&told, false).await.unwrap();
    assert_eq!(fields.len(), 3);
    assert!(fields.contains(&text("subfolder", "@zoe/a")) && fields.contains(&text("type", "input")));
}

#[tokio::test]
async fn no_name_leads_out() {
    for name in ["../@mateo/x.png", "/etc/x", "a/b.png", "..", "a\\b", "@zoe", ""] {
        assert!(sent(&[(&format!("image|{name}"), "x")], false).await.is_err(), "{name}");
    }
    for subfolder in ["..", "../@mateo", "/etc", "a//b", "a/../../b", "a\\..\\b"] {
        assert!(sent(&[("subfolder", subfolder), ("image|x.png", "x")], false).await.is_err(), "{subfolder}");
    }
    for wrong in [("type", "models"), ("type", "../x"), ("type", "")] {
        assert!(sent(&[wrong, ("image|x.png", "x")], false).await.is_err(), "{wrong:?}");
    }
    assert!(sent(&[("image", "no file")], false).await.is_err() && sent(&[], false).await.is_err());
    for (name, bytes) in [
        ("x.m3u8", "x"),
        ("x.mpd", "x"),
        ("x", "x"),
        ("x.mp4", "#EXTM3U\n../../output/@mateo/video/a.mp4"),
        ("x.mp4", "<MPD profiles='urn:mpeg:dash:profile:full:2011'>"),
    ] {
        assert!(sent(&[(&format!("image|{name}"), bytes)], false).await.is_err(), "a list of other files: {name} {bytes}");
    }
    let many: Vec<_> = std::iter::repeat_n(("a", "b"), FIELDS_MAX + 1).collect();
    assert!(sent(&many, false).await.is_err());
}

#[tokio::test]
async fn a_mask_is_of_an_own_picture() {
    let of = async |original: &str| sent(&[("original_ref", original), ("image|m.png", "x")], true).await;
    let fields = of(r#"{"filename": "a.png", "subfolder": "", "type": "input"}"#).await.unwrap();
    let told: Value = serde_json::from_str(&fields.iter().find(|f| f.0 == "original_ref").unwrap().2).unwrap();
    assert_eq!(told, json!({ "filename": "a.png", "subfolder": "@zoe", "type": "input" }));
    let fields = of(r#"{"filename": "@mateo/a.png [output]", "type": "input"}"#).await.unwrap();
    let told: Value = serde_json::from_str(&fields.iter().find(|f| f.0 == "original_ref").unwrap().2).unwrap();
    assert_eq!(told, json!({ "filename": "a.png", "subfolder": "@zoe/@mateo", "type": "output" }));
    for wrong in
        ["", "7", "{}", r#"{"filename": "../a.png"}"#, r#"{"filename": "/a.png"}"#, r#"{"filename": "a.png", "type": "x"}"#]
    {
        assert!(of(wrong).await.is_err(), "{wrong}");
    }
    assert!(sent(&[("image|m.png", "x")], true).await.is_err(), "without one");
}
