//! Bodies as browsers send them, and as nobody should.

use super::*;
use crate::gate::comfy::names::{File, Owner};
use crate::gate::comfy::rules::Rules;
use crate::gate::comfy::types::Types;
use crate::users::ProfileId;

fn sent(body: &str) -> Result<Value, Refusal> {
    let owner = Owner::of(&ProfileId::parse("zoe").unwrap());
    let has = |_: &File| false;
    let place = Place { id: "the-id".into(), number: 7, client: "zoe.nobody".into() };
    prompt(
        &read(body.as_bytes())?,
        &place,
        &Sender { owner: &owner, has: &has, admin: false, rules: &Rules::default(), types: &Types::new() },
    )
}

#[test]
fn ids_place_and_browser_are_the_gates() {
    let told = sent(
        r#"{"prompt": {"1": {"class_type": "A", "inputs": {}}}, "client_id": "tab", "prompt_id": "x", "number": -1e9,
            "front": true, "extra_data": {"client_id": "mateo.tab", "extra_pnginfo": {"workflow": {"a": 1}}}, "other": 1}"#,
    );
    let expected = json!({
        "prompt": {"1": {"class_type": "A", "inputs": {"easel": "@zoe"}}}, "client_id": "zoe.tab", "prompt_id": "the-id", "number": 7,
        "extra_data": {"extra_pnginfo": {"workflow": {"a": 1}}}
    });
    assert_eq!(told.unwrap(), expected);
}

#[test]
fn a_prompt_without_a_browser_is_told_to_nobody() {
    for body in [r#"{"prompt": {}}"#, r#"{"prompt": {}, "client_id": null}"#, r#"{"prompt": {}, "client_id": ""}"#] {
        assert_eq!(sent(body).unwrap()["client_id"], "zoe.nobody", "{body}");
    }
    assert_eq!(sent(r#"{"prompt": {}, "extra_data": {"client_id": "tab"}}"#).unwrap()["client_id"], "zoe.tab");
    assert!(sent(r#"{"prompt": {}, "client_id": "mateo.tab"}"#).is_err());
}

#[test]
fn of_two_keys_one_is_sent_on() {
    let told = sent(
        r#"{"prompt": {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a", "filename_prefix": "b"}}},
            "prompt": {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "c", "filename_prefix": "d"}}}}"#,
    );
    let text = told.unwrap().to_string();
    assert_eq!((text.matches("filename_prefix").count(), text.contains("@zoe/d")), (1, true), "{text}");
}

#[test]
fn what_is_no_prompt_is_refused() {
    for body in ["", "[]", "7", "{\"prompt\": []}", "{\"prompt\": {}} x", "{\"prompt\": NaN}", "\u{feff}{}"] {
        assert!(sent(body).is_err(), "{body:?}");
    }
    let deep = format!("{{\"prompt\": {}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(sent(&deep).is_err(), "too deep to be read");
    for targets in ["7", "[1]", "{}"] {
        assert!(sent(&format!("{{\"prompt\": {{}}, \"partial_execution_targets\": {targets}}}")).is_err(), "{targets}");
    }
}

#[test]
fn a_prompt_is_as_long_as_comfyui_tells_it() {
    assert_eq!((told_size("abc"), told_size("é"), told_size("李明"), told_size("😀")), (3, 6, 12, 12));
}

#[test]
fn a_chosen_id_is_a_uuid() {
    let chosen = |id: Value| chosen_id(&json!({ "prompt_id": id }));
    let uuid = "6F9619FF-8B86-D011-B42D-00CF4FC964FF";
    assert_eq!(chosen(json!(uuid)).unwrap(), Some(uuid.to_lowercase()));
    assert_eq!((chosen(Value::Null).unwrap(), chosen_id(&json!({})).unwrap()), (None, None));
    for other in [json!("1"), json!(1), json!(["a"]), json!("6F9619FF-8B86-D011-B42D-00CF4FC964F/"), json!("")] {
        assert!(chosen(other.clone()).is_err(), "{other}");
    }
    assert_eq!(super::uuid(&"f".repeat(64)), "ffffffff-ffff-4fff-afff-ffffffffffff");
    assert!(is_uuid(&super::uuid(&"0".repeat(64))));
}

#[test]
fn edits_name_ids_and_nothing_else() {
    let read = |body: Value| edit(&body);
    assert_eq!(read(json!({ "clear": true })).unwrap(), Edit { clear: true, delete: Vec::new() });
    let some = Edit { clear: false, delete: vec!["a".into(), "b".into()] };
    assert_eq!(read(json!({ "delete": ["a", 7, ["c"], "b"] })).unwrap(), some);
    assert_eq!(read(Value::Null).unwrap(), Edit::default());
    for wrong in
        [json!({ "clear": "yes" }), json!({ "clear": 1 }), json!({ "delete": "a" }), json!({ "delete": vec![""; IDS_MAX + 1] })]
    {
        assert!(read(wrong).is_err());
    }
    assert_eq!(free(&json!({ "unload_models": true, "free_memory": "x", "more": 1 })), {
        json!({ "unload_models": true, "free_memory": false })
    });
}
