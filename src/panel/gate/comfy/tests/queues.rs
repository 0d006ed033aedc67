//! Queues as ComfyUI tells them, and as it should not, cut anywhere.

use super::*;
use crate::users::ProfileId;
use proptest::prelude::*;

fn zoe() -> Owner {
    Owner::of(&ProfileId::parse("zoe").unwrap())
}

fn hers(id: &str) -> bool {
    id.starts_with('z')
}

fn ids(text: &[u8], step: usize) -> Result<Queue, Wrong> {
    let mut scanner = Scanner::new(|_| false);
    text.chunks(step).try_for_each(|piece| scanner.feed(piece))?;
    scanner.ids()
}

fn entries(text: &[u8]) -> Value {
    let mut scanner = Scanner::new(hers);
    scanner.feed(text).unwrap();
    scanner.kept().unwrap().told(&zoe())
}

#[test]
fn the_queue_has_the_own_entries_only() {
    let entry =
        |id: &str, client: &str| json!([1.5, id, {"1": {"a": ["x", 0], "t": "]}\"\\"}}, {"client_id": client, "a": 1}, []]);
    let told = json!({
        "queue_running": [entry("m1", "mateo.t")],
        "more": ["of others", {"queue_pending": [entry("z9", "zoe.t")]}],
        "queue_pending": [entry("z1", "zoe.t"), entry("m2", "mateo.t"), ["broken"], 7, {"a": ["x", "z3"]}, entry("z2", "mateo.t")],
    });
    let text = told.to_string();
    let own = |id: &str, client: Value| {
        let mut own = entry(id, "");
        own[3]["client_id"] = client;
        own
    };
    assert_eq!(entries(text.as_bytes()), {
        json!({ "queue_running": [], "queue_pending": [own("z1", json!("t")), own("z2", Value::Null)] })
    });
    for step in [1, 2, 7, 10_000] {
        let queue = ids(text.as_bytes(), step).unwrap();
        assert_eq!((queue.running.join(" "), queue.pending.join(" ")), ("m1".into(), "z1 m2 z2".into()), "{step}");
        assert_eq!((queue.own(hers).count(), queue.count()), (2, 4));
    }
    assert_eq!(entries(br#"["queue_running"]"#), json!({ "queue_running": [], "queue_pending": [] }));
}

#[test]
fn a_number_that_is_none_takes_the_queue_from_nobody() {
    let text = br#"{"queue_running": [[3, "z1", {"1": {"cfg": NaN, "x": -Infinity}}, {}, []]], "queue_pending": []}"#;
    assert_eq!(ids(text, 5).unwrap().running, ["z1"]);
    assert_eq!(entries(text)["queue_running"], json!([[3, "z1", {"1": {"cfg": null, "x": null}}, {}, []]]));
}

#[test]
fn what_ends_early_or_has_no_plain_id_is_not_believed() {
    for text in ["", "{", "{\"queue_running\": [[1, \"z1\"", "{\"a\": \"x", "}", "[]]"] {
        assert_eq!(ids(text.as_bytes(), 100), Err(Wrong::Unreadable), "{text}");
    }
    for entry in [
        r#"[1, ["z1"], {}]"#.to_owned(),
        r#"[1, "z\u0031", {}]"#.to_owned(),
        r#"[1, "z1" "z2", {}]"#.to_owned(),
        format!("[1, \"{}\", 2]", "z".repeat(ID_MAX + 1)),
        r#"["z1"]"#.to_owned(),
        r#"[1, 2, "z1"]"#.to_owned(),
        r#"[1, {"a": "z1"}, 3]"#.to_owned(),
    ] {
        let text = format!("{{\"queue_pending\": [{entry}, [1, \"z7\"]]}}");
        assert_eq!(ids(text.as_bytes(), 3).unwrap().pending, ["z7"], "{entry}");
        let told = entries(text.as_bytes());
        assert_eq!(told["queue_pending"], json!([[1, "z7"]]), "{entry}");
    }
    // What stands in the place of the number is not kept either.
    let long = format!("{{\"queue_pending\": [[\"{}\", \"z1\", {{}}]]}}", "x".repeat(10_000));
    let mut scanner = Scanner::new(hers);
    scanner.feed(long.as_bytes()).unwrap();
    assert!(scanner.entry.len() < 1_000);
}

proptest! {
    #[test]
    fn it_reads_what_a_reader_of_json_reads(
        names in prop::collection::vec("[zm][0-9]{1,3}", 0..6),
        text in "[\\[\\]{}\",:\\\\a é]{0,20}",
        step in 1usize..40,
    ) {
        let entry = |id: &String| json!([1, id, { &text: [&text, { "a": &text }] }, { "b": [text.clone()] }]);
        let told = json!({ "queue_running": [], "queue_pending": names.iter().map(entry).collect::<Vec<_>>() });
        let queue = ids(told.to_string().as_bytes(), step).unwrap();
        prop_assert_eq!(&queue.pending, &names);
        let own: Vec<&String> = names.iter().filter(|id| hers(id)).collect();
        let told = entries(told.to_string().as_bytes());
        let kept: Vec<&str> = told["queue_pending"].as_array().unwrap().iter().map(|entry| entry[1].as_str().unwrap()).collect();
        prop_assert_eq!(kept, own);
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(prop_oneof![Just(b'['), Just(b'{'), Just(b']'), Just(b'"'), Just(b','), any::<u8>()], 0..80)) {
        let _ = ids(&bytes, 3);
    }
}
