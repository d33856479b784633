//! Files on the disk that another program may have written are read without a panic, a hang or trust in what
//! they say: each parser is given thousands of files, whole, damaged and made up.
//!
//! `PROPTEST_CASES=100000 cargo test --test it -- foreign_bytes` tries more.

use std::fs;
use std::path::Path;

use hf_cli::testing::Dir;
use hf_cli::testing::Env;
use hf_cli::testing::LocalDir;
use hf_cli::testing::read_ref;
use hf_cli::testing::{CacheLayout, PartialName, parse_repo_folder_name};
use hf_cli::testing::{shared, trees};
use hf_cli::types::{CacheId, Repo, RepoType, Revision};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Cases for each parser.
const CASES: u32 = 1000;

/// A change by damage, a crash or another program.
#[derive(Clone, Debug)]
enum Edit {
    Cut(usize),
    Insert(usize, Vec<u8>),
    Replace(usize, u8),
    Repeat(usize, usize),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |position: usize, bytes: &[u8]| position % (bytes.len() + 1);
        match self {
            Edit::Cut(position) => bytes.truncate(at(*position, bytes)),
            Edit::Insert(position, more) => {
                let at = at(*position, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Replace(position, byte) => {
                let at = at(*position, bytes);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Edit::Repeat(from, length) => {
                let from = at(*from, bytes);
                let end = bytes.len().min(from + length % 64);
                let piece = bytes[from..end].to_vec();
                bytes.splice(from..from, piece);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8),
        Just(b"\0".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"../".to_vec()),
        Just(b"9".repeat(40)),
        Just(b"[[[[[[[[".to_vec()),
        Just("\u{202e}\u{feff}é".as_bytes().to_vec()),
        Just(b"1e999 NaN -0 inf".to_vec()),
    ];
    prop_oneof![
        any::<usize>().prop_map(Edit::Cut),
        (any::<usize>(), piece).prop_map(|(at, more)| Edit::Insert(at, more)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ]
}

/// The bytes of a file: right ones, damaged ones, or any.
fn bytes(right: &str) -> BoxedStrategy<Vec<u8>> {
    let right = right.as_bytes().to_vec();
    let damaged = proptest::collection::vec(edit(), 0..6).prop_map(move |edits| {
        let mut bytes = right.clone();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    });
    let any = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![4 => damaged, 1 => any].boxed()
}

/// Gives a parser its files, written at one path.
fn read_all(path: &Path, right: &str, parse: impl Fn() -> Result<(), TestCaseError>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let cases = Config::default().cases.max(CASES);
    // The failing bytes are in the message: no file of them is kept.
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&bytes(right), |bytes| {
        fs::write(path, bytes).unwrap();
        parse()
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn repo() -> Repo {
    Repo {
        repo_type: RepoType::Model,
        id: "o/m".parse().unwrap(),
    }
}

#[test]
fn refs() {
    let folder = tempfile::tempdir().unwrap();
    let layout = CacheLayout::new(folder.path()).repo(&repo());
    let revision: Revision = "main".parse().unwrap();
    let path = layout.reference(&revision);
    read_all(&path, &"0123456789".repeat(4), || {
        if let Some(commit) = read_ref(&layout, &revision) {
            prop_assert_eq!(commit.as_str().len(), 40);
            prop_assert!(commit.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        Ok(())
    });
}

#[test]
fn listings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trees/x.json");
    let (sha1, sha256) = ("a".repeat(40), "b".repeat(64));
    let right = format!(
        "{{\"format_version\": 1, \"files\": {{\
         \"d/a.bin\": {{\"size\": 7, \"blob_id\": \"{sha1}\", \"lfs_sha256\": \"{sha256}\", \
         \"lfs_size\": 7, \"xet_hash\": \"{sha256}\"}}, \
         \"b.txt\": {{\"size\": 18446744073709551615, \"blob_id\": \"{sha1}\"}}}}}}"
    );
    let again = folder.path().join("again.json");
    read_all(&path, &right, || {
        let Some(listing) = trees::read(&path) else {
            return Ok(());
        };
        for name in listing.keys() {
            let parts = Path::new(name.as_str()).components();
            let is_inside = |part| matches!(part, std::path::Component::Normal(_));
            prop_assert!(parts.into_iter().all(is_inside), "{}", name);
        }
        let _ = fs::remove_file(&again);
        trees::write(&again, &listing).unwrap();
        if again.exists() {
            prop_assert_eq!(trees::read(&again), Some(listing));
        }
        Ok(())
    });
}

#[test]
fn metadata_of_a_local_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = LocalDir::new(folder.path().into());
    fs::write(folder.path().join("f"), "x").unwrap();
    let note = folder.path().join(".cache/huggingface/download/f.metadata");
    let (commit, etag) = ("c".repeat(40), "a".repeat(40));
    let right = format!("{commit}\n{etag}\n99999999999.25\n");
    read_all(&note, &right, || {
        if let Some(metadata) = dir.metadata(&"f".parse().unwrap()) {
            prop_assert!(metadata.timestamp.is_finite());
            prop_assert!(!metadata.etag.contains('\n') && !metadata.commit.contains('\n'));
        }
        Ok(())
    });
}

#[test]
fn variables_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("env");
    let right = "# comment\nexport A=1\nB='two # 2' # c\nC=\"${A} $B \\n\"\nD=${C:-x}$\nE=\n";
    read_all(&path, right, || {
        let env = Env::from_pairs("/home/u", [("A", "outer")]);
        if let Ok(env) = env.with_file(&path) {
            prop_assert_eq!(env.get("A"), Some("outer".to_owned()));
            prop_assert!(env.get("C").is_none_or(|value| value.len() <= 1 << 20));
        }
        Ok(())
    });
}

#[test]
fn users_of_a_payload() {
    let folder = tempfile::tempdir().unwrap();
    let shared_blob = shared::SharedBlob {
        hash: "ab".repeat(32),
        size: 1,
    };
    let manifest = folder
        .path()
        .join(shared::manifest_of(&shared_blob.place()));
    let right = "models--o--m/blobs/aaaa\ndatasets--d/blobs/b\nmodels--x/blobs/c\n";
    let root = Dir::open(folder.path()).unwrap();
    read_all(&manifest, right, || {
        // There is no link, so no line is true. A user that cannot be read counts as one.
        let users = shared::users(&root, folder.path(), &shared_blob);
        prop_assert!(users.is_none_or(|users| users.is_empty()));
        Ok(())
    });
}

#[test]
fn names_in_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let right = "models--org--name";
    let path = folder.path().join("name");
    read_all(&path, right, || {
        let name = fs::read(&path).unwrap();
        if let Ok(text) = std::str::from_utf8(&name)
            && let Some(CacheId { id, .. }) = parse_repo_folder_name(text)
        {
            prop_assert!(!id.contains("--"), "{}", text);
        }
        if let Some(PartialName { etag, .. }) = PartialName::parse(&name) {
            prop_assert!(etag.len() < name.len());
        }
        Ok(())
    });
}
