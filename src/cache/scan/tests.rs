use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::cache::shared;

/// A cache under construction: writes exactly what a test asks for.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Tree(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn folder(&self, path: &str) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn scan(&self) -> CacheReport {
        scan(self.0.path(), Detail::Files).unwrap()
    }

    /// The only problem, and that there is no repository.
    fn problem(&self) -> (String, ProblemKind) {
        let mut report = self.scan();
        assert!(report.repos.is_empty(), "{:?}", report.repos);
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        let problem = report.problems.pop().unwrap();
        let path = problem.path.strip_prefix(&report.root).unwrap();
        (path.to_str().unwrap().to_owned(), problem.kind)
    }
}

const REPO: &str = "models--o--n";

/// Two revisions that share a blob; the second is detached.
fn healthy() -> Tree {
    let tree = Tree::new();
    tree.file("CACHEDIR.TAG", "x")
        .folder(".locks/models--o--n")
        .file(".DS_Store", "x")
        .file(&format!("{REPO}/blobs/a"), "12345")
        .file(&format!("{REPO}/blobs/b"), "123")
        .file(&format!("{REPO}/blobs/orphan"), "1234567890")
        .file(&format!("{REPO}/blobs/x.incomplete"), "12")
        .file(&format!("{REPO}/blobs/y.hf-part"), "1")
        .file(&format!("{REPO}/refs/main"), "c1")
        .file(&format!("{REPO}/refs/refs/pr/1"), "c1")
        .file(&format!("{REPO}/refs/.DS_Store"), "x")
        .link(&format!("{REPO}/snapshots/c1/f"), "../../blobs/a")
        .link(&format!("{REPO}/snapshots/c1/again"), "../../blobs/a")
        .link(&format!("{REPO}/snapshots/c1/d/e/g"), "../../../../blobs/b")
        .link(&format!("{REPO}/snapshots/c2/f"), "../../blobs/a")
        .file(&format!("{REPO}/snapshots/.DS_Store"), "x");
    tree
}

#[test]
fn sizes_counts_and_refs() {
    let report = healthy().scan();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let [repo] = report.repos.as_slice() else {
        panic!("{:?}", report.repos)
    };
    assert_eq!(repo.id.to_string(), "model/o/n");
    assert_eq!((repo.size, repo.blobs.len()), (8, 2));
    assert_eq!(repo.refs(), ["main", "refs/pr/1"]);
    let revisions: Vec<(&str, u64, u64, usize)> = repo
        .revisions
        .iter()
        .map(|r| (r.commit.as_str(), r.size, r.file_count, r.refs.len()))
        .collect();
    assert_eq!(revisions, [("c1", 8, 3, 2), ("c2", 5, 1, 0)]);
    let paths: Vec<&[u8]> = repo.revisions[0].files.iter().map(|f| &*f.path).collect();
    assert_eq!(paths, [&b"again"[..], b"d/e/g", b"f"]);
    assert_eq!(report.size, 8, "the orphan belongs to no snapshot");
    assert_eq!(report.incomplete.len(), 2);
    assert_eq!(report.incomplete_size(), 3);
}

#[test]
fn refs_that_refs_cannot_hold_belong_to_their_revision() {
    let tree = healthy();
    tree.file(&format!("{REPO}/.hf-refs/main%2Fx%2520y"), "c2")
        .file(&format!("{REPO}/.hf-refs/main"), "c1")
        .file(&format!("{REPO}/.hf-refs/lost"), "c3");
    let report = tree.scan();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let revisions = report.repos[0].revisions.iter();
    let refs: Vec<(&str, &[String])> = revisions
        .map(|r| (r.commit.as_str(), r.refs.as_slice()))
        .collect();
    let [one, two] = [&["main", "refs/pr/1"][..], &["main/x%20y"]].map(|names| {
        let names = names.iter().map(|&name| name.to_owned());
        names.collect::<Vec<String>>()
    });
    assert_eq!(refs, [("c1", &one[..]), ("c2", &two[..])]);
}

#[test]
fn copies_instead_of_links_count_one_by_one() {
    let tree = Tree::new();
    tree.file("datasets--n/snapshots/c/f", "12345")
        .file("datasets--n/snapshots/c/d/f", "12345")
        .link("datasets--n/snapshots/c/l", "d/f");
    let report = tree.scan();
    let repo = &report.repos[0];
    assert_eq!(repo.id.to_string(), "dataset/n");
    assert_eq!((repo.size, repo.blobs.len()), (10, 2));
    assert_eq!(repo.revisions[0].file_count, 3);
}

#[test]
fn what_lies_elsewhere_is_counted_once_in_the_total() {
    let tree = Tree::new();
    tree.file("models--a/blobs/x", "12345")
        .link("models--a/snapshots/c/f", "../../blobs/x")
        .link("models--b/snapshots/c/f", "../../../models--a/blobs/x")
        .link("models--c/snapshots/c/f", "../../../models--a/blobs/x")
        .link("models--c/snapshots/c/folder", "../../../models--a");
    let report = tree.scan();
    assert!(report.repos.iter().all(|repo| repo.size == 5));
    assert_eq!(report.repos[2].revisions[0].file_count, 1);
    assert_eq!(report.size, 5);
}

#[test]
fn an_empty_repository_takes_its_times_from_its_folder() {
    let tree = Tree::new();
    tree.folder("spaces--s/snapshots/c");
    let report = tree.scan();
    let repo = &report.repos[0];
    let own = fs::metadata(tree.path("spaces--s")).unwrap();
    let seconds = own
        .modified()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!((repo.modified - seconds).abs() < 1e-3);
    assert!((repo.revisions[0].modified - seconds).abs() < 10.0);
    assert_eq!((repo.size, repo.revisions[0].file_count), (0, 0));
}

#[test]
fn every_corruption() {
    let (path, kind) = {
        let tree = Tree::new();
        tree.file("stray", "x");
        tree.problem()
    };
    assert_eq!(
        (path.as_str(), "is not a folder"),
        ("stray", &*kind.to_string())
    );
    for (make, path, expected) in [
        (
            (|t| t.folder("plain")) as fn(&Tree) -> &Tree,
            "plain",
            "NotARepo",
        ),
        (
            |t| t.link("models--x", "nowhere"),
            "models--x",
            "NotAFolder",
        ),
        (
            |t| t.folder("things--x"),
            "things--x",
            "UnknownType(\"things\")",
        ),
        (
            |t| t.folder("models--x"),
            "models--x/snapshots",
            "NoSnapshots",
        ),
        (
            |t| t.file("models--x/snapshots", ""),
            "models--x/snapshots",
            "NoSnapshots",
        ),
        (
            |t| t.folder("models--x/snapshots").file("models--x/refs", ""),
            "models--x/refs",
            "RefsIsAFile",
        ),
        (
            |t| t.file("models--x/snapshots/f", ""),
            "models--x/snapshots/f",
            "FileInSnapshots",
        ),
        (
            |t| t.link("models--x/snapshots/c/f", "../../blobs/gone"),
            "models--x/blobs/gone",
            "BlobMissing",
        ),
        (
            |t| t.link("models--x/snapshots/c/f", "f"),
            "models--x/snapshots/c/f",
            "BlobMissing",
        ),
        (
            |t| {
                t.folder("models--x/snapshots/c")
                    .file("models--x/refs/main", "c\n")
            },
            "models--x",
            "RefToMissing([(\"main\", \"c\\n\")])",
        ),
        (
            |t| t.file("blobs/ab/x", "an unmarked store"),
            "blobs",
            "NotARepo",
        ),
    ] {
        let tree = Tree::new();
        make(&tree);
        let (found, kind) = tree.problem();
        assert_eq!(
            (found.as_str(), format!("{kind:?}").as_str()),
            (path, expected)
        );
    }
}

/// A store with one shared blob that two repositories use and one without users.
fn with_store() -> (Tree, String) {
    let (used, unused) = ("ab".repeat(32), "cd".repeat(32));
    let tree = Tree::new();
    tree.file("blobs/.huggingface-shared-blobs", "1\n")
        .file(&format!("blobs/ab/{used}"), "12345")
        .file(
            &format!("blobs/ab/{used}.refs"),
            "models--a/blobs/x\nmodels--b/blobs/x\nmodels--gone/blobs/x\n../evil\n",
        )
        .file(&format!("blobs/ab/{used}.lock"), "")
        .file(&format!("blobs/cd/{unused}"), "123")
        .file(&format!("blobs/cd/{unused}.refs"), "models--gone/blobs/x\n")
        .file("blobs/zz/not-a-shared-blob", "1234567");
    for repo in ["models--a", "models--b"] {
        tree.link(
            &format!("{repo}/blobs/x"),
            &format!("../../blobs/ab/{used}"),
        )
        .link(&format!("{repo}/snapshots/c/f"), "../../blobs/x");
    }
    (tree, used)
}

#[test]
fn a_shared_blob_belongs_to_every_repository_and_once_to_the_cache() {
    let (tree, used) = with_store();
    let report = tree.scan();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(report.repos.iter().all(|repo| repo.size == 5));
    assert_eq!(report.size, 8, "5 shared and 3 unused");
    let store = report.store.as_ref().unwrap();
    assert_eq!(store.shared_blobs[0].hash, used);
    assert!(
        report
            .repos
            .iter()
            .all(|repo| repo.blobs[0].shared == Some(0))
    );
    let root = Dir::open(&report.root).unwrap();
    let users = |index: usize| shared::users(&root, &report.root, &store.shared_blobs[index]);
    assert_eq!(
        users(0).unwrap(),
        [
            Path::new("models--a/blobs/x"),
            Path::new("models--b/blobs/x")
        ]
    );
    assert_eq!(users(1).unwrap(), Vec::<PathBuf>::new());
    fs::remove_file(tree.path(&format!("blobs/ab/{used}.refs"))).unwrap();
    assert_eq!(users(0), None, "without a manifest it is unknown");
}

#[test]
fn an_unmarked_store_is_a_problem_and_its_files_count_as_any_other() {
    let (tree, _) = with_store();
    fs::remove_file(tree.path("blobs/.huggingface-shared-blobs")).unwrap();
    let report = tree.scan();
    assert_eq!(report.problems.len(), 1);
    assert!(report.store.is_none());
    assert_eq!(report.repos.len(), 2);
}

#[test]
fn two_threads_find_what_one_finds() {
    let tree = Tree::new();
    for number in 0..WORTH_A_THREAD * 2 {
        let repo = format!("models--o--n{number}");
        tree.file(&format!("{repo}/blobs/a"), &"x".repeat(number))
            .link(&format!("{repo}/snapshots/c/f"), "../../blobs/a")
            .file(&format!("{repo}/refs/main"), "c");
    }
    let report = tree.scan();
    let sizes: u64 = (0..WORTH_A_THREAD as u64 * 2).sum();
    assert_eq!(report.repos.len(), WORTH_A_THREAD * 2);
    assert_eq!(report.size, sizes);
    assert!(report.repos.is_sorted_by(|a, b| a.folder < b.folder));
}

#[test]
fn a_root_that_is_none() {
    let tree = Tree::new();
    tree.file("f", "");
    assert!(matches!(
        scan(&tree.path("none"), Detail::Totals),
        Err(ScanError::NotFound(_))
    ));
    assert!(matches!(
        scan(&tree.path("f"), Detail::Totals),
        Err(ScanError::NotAFolder(_))
    ));
}
