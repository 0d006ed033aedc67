//! The ring at its limits, its filters, and the files.

use super::*;

#[test]
fn lines_are_found_by_level_service_and_text() {
    let ring = Ring::default();
    ring.push(1, Level::Info, "panel", "request path=/studio");
    ring.push(2, Level::Warn, "engine", "Out of memory");
    ring.push(3, Level::Error, "panel", "the disk failed");
    let find = |filter: &Filter| ring.after(0, filter, 10).lines.iter().map(|l| l.at).collect::<Vec<_>>();
    assert_eq!(find(&Filter::default()), [1, 2, 3]);
    assert_eq!(find(&Filter { level: Some(Level::Warn), ..Filter::default() }), [2, 3]);
    assert_eq!(find(&Filter { service: Some("panel".into()), ..Filter::default() }), [1, 3]);
    assert_eq!(find(&Filter { text: Some("MEMORY".into()), ..Filter::default() }), [2]);
    assert_eq!(ring.services(), ["engine", "panel"]);
    let page = ring.after(2, &Filter::default(), 10);
    assert_eq!((page.lines.len(), page.last, page.lost), (1, 3, 0));
    assert_eq!(ring.after(99, &Filter::default(), 10).lines.len(), 3, "a number of another start");
}

#[test]
fn memory_is_bounded_and_what_was_lost_is_told() {
    let ring = Ring::default();
    let long = "x".repeat(2 * LINE_BYTES);
    for at in 0..5_000 {
        ring.push(at, Level::Info, "tool", &long);
    }
    let page = ring.after(1, &Filter::default(), usize::MAX);
    assert!(page.lines.iter().map(|l| l.text.len()).sum::<usize>() <= MOST_BYTES);
    assert_eq!(page.lost as usize + page.lines.len() + 1, 5_000);
    for at in 0..2 * MOST_LINES as i64 {
        ring.push(at, Level::Info, "tool", "y");
    }
    assert!(ring.after(0, &Filter::default(), usize::MAX).lines.len() <= MOST_LINES);
}

#[test]
fn a_cut_line_ends_with_a_whole_character() {
    let text = "ä".repeat(LINE_BYTES);
    assert!(cut(&text).len() <= LINE_BYTES && cut(&text).ends_with('ä'));
}

#[test]
fn files_are_listed_and_nothing_outside_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("outside"), "x").unwrap();
    let logs = Logs::open(&folder.path().join("logs"), Ring::default()).unwrap();
    std::fs::write(folder.path().join("logs/easel.2026-01-01.log"), "one\n").unwrap();
    std::fs::create_dir(folder.path().join("logs/comfy")).unwrap();
    std::fs::write(folder.path().join("logs/comfy/comfy.log"), "two\n").unwrap();
    let mut names: Vec<String> = logs.files().unwrap().into_iter().map(|f| f.name).collect();
    names.sort();
    assert_eq!(names, ["comfy/comfy.log", "easel.2026-01-01.log"]);
    assert!(logs.file("comfy/comfy.log").is_ok());
    for name in ["../outside", "/etc/passwd", "comfy/../../outside", "", "nothing.log", "comfy"] {
        assert!(logs.file(name).is_err(), "{name}");
    }
}
