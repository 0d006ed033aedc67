//! A remote's repository, whose commits are made object by object, so that they may hold what no git would write.

use git2::{ObjectType, Oid, Repository, Signature};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// A bare repository named `origin.git`.
pub(super) struct Origin {
    repo: Mutex<Repository>,
    pub(super) path: PathBuf,
}

/// A tree that is being made: names with their modes and either contents or more of the kind.
enum Node {
    File(u32, Vec<u8>),
    Tree(BTreeMap<String, Node>),
}

impl Origin {
    pub(super) fn new(folder: &Path) -> Origin {
        crate::library::prepare().unwrap();
        let path = folder.join("origin.git");
        let repo = Repository::init_bare(&path).unwrap();
        repo.set_head("refs/heads/main").unwrap();
        Origin { repo: Mutex::new(repo), path }
    }

    /// The next commit of `main`, with these files and no others.
    pub(super) fn commit(&self, files: &[(&str, &str)]) -> String {
        let files: Vec<(u32, &str, &[u8])> = files.iter().map(|(path, text)| (0o100_644, *path, text.as_bytes())).collect();
        self.commit_modes(&files)
    }

    /// The same with modes.
    pub(super) fn commit_modes(&self, files: &[(u32, &str, &[u8])]) -> String {
        let mut root = BTreeMap::new();
        for (mode, path, bytes) in files {
            insert(&mut root, path, Node::File(*mode, bytes.to_vec()));
        }
        let tree = write(&self.repo.lock().unwrap(), &root);
        self.commit_tree(tree, self.head())
    }

    /// A commit of a tree of raw entries, on top of what `main` has.
    pub(super) fn commit_raw(&self, entries: &[(u32, &[u8], Oid)]) -> String {
        let tree = self.raw_tree(entries);
        self.commit_tree(tree, self.head())
    }

    pub(super) fn raw_tree(&self, entries: &[(u32, &[u8], Oid)]) -> Oid {
        raw(&self.repo.lock().unwrap(), entries)
    }

    pub(super) fn blob(&self, bytes: &[u8]) -> Oid {
        self.repo.lock().unwrap().blob(bytes).unwrap()
    }

    fn commit_tree(&self, tree: Oid, parent: Option<Oid>) -> String {
        let repo = self.repo.lock().unwrap();
        let who = Signature::now("Ada", "ada@localhost").unwrap();
        let parents: Vec<_> = parent.iter().map(|id| repo.find_commit(*id).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let number = parents.len();
        let id =
            repo.commit(None, &who, &who, &format!("Change {number}\n\nmore"), &repo.find_tree(tree).unwrap(), &parents).unwrap();
        repo.reference("refs/heads/main", id, true, "").unwrap();
        id.to_string()
    }

    fn head(&self) -> Option<Oid> {
        self.repo.lock().unwrap().find_reference("refs/heads/main").ok().and_then(|r| r.target())
    }

    /// A force-push: `main` is another commit now.
    pub(super) fn force(&self, commit: &str) {
        self.repo.lock().unwrap().reference("refs/heads/main", Oid::from_str(commit).unwrap(), true, "").unwrap();
    }
}

fn insert(tree: &mut BTreeMap<String, Node>, path: &str, node: Node) {
    match path.split_once('/') {
        None => _ = tree.insert(path.to_owned(), node),
        Some((first, rest)) => match tree.entry(first.to_owned()).or_insert_with(|| Node::Tree(BTreeMap::new())) {
            Node::Tree(inner) => insert(inner, rest, node),
            Node::File(..) => panic!("{first} is a file"),
        },
    }
}

fn write(repo: &Repository, tree: &BTreeMap<String, Node>) -> Oid {
    let mut entries: Vec<(u32, &[u8], Oid)> = tree
        .iter()
        .map(|(name, node)| match node {
            Node::File(mode, bytes) => (*mode, name.as_bytes(), repo.blob(bytes).unwrap()),
            Node::Tree(inner) => (0o040_000, name.as_bytes(), write(repo, inner)),
        })
        .collect();
    // git sorts folders as if their names ended in a slash.
    entries.sort_by_key(|(mode, name, _)| [*name, if *mode == 0o040_000 { b"/" } else { b"" }].concat());
    raw(repo, &entries)
}

fn raw(repo: &Repository, entries: &[(u32, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    repo.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}
