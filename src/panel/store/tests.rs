//! Opening, damage, copies, a full disk, a large store.

use super::*;
use crate::{
    artifacts::{Artifact, Filter, Made},
    events::Kind,
    jobs::JobState,
    users::ProfileId,
};
use protocol::{JobId, Recipe};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

fn ada() -> ProfileId {
    "ada".parse().unwrap()
}

fn recipe() -> Recipe {
    Recipe { prompt: "A lake under a red sky".into(), width: 256, height: 256, ..Recipe::example() }
}

fn artifact(n: u32) -> Artifact {
    Artifact {
        id: format!("{n:026}"),
        profile: ada(),
        job: JobId(format!("{n:026}")),
        index: 0,
        path: format!("ada/2026-01/{n:026}.png"),
        width: 256,
        height: 256,
        mime: "image/png".into(),
        bytes: 100_000,
        created: i64::from(n),
        made: Made::Here(recipe()),
        deleted: None,
    }
}

#[tokio::test]
async fn a_panicking_change_is_rolled_back_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let lost = store.run(|c| -> Result<(), StoreError> {
        let change = c.transaction()?;
        artifacts::insert(&change, &artifact(1))?;
        panic!("in the middle of a change");
    });
    assert!(matches!(lost.await, Err(StoreError::Closed)));
    assert_eq!(store.read(|c| artifacts::count(c, &ada(), &Filter::default())).await.unwrap(), 0);
    assert!(store.run(|c| artifacts::insert(c, &artifact(1))).await.unwrap());
    assert!(!store.run(|c| artifacts::insert(c, &artifact(1))).await.unwrap_or(false), "twice");
}

#[tokio::test]
async fn a_full_disk_refuses_and_takes_changes_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let pages: i64 = store.run(|c| Ok(c.pragma_query_value(None, "page_count", |row| row.get(0))?)).await.unwrap();
    store.run(move |c| Ok(c.pragma_update(None, "max_page_count", pages)?)).await.unwrap();
    let mut refused = None;
    for n in 0..1000 {
        if let Err(e) = store.run(move |c| artifacts::insert(c, &artifact(n))).await {
            refused = Some(e);
            break;
        }
    }
    assert!(matches!(refused, Some(StoreError::Full)), "{refused:?}");
    store.run(|c| Ok(c.pragma_update(None, "max_page_count", 1_000_000)?)).await.unwrap();
    assert!(store.run(|c| artifacts::insert(c, &artifact(5000))).await.unwrap());
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_its_last_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.run(|c| artifacts::insert(c, &artifact(1))).await.unwrap();
    store.copy_daily().await.unwrap();
    assert!(!open::is_copy_due(folder.path()));
    drop(store);
    let file = folder.path().join("easel.db");
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len();
    bytes[200..length.min(16_000)].fill(0x5a);
    fs::write(&file, &bytes).unwrap();
    let refused = Store::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("is damaged") && refused.contains("The last copy is"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
    let copy = fs::read_dir(folder.path().join("copies")).unwrap().next().unwrap().unwrap().path();
    for old in ["easel.db", "easel.db-wal", "easel.db-shm"] {
        let _ = fs::remove_file(folder.path().join(old));
    }
    fs::copy(copy, &file).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.read(|c| artifacts::count(c, &ada(), &Filter::default())).await.unwrap(), 1);
}

/// Begun on a disk of the machine, then moved to a volume: after a clean stop, and after a kill, which leaves the log.
#[tokio::test]
async fn a_store_of_a_local_disk_opens_on_a_network_volume() {
    let (local, stopped, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let carry = |to: &Path| {
        for entry in fs::read_dir(local.path()).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let store = Store::open(local.path()).unwrap();
    store.run(|c| artifacts::insert(c, &artifact(1))).await.unwrap();
    carry(killed.path());
    assert!(fs::metadata(killed.path().join("easel.db-wal")).unwrap().len() > 0);
    drop(store);
    carry(stopped.path());
    for folder in [&stopped, &killed] {
        let connection = open::open(folder.path(), Place::Network).unwrap();
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), artifacts::count(&connection, &ada(), &Filter::default()).unwrap()), ("delete", 1));
        artifacts::insert(&connection, &artifact(2)).unwrap();
        drop(connection);
        let back = Store::open(folder.path()).unwrap();
        assert_eq!(back.read(|c| artifacts::count(c, &ada(), &Filter::default())).await.unwrap(), 2);
    }
}

#[test]
fn a_disk_in_the_way_is_not_called_damage() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("easel.db")).unwrap();
    for place in [Place::Local, Place::Network] {
        let refused = open::open(folder.path(), place).unwrap_err();
        assert!(matches!(refused, OpenError::Unusable { .. }), "{refused}");
        assert!(!refused.to_string().contains("damaged"), "{refused}");
    }
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing_and_clears_what_a_kill_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let copies = folder.path().join("copies");
    fs::create_dir_all(copies.join("now.db/in the way")).unwrap();
    fs::write(copies.join("2020-01-01.part"), "half").unwrap();
    let at = folder.path().to_owned();
    let copied = store.run(move |c| Ok(open::copy(c, &at, "now")?)).await;
    assert!(matches!(copied, Err(StoreError::Disk(_))), "{copied:?}");
    let left: Vec<_> = fs::read_dir(&copies).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["now.db"]);
}

#[tokio::test]
async fn a_store_of_a_newer_easel_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.run(|c| Ok(c.pragma_update(None, "user_version", 1000)?)).await.unwrap();
    drop(store);
    assert!(matches!(Store::open(folder.path()), Err(OpenError::Newer { found: 1000, .. })));
}

#[tokio::test]
async fn old_sessions_are_forgotten_and_so_are_those_of_a_tool_that_has_very_many() {
    use crate::sessions::{Action, Outcome, Record, SessionId};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let fill = move |c: &mut Connection| {
        for n in 0..30 {
            let id = SessionId::parse(&format!("{n:026}")).unwrap();
            let tool = Some(if n < 20 { "crashes" } else { "works" }.to_owned());
            let record = Record {
                id: id.clone(),
                tool,
                action: Action::Start,
                by: ada(),
                started: n,
                finished: None,
                outcome: None,
                bytes: 0,
            };
            sessions::insert(c, &record)?;
            // One of each runs still.
            if n != 0 && n != 20 {
                sessions::end(c, &id, n, Outcome::Code(1), 0)?;
            }
        }
        sessions::prune(c, 23, 5)
    };
    let forgotten = store.run(fill).await.unwrap();
    let ids = |tool: &str| {
        let of_it = forgotten.iter().filter(|(_, of)| of.as_deref() == Some(tool));
        let mut ids: Vec<u32> = of_it.map(|(id, _)| id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids("crashes"), (1..19).collect::<Vec<_>>(), "all are old, and the newest of each stays");
    assert_eq!(ids("works"), [21, 22, 23, 24], "two are old, and of the rest five stay");
}

/// Of 100,000 events and as many artifacts, a page costs what it costs of a hundred, counting them less than looking into each,
/// and opening less than writing them did. The same run is the measure of all three, and the least of many tries, to which
/// what else the machine does adds nothing.
#[tokio::test]
async fn a_large_store_opens_and_shows_its_first_page_like_a_small_one() {
    let (small, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(small.path(), 100).await;
    let begun = Instant::now();
    fill(large.path(), 100_000).await;
    let written = begun.elapsed();
    let (few, many) = (look(small.path(), 100).await, look(large.path(), 100_000).await);
    println!("of 100 events and artifacts {few:.2?}, of 100,000 {many:.2?}, which were written in {written:.0?}");
    assert!(many.page <= 5 * few.page && many.count <= many.search && many.open <= written, "{few:?} {many:?} {written:?}");
}

/// What it takes to open a store, to read its first page, to count its pictures and to search through them.
#[derive(Debug)]
struct Look {
    open: Duration,
    page: Duration,
    count: Duration,
    search: Duration,
}

async fn fill(folder: &Path, count: u32) {
    let store = Store::open(folder).unwrap();
    let insert = move |c: &mut Connection| {
        let change = c.transaction()?;
        for n in 0..count {
            artifacts::insert(&change, &artifact(n))?;
            let body = format!("{{\"id\":\"{n:026}\",\"state\":\"{}\"}}", JobState::Done.name());
            events::insert(&change, &ada(), &JobId(format!("{n:026}")), Kind::State, body, 0)?;
        }
        Ok(change.commit()?)
    };
    store.run(insert).await.unwrap();
}

async fn look(folder: &Path, all: u32) -> Look {
    let begun = Instant::now();
    let store = Store::open(folder).unwrap();
    let open = begun.elapsed();
    let page = least(async || {
        let read = |c: &mut Connection| Ok((artifacts::page(c, &ada(), &Filter::default(), None, 100)?, events::last_seq(c)?));
        let (page, seq) = store.read(read).await.unwrap();
        assert_eq!((page.len(), page[0].created, seq), (100, i64::from(all) - 1, i64::from(all)));
    });
    let count = least(async || {
        assert_eq!(store.read(|c| artifacts::count(c, &ada(), &Filter::default())).await.unwrap(), u64::from(all));
    });
    let search = least(async || {
        let search = Filter { q: Some("RED sky".into()), ..Filter::default() };
        assert_eq!(store.read(move |c| artifacts::count(c, &ada(), &search)).await.unwrap(), u64::from(all));
    });
    Look { open, page: page.await, count: count.await, search: search.await }
}

async fn least(work: impl AsyncFn()) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        work().await;
        least = least.min(begun.elapsed());
    }
    least
}

/// As it was written before anything in a gallery was played.
#[tokio::test]
async fn a_picture_of_comfyuis_from_before_videos_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let of_comfy = Artifact { made: Made::InComfyUi(crate::artifacts::InComfyUi::default()), ..artifact(1) };
    store.run(move |c| artifacts::insert(c, &of_comfy)).await.unwrap();
    let old = "UPDATE artifacts SET recipe = '{\"prompt\": \"a lake\", \"workflow\": true}'";
    store.run(move |c| Ok(c.execute(old, [])?)).await.unwrap();
    let read = store.read(|c| artifacts::get(c, &ada(), &format!("{:026}", 1))).await.unwrap().unwrap();
    let made = crate::artifacts::InComfyUi { prompt: "a lake".into(), workflow: true, animated: false, duration_ms: None };
    assert_eq!((read.kind(), read.made), (media::Kind::Picture, Made::InComfyUi(made)));
}
