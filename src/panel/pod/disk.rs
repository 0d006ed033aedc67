//! Whether a folder lies on a container's own disk, which is gone when the pod stops. Pure, but for reading the list of mounts.

use std::path::{Path, PathBuf};

/// Whether `folder` is on the disk that the container itself stands on, and not on a volume.
pub fn is_the_containers_own(folder: &Path) -> bool {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return false };
    mount_of(&mounts, &place_of(folder)).is_some_and(|(point, kind)| point == Path::new("/") || kind == "tmpfs")
}

/// Where a folder lies, or will lie when it is made: where the nearest one above it does.
fn place_of(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let there = folder.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok());
    there.unwrap_or(folder)
}

/// The mount that a path is in: where it is, and the kind of its file system (proc(5), mountinfo).
fn mount_of(mounts: &str, path: &Path) -> Option<(PathBuf, String)> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = PathBuf::from(unescape(before.split(' ').nth(4)?));
        path.starts_with(&point).then(|| (point, after.split(' ').next().unwrap_or_default().to_owned()))
    };
    // Of two mounts at one place the later one is seen.
    mounts.lines().filter_map(mount).max_by_key(|(point, _)| point.components().count())
}

/// Blanks and backslashes stand in octal digits there.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |t, (from, to)| t.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "\
1 0 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/x
2 1 0:51 / /proc rw - proc proc rw
3 1 8:1 /vol /workspace rw,relatime shared:5 - fuse mfs#1 rw
4 1 0:60 / /with\\040blank rw - tmpfs tmpfs rw
";

    #[test]
    fn a_volume_is_told_from_the_containers_own_disk() {
        let of = |path: &str| mount_of(POD, Path::new(path)).unwrap();
        assert_eq!(of("/workspace/easel"), ("/workspace".into(), "fuse".into()));
        assert_eq!(of("/workspaces/easel"), ("/".into(), "overlay".into()));
        assert_eq!(of("/with blank/x").1, "tmpfs");
    }

    #[test]
    fn a_folder_that_is_not_made_yet_lies_where_it_will() {
        let here = std::fs::canonicalize(".").unwrap();
        assert_eq!(place_of(Path::new("no-such-folder/data")), here);
        assert_eq!(place_of(Path::new(".")), here);
        assert_eq!(place_of(Path::new("/no-such-folder/data")), Path::new("/"));
    }
}
