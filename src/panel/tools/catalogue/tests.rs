//! Folders good and broken, side by side.

use super::*;
use tempfile::TempDir;

const SCRIPT: &str = "#!/usr/bin/env bash\nset -euo pipefail\n";

fn toml(name: &str, port: u16) -> String {
    format!(
        "name = \"{name}\"\nabout = \"A tool.\"\ninstall = \"{name}\"\npublic_port = {port}\n\
         health = {{ path = \"/\", expect = [200], start_timeout_s = 60 }}\n"
    )
}

/// A setup folder with these files.
fn setup(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn whole(name: &str) -> [(String, String); 4] {
    let script = |action: &str| (format!("{name}/{action}_{name}.sh"), SCRIPT.to_owned());
    [(format!("{name}/tool.toml"), toml(name, 9000)), script("install"), script("start"), script("kill")]
}

/// `one`, whole, beside further files.
fn beside(further: &[(&str, &str)]) -> Catalogue {
    let one = whole("one");
    let files: Vec<(&str, &str)> = one.iter().map(|(p, t)| (p.as_str(), t.as_str())).chain(further.iter().copied()).collect();
    Catalogue::load(setup(&files).path()).unwrap()
}

fn problems(further: &[(&str, &str)]) -> Vec<String> {
    let catalogue = beside(further);
    let seen: Vec<_> = catalogue.tools().map(|t| t.spec.id.as_str()).collect();
    assert!(seen.contains(&"one"), "a broken folder hides a good one");
    catalogue.broken().iter().flat_map(|b| b.problems.iter().map(move |p| format!("{}: {p}", b.folder))).collect()
}

#[test]
fn actions_exist_by_their_scripts() {
    let catalogue = beside(&[("one/update_one.sh", SCRIPT), ("lib/easel.sh", "shared"), ("README.md", "no tool")]);
    let tool = catalogue.get(&ToolId::parse("one").unwrap()).unwrap();
    assert_eq!(tool.actions.iter().map(|a| a.word()).collect::<Vec<_>>(), ["install", "update", "start", "kill"]);
    assert!(tool.runs() && tool.script(Action::Reinstall).is_none());
    assert!(tool.script(Action::Start).unwrap().ends_with("one/start_one.sh"));
    assert!(catalogue.broken().is_empty());
}

#[test]
fn each_broken_folder_is_told_and_hides_nothing() {
    let two = toml("two", 9001);
    let installer = "name = \"Two\"\nabout = \"A.\"\ninstall = \"two\"\n";
    assert_eq!(problems(&[("two/readme", "")]), ["two: tool.toml: there is no such file"]);
    assert!(problems(&[("Two/tool.toml", &two)])[0].starts_with("Two: \"Two\" is not the id of a tool"));
    assert_eq!(problems(&[("two/tool.toml", installer)]), ["two: install_two.sh is missing"]);
    assert_eq!(
        problems(&[("two/tool.toml", &two), ("two/install_two.sh", SCRIPT), ("two/start_two.sh", SCRIPT)]),
        ["two: kill_two.sh is missing"]
    );
    assert_eq!(
        problems(&[("two/tool.toml", installer), ("two/install_two.sh", SCRIPT), ("two/instal_two.sh", SCRIPT)]),
        ["two: instal_two.sh is no action: did you mean install_two.sh?"]
    );
    let killer = format!("{SCRIPT}fuser -k 1/tcp\n");
    let found = problems(&[("two/tool.toml", installer), ("two/install_two.sh", &killer)]);
    assert!(found.len() == 1 && found[0].starts_with("two: install_two.sh: line 3: fuser"), "{found:?}");
}

#[test]
fn tools_share_neither_port_nor_folder_but_may_work_within_another() {
    let script = ("two/install_two.sh", SCRIPT);
    let same_port = toml("two", 9000);
    let run = [script, ("two/start_two.sh", SCRIPT), ("two/kill_two.sh", SCRIPT)];
    let taken = problems(&[&[("two/tool.toml", same_port.as_str())], &run[..]].concat());
    assert_eq!(taken, ["two: public_port = 9000 is taken by one"]);
    let same_folder = "name = \"Two\"\nabout = \"A.\"\ninstall = \"one\"\n";
    assert!(problems(&[("two/tool.toml", same_folder), script])[0].starts_with("two: install = \"one\" is taken by one"));
    let within = |other: &str| format!("name = \"Two\"\nabout = \"A.\"\nwithin = \"{other}\"\n");
    assert!(problems(&[("two/tool.toml", &within("three")), script])[0].starts_with("two: within = \"three\""));
    let catalogue = beside(&[("two/tool.toml", &within("one")), script]);
    let two = catalogue.get(&ToolId::parse("two").unwrap()).unwrap();
    assert_eq!(catalogue.owner(two).spec.id.as_str(), "one");
}

#[test]
fn a_choice_that_cannot_be_read_is_told() {
    let text = "name = \"Two\"\nabout = \"A.\"\ninstall = \"two\"\npicks = { file = \"two/nodes.txt\", below = \"app\" }\n";
    let script = ("two/install_two.sh", SCRIPT);
    assert_eq!(problems(&[("two/tool.toml", text), script]), ["two: two/nodes.txt: there is no such file"]);
    let bad = problems(&[("two/tool.toml", text), script, ("two/nodes.txt", "https://example.org/a/b\nfile:///etc\n")]);
    assert_eq!(bad, ["two: two/nodes.txt: line 2: \"file:///etc\" is not the https address of a repository"]);
}
