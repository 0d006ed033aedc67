//! The table of routes, and requests that look for a way around it.

use super::*;
use crate::gate::comfy::address::Address;

fn treatment(method: &str, path: &str) -> Option<Treatment> {
    let address = Address::parse(path, None)?;
    Some(find(&method.parse().unwrap(), &address.segments).0)
}

#[test]
fn every_line_of_the_table_is_read_and_none_is_there_twice() {
    assert_eq!(ROUTES.len(), lines().count());
    let mut seen: Vec<_> = lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn routes_answer_under_api_as_well() {
    for path in ["/queue", "/api/queue", "/%71ueue", "/api/%71ueue"] {
        assert_eq!(treatment("GET", path), Some(Treatment::Queue), "{path}");
        assert_eq!(treatment("POST", path), Some(Treatment::QueueEdit), "{path}");
    }
    assert_eq!(treatment("GET", "/"), Some(Treatment::Pass));
    assert_eq!(treatment("GET", "/api/userdata/workflows%2Fa.json"), Some(Treatment::User));
    assert_eq!(treatment("POST", "/userdata/a%2Fb.json/move/c%2Fd.json"), Some(Treatment::User));
    assert_eq!(treatment("GET", "/extensions/a/b/c.js"), Some(Treatment::Pass));
    assert_eq!(treatment("GET", "/api/workflow_templates/pack/a.json"), Some(Treatment::Pass));
}

#[test]
fn what_is_not_in_the_table_is_an_admins() {
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/api"),
        ("GET", "/api/api/queue"),
        ("GET", "/Queue"),
        ("GET", "/QUEUE"),
        ("GET", "/queue/x"),
        ("PUT", "/queue"),
        ("PATCH", "/queue"),
        ("OPTIONS", "/queue"),
        ("HEAD", "/queue"),
        ("HEAD", "/history/a"),
        ("POST", "/view"),
        ("GET", "/upload/image"),
        ("GET", "/extensions%2Fa"),
        ("GET", "/history/a%2Fb"),
        ("GET", "/internal/logs"),
        ("GET", "/api/internal/logs/raw"),
        ("PATCH", "/internal/logs/subscribe"),
        ("GET", "/internal/anything"),
        ("GET", "/assets"),
        ("GET", "/api/assets"),
        ("POST", "/manager/queue/install"),
        ("POST", "/api/manager/reboot"),
        ("POST", "/customnode/install/git_url"),
        ("GET", "/proxy"),
        ("GET", "/users.json"),
        ("POST", "/users"),
        ("GET", "/getpath"),
        ("GET", "/models/custom_nodes"),
        ("GET", "/api/experiment/models/custom_nodes"),
    ] {
        assert_eq!(treatment(method, path), Some(Treatment::Admin), "{method} {path}");
    }
    for path in ["/queue/", "//queue", "/./queue", "/a/../queue", "/queue%2f..%2fx", "/api//queue"] {
        assert_eq!(treatment("GET", path), None, "{path}");
    }
}

#[test]
fn pages_that_ask_for_what_is_an_admins_are_answered_that_there_is_nothing() {
    for (method, path, nothing) in [
        ("POST", "/api/manager/component/loads", Treatment::NoThings),
        ("GET", "/pysssss/workflows", Treatment::NoList),
        ("GET", "/manager/share_option", Treatment::NoWord),
    ] {
        assert_eq!(treatment(method, path), Some(nothing), "{path}");
        assert!(nothing.is_admins());
    }
}

#[test]
fn only_the_tool_answers_a_head() {
    assert_eq!(treatment("HEAD", "/"), Some(Treatment::Pass));
    assert_eq!(treatment("HEAD", "/view"), Some(Treatment::View));
    assert_eq!(treatment("HEAD", "/object_info"), Some(Treatment::Admin));
}
