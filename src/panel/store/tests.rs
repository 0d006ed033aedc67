//! Opening, damage, copies, a full disk, a large store.

use super::*;
use crate::{
    artifacts::{Artifact, Filter},
    events::Kind,
    jobs::JobState,
    users::ProfileId,
};
use protocol::{Format, JobId, Recipe, Sampler, Schedule};
use std::{fs, time::Instant};

fn ada() -> ProfileId {
    "ada".parse().unwrap()
}

fn recipe() -> Recipe {
    Recipe {
        model: "tiny".into(),
        prompt: "A lake under a red sky".into(),
        negative_prompt: String::new(),
        width: 256,
        height: 256,
        steps: 20,
        guidance: 5.0,
        sampler: Sampler::Euler,
        schedule: Schedule::Plain,
        eta: 0.0,
        guidance_rescale: 0.0,
        clip_skip: 1,
        seed: 1,
        batch: 1,
        strength: None,
        image: None,
        mask: None,
        format: Format::Png,
    }
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
        recipe: recipe(),
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

#[tokio::test]
async fn a_store_of_a_newer_easel_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.run(|c| Ok(c.pragma_update(None, "user_version", 1000)?)).await.unwrap();
    drop(store);
    assert!(matches!(Store::open(folder.path()), Err(OpenError::Newer { found: 1000, .. })));
}

/// Bar Q9: 100,000 events and as many artifacts.
#[tokio::test]
async fn a_large_store_opens_and_shows_its_first_page_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store
        .run(|c| {
            let change = c.transaction()?;
            for n in 0..100_000 {
                artifacts::insert(&change, &artifact(n))?;
                let body = format!("{{\"id\":\"{n:026}\",\"state\":\"{}\"}}", JobState::Done.name());
                events::insert(&change, &ada(), &JobId(format!("{n:026}")), Kind::State, body, 0)?;
            }
            Ok(change.commit()?)
        })
        .await
        .unwrap();
    drop(store);
    let begun = Instant::now();
    let store = Store::open(folder.path()).unwrap();
    let opened = begun.elapsed();
    let read = |c: &mut Connection| {
        let none = Filter::default();
        Ok((artifacts::page(c, &ada(), &none, None, 100)?, artifacts::count(c, &ada(), &none)?, events::last_seq(c)?))
    };
    let (page, count, seq) = store.read(read).await.unwrap();
    let all = begun.elapsed();
    println!("100,000 events and artifacts: open {opened:.0?}, open and first page {all:.0?}");
    assert_eq!((page.len(), page[0].created, count, seq), (100, 99_999, 100_000, 100_000));
    let begun = Instant::now();
    let search = Filter { q: Some("RED sky".into()), ..Filter::default() };
    let found = store.read(move |c| artifacts::count(c, &ada(), &search)).await.unwrap();
    println!("searching them {:.0?}", begun.elapsed());
    assert_eq!(found, 100_000);
    assert!(all.as_secs_f64() <= 1.0, "{all:?}");
}
