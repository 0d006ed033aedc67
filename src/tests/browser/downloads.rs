//! Files that the browser writes to the disk. Knows no page.

use super::Browser;
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// A folder for what a browser downloads.
pub(super) struct Downloads(tempfile::TempDir);

impl Downloads {
    pub(super) async fn of(b: &Browser) -> Downloads {
        let folder = tempfile::tempdir().unwrap();
        b.devtools("Browser.setDownloadBehavior", json!({"behavior": "allow", "downloadPath": folder.path()})).await;
        Downloads(folder)
    }

    /// The one finished file whose name ends so.
    pub(super) async fn finished(&self, extension: &str) -> PathBuf {
        let begin = Instant::now();
        loop {
            let files = std::fs::read_dir(self.0.path()).unwrap().flatten().map(|f| f.path());
            if let Some(file) = files.into_iter().find(|f| f.extension().is_some_and(|e| e == extension)) {
                return file;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "nothing was downloaded");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
