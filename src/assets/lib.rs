//! The front end as bytes: every file of the bundle by its hashed name, with its compressed copies, and the
//! icons as constants. Knows no HTTP: the panel sets headers and chooses an encoding.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// One file of the bundle.
#[derive(Debug)]
pub struct Asset {
    /// The name pages know it by: "studio.js".
    pub logical: &'static str,
    /// The name in URLs: "studio-AB12CD34.js". Changes with the bytes, so it may be cached for ever.
    pub name: &'static str,
    /// Media type.
    pub mime: &'static str,
    /// Hashed names of the chunks it imports at once.
    pub imports: &'static [&'static str],
    /// The file.
    pub bytes: &'static [u8],
    /// The same, in gzip; absent where that gains nothing.
    pub gzip: Option<&'static [u8]>,
    /// The same, in Brotli.
    pub brotli: Option<&'static [u8]>,
}

/// A development folder that stands in for the bundle.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Serves the files of `folder` instead of the built-in ones, under plain names and read anew each time, so that
/// a change needs no rebuild. Only the first call counts. The folder is what `node bundle.mjs --watch` writes.
pub fn serve_from(folder: PathBuf) {
    let _ = FOLDER.set(folder);
}

/// The URL of a file by the name that pages know it by. An unknown name gives a URL that answers 404.
pub fn url(logical: &str) -> Cow<'static, str> {
    match (FOLDER.get(), by_logical(logical)) {
        (None, Some(asset)) => Cow::Owned(format!("/assets/{}", asset.name)),
        _ => Cow::Owned(format!("/assets/{logical}")),
    }
}

/// The URLs of the chunks that a script imports at once, to be asked for together with it.
pub fn preloads(logical: &str) -> Vec<String> {
    if FOLDER.get().is_some() {
        return Vec::new();
    }
    by_logical(logical).map_or_else(Vec::new, |a| a.imports.iter().map(|name| format!("/assets/{name}")).collect())
}

/// Whether the bundle has a file of that logical name.
pub fn has(logical: &str) -> bool {
    by_logical(logical).is_some()
}

/// A built-in file by the name in its URL.
pub fn find(name: &str) -> Option<&'static Asset> {
    TABLE.binary_search_by(|a| a.name.cmp(name)).ok().map(|i| &TABLE[i])
}

/// A file of the development folder with its media type: `None` without such a folder or file. Only plain names
/// are looked up, so nothing outside the folder can be reached.
pub fn find_in_folder(name: &str) -> Option<(Vec<u8>, &'static str)> {
    let folder = FOLDER.get()?;
    let plain = !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let mime = mime_of(Path::new(name))?;
    if plain { fs::read(folder.join(name)).ok().map(|bytes| (bytes, mime)) } else { None }
}

fn by_logical(logical: &str) -> Option<&'static Asset> {
    TABLE.iter().find(|a| a.logical == logical)
}

fn mime_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    TABLE.iter().find(|a| a.name.rsplit('.').next() == Some(extension)).map(|a| a.mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_finds_its_files_by_plain_names() {
        for logical in ["easel.css", "early.js", "shell.js", "studio.js", "gallery.js", "worker.js"] {
            let url = url(logical);
            let asset = find(url.trim_start_matches("/assets/")).unwrap_or_else(|| panic!("{logical} has no file behind {url}"));
            assert!(asset.name.len() > logical.len(), "{} carries no hash", asset.name);
            assert!(asset.gzip.is_some() && asset.brotli.is_some(), "{logical} is not compressed");
        }
    }

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(TABLE.windows(2).all(|w| w[0].name < w[1].name));
        assert!(find("nothing.js").is_none());
    }

    #[test]
    fn the_first_route_weighs_at_most_60_kb() {
        let weight = |logical: &str| {
            let entry = by_logical(logical).expect("it is part of the bundle");
            let chunks = entry.imports.iter().filter_map(|n| find(n));
            std::iter::once(entry).chain(chunks).map(|a| (a.name, a.gzip.map_or(0, <[u8]>::len))).collect::<Vec<_>>()
        };
        for page in ["doors.js", "studio.js", "gallery.js", "picture.js", "admin.js"] {
            let mut files = [weight("shell.js"), weight("early.js"), weight(page)].concat();
            files.sort_unstable();
            files.dedup();
            let total: usize = files.iter().map(|(_, bytes)| bytes).sum();
            println!("{page}: {total} bytes of gzipped scripts in {} files", files.len());
            assert!(total <= 60_000, "{page} weighs {total} bytes: {files:?}");
        }
    }

    #[test]
    fn no_bundle_has_a_source_map_or_an_address_of_elsewhere() {
        for asset in TABLE.iter().filter(|a| a.gzip.is_some()) {
            let text = String::from_utf8_lossy(asset.bytes);
            assert!(!text.contains("sourceMappingURL"), "{} names a source map", asset.name);
            let outside = text.match_indices("https://").find(|(i, _)| !text[*i..].starts_with("https://www.w3.org/"));
            assert!(outside.is_none(), "{} names {:?}", asset.name, outside.map(|(i, _)| &text[i..(i + 60).min(text.len())]));
        }
    }
}
