use super::*;

fn paths(names: &[&str]) -> Vec<RepoPath> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A million files are in memory twice: as a listing and as a plan.
#[test]
fn a_file_takes_little_memory() {
    assert!(size_of::<(RepoPath, FileEntry)>() <= 136);
    assert!(size_of::<Checksum>() <= 40);
}

/// In any order, and with any file again, as a map would have it.
#[test]
fn files_come_in_any_order() {
    let mut random = fastrand::Rng::with_seed(7);
    for span in [3, 50, 4000, 1 << 20] {
        let (mut built, mut map) = (ListingBuilder::new(), BTreeMap::new());
        for step in 0..6000_u64 {
            // Mostly ascending, as a server sends it, and then at random.
            let number = match step {
                ..1000 => step.min(span),
                _ => random.u64(..span),
            };
            let path: RepoPath = format!("d/{number:08}").parse().unwrap();
            let before = map.insert(path.clone(), FileEntry::in_git(step));
            assert_eq!(built.add_path(path, FileEntry::in_git(step)), before);
            assert_eq!(built.len(), map.len());
        }
        let listing = built.finish();
        assert!(map.iter().eq(&listing));
        for (path, entry) in &map {
            assert_eq!(&listing[path], entry);
        }
        assert!(!listing.contains_key("d/") && !listing.contains_key("e"));
    }
}

#[test]
fn files_that_are_folders_too() {
    let entry = FileEntry::in_git(1);
    for (names, expected) in [
        (&["a", "b/c", "b/d/e", "b/d-e"][..], None),
        (&["a", "a-b", "a.b", "a/b"], Some(("a", "a/b"))),
        (
            &["x/y", "x/y-", "x/y/z/1", "x/y/z/2"],
            Some(("x/y", "x/y/z/1")),
        ),
        (&["x/yy", "x/y/z"], None),
    ] {
        let listing: Listing = paths(names)
            .into_iter()
            .map(|path| (path, entry.clone()))
            .collect();
        let found = file_and_folder(&listing);
        let found = found.map(|(file, below)| (file.as_str(), below.as_str()));
        assert_eq!(found, expected, "{names:?}");
    }
}

#[test]
fn names_that_cannot_be_stored_are_kept_apart() {
    let mut listing = ListingBuilder::new();
    for (size, name) in ["b", "../x", "a", "b/../c", "z\0"].into_iter().enumerate() {
        assert_eq!(listing.add(name, FileEntry::in_git(size as u64)), None);
    }
    assert_eq!(
        listing.add("../x", FileEntry::in_git(9)),
        Some(FileEntry::in_git(1))
    );
    let listing = listing.finish();
    let stored: Vec<&str> = listing.keys().map(RepoPath::as_str).collect();
    assert_eq!(stored, ["a", "b"]);
    let all: Vec<&str> = listing.everything().map(|(name, _)| name).collect();
    assert_eq!(all, ["../x", "a", "b", "b/../c", "z\0"]);
}

#[test]
fn names_that_differ_by_case() {
    for (names, expected) in [
        (&["A.txt", "a.txt"][..], true),
        (&["d/A", "D/a"], true),
        (&["É", "é"], true),
        (&["a", "b", "a/b", "ab"], false),
    ] {
        let paths = paths(names);
        assert_eq!(
            case_collision(paths.iter()).is_some(),
            expected,
            "{names:?}"
        );
    }
}

#[test]
fn etags() {
    let (sha1, sha256) = ("a".repeat(40), "0".repeat(64));
    assert_eq!(
        Checksum::from_etag(&sha1),
        Some(Checksum::GitSha1([0xaa; 20].into()))
    );
    assert_eq!(
        Checksum::from_etag(&sha256),
        Some(Checksum::Sha256([0; 32].into()))
    );
    for (etag, is_unknown) in [
        (sha1.as_str(), false),
        (&sha256, false),
        ("d41d8-3", true),
        (&"A".repeat(64), true),
        (&"g".repeat(40), true),
    ] {
        let checksum = Checksum::from_etag(etag).unwrap();
        assert_eq!(
            (&*checksum.etag(), checksum.is_unknown()),
            (etag, is_unknown)
        );
    }
    for bad in ["", "..", "a/b", ".x", "a b", "\u{e9}"] {
        assert_eq!(Checksum::from_etag(bad), None, "{bad}");
    }
}
