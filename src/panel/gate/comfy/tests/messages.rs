//! Streams as ComfyUI sends them, to one browser of one profile.

use super::*;
use crate::gate::comfy::names::Kind;
use crate::users::ProfileId;
use proptest::prelude::*;

fn zoe() -> Owner {
    Owner::of(&ProfileId::parse("zoe").unwrap())
}

fn hers(id: &str) -> bool {
    id.starts_with('z')
}

fn hear(stream: &mut Stream, kind: &str, data: Value) -> Heard {
    stream.text(&json!({ "type": kind, "data": data }).to_string(), &zoe(), hers)
}

fn preview(event: u32, rest: &[u8]) -> Vec<u8> {
    [&event.to_be_bytes(), rest].concat()
}

#[test]
fn messages_about_others_prompts_are_not_told() {
    let mut stream = Stream::default();
    for kind in ABOUT_A_PROMPT {
        for data in [json!({ "prompt_id": "m1" }), json!({}), json!({ "prompt_id": 7 }), json!("z1"), Value::Null] {
            assert_eq!(hear(&mut stream, kind, data.clone()), Heard::Nothing, "{kind} {data}");
        }
        let told = hear(&mut stream, kind, json!({ "prompt_id": "z1", "node": "3" }));
        assert!(matches!(told, Heard::Text(_) | Heard::Made(..)), "{kind}");
    }
    for text in ["", "7", "[]", "{\"type\": 7}", "{\"data\": {}}", "no json"] {
        assert_eq!(stream.text(text, &zoe(), hers), Heard::Nothing, "{text}");
    }
    for kind in ["logs", "cm-queue-status", "cm-api-try-install-customnode", "anything", "Status"] {
        assert_eq!(hear(&mut stream, kind, json!({ "prompt_id": "z1" })), Heard::Nothing, "{kind}");
    }
}

#[test]
fn where_a_file_lies_in_the_machine_is_not_told() {
    let file = json!({ "filename": "a.mp4", "subfolder": "@zoe", "type": "output", "fullpath": "/data/output/@zoe/a.mp4" });
    let told = hear(&mut Stream::default(), "executed", json!({ "prompt_id": "z1", "output": { "gifs": [file] } }));
    assert!(matches!(told, Heard::Made(text, files) if files.len() == 1 && text.contains("a.mp4") && !text.contains("/data")));
}

#[test]
fn pictures_without_a_name_are_told_while_an_own_prompt_runs() {
    let mut stream = Stream::default();
    let picture = preview(PREVIEW, b"\0\0\0\x01jpeg");
    assert!(!stream.binary(&picture, hers), "nothing of hers runs");
    hear(&mut stream, "execution_start", json!({ "prompt_id": "z1" }));
    assert!(stream.binary(&picture, hers) && stream.binary(&preview(TEXT, b"x"), hers));
    assert!(matches!(hear(&mut stream, "VHS_latentpreview", json!({ "length": 3 })), Heard::Text(_)));
    hear(&mut stream, "execution_success", json!({ "prompt_id": "z1" }));
    assert!(!stream.binary(&picture, hers) && hear(&mut stream, "VHS_latentpreview", json!({})) == Heard::Nothing);
    // After a reconnect, the next step tells that it runs; the next one's beginning that it does no more.
    hear(&mut stream, "progress", json!({ "prompt_id": "z1", "value": 3 }));
    assert!(stream.binary(&picture, hers));
    hear(&mut stream, "execution_start", json!({ "prompt_id": "m1" }));
    assert!(!stream.binary(&picture, hers));
    hear(&mut stream, "executing", json!({ "prompt_id": "z1", "node": "3" }));
    hear(&mut stream, "executing", json!({ "prompt_id": "z1", "node": null }));
    assert!(!stream.binary(&picture, hers));
}

#[test]
fn pictures_that_say_whose_they_are_are_told_to_that_one() {
    let with = |metadata: &str| {
        let length = u32::try_from(metadata.len()).unwrap().to_be_bytes();
        preview(PREVIEW_OF, &[&length, metadata.as_bytes(), b"jpeg"].concat())
    };
    let mut stream = Stream::default();
    assert!(stream.binary(&with(r#"{"prompt_id": "z1"}"#), hers));
    hear(&mut stream, "execution_start", json!({ "prompt_id": "z1" }));
    for other in [r#"{"prompt_id": "m1"}"#, "{}", "no json", r#"{"prompt_id": ["z1"]}"#] {
        assert!(!stream.binary(&with(other), hers), "{other}");
    }
    for broken in [
        &b""[..],
        b"\0\0\0",
        &preview(PREVIEW_OF, b""),
        &preview(PREVIEW_OF, b"\xff\xff\xff\xff{}"),
        &preview(2, b"x"),
        &preview(99, b"x"),
    ] {
        assert!(!stream.binary(broken, hers), "{broken:?}");
    }
}

#[test]
fn what_is_shown_is_known_as_made() {
    let output = json!({ "images": [{ "filename": "a.png", "subfolder": "", "type": "temp" }] });
    let told = hear(&mut Stream::default(), "executed", json!({ "prompt_id": "z1", "node": "9", "output": output }));
    let file = File { kind: Kind::Temp, subfolder: String::new(), name: "a.png".into() };
    assert!(matches!(told, Heard::Made(_, files) if files == [file]));
}

#[test]
fn a_count_is_the_own_and_so_is_the_name() {
    let mut stream = Stream::default();
    let status_of = |data: Value| json!({ "status": { "exec_info": { "queue_remaining": 9 } }, "sid": data });
    assert_eq!(hear(&mut stream, "status", json!({ "status": {} })), Heard::Status(None));
    assert_eq!(hear(&mut stream, "status", status_of(json!("zoe.tab"))), Heard::Status(Some("tab".into())));
    assert_eq!(hear(&mut stream, "status", status_of(json!("mateo.tab"))), Heard::Nothing);
    let told: Value = serde_json::from_str(&status(2, Some("tab"))).unwrap();
    assert_eq!(told, json!({ "type": "status", "data": { "status": { "exec_info": { "queue_remaining": 2 } }, "sid": "tab" } }));
}

#[test]
fn a_browser_says_its_features_and_nothing_else() {
    let flags = r#"{"type": "feature_flags", "data": {"supports_preview_metadata": true, "deep": {"a": 1}}, "more": 1}"#;
    assert_eq!(said(flags).unwrap(), r#"{"type":"feature_flags","data":{"supports_preview_metadata":true}}"#);
    for other in
        ["{\"type\": \"logs\"}", "{\"type\": \"feature_flags\"}", "{\"type\": \"feature_flags\", \"data\": []}", "x", "7", ""]
    {
        assert_eq!(said(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,40}") {
        let mut stream = Stream { running: true };
        stream.binary(&bytes, |_| true);
        stream.text(&text, &zoe(), |_| true);
        said(&text);
    }
}
