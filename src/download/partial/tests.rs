#![expect(
    clippy::single_range_in_vec_init,
    reason = "one range is often all that is missing"
)]

use super::flush::FLUSH;
use super::*;
use crate::sys::boot;
use crate::types::xet_hash::chunk_hash;

// `printf 'hello world' | sha256sum`
const SHA256: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

const BOOT: Option<[u8; 16]> = Some([1; 16]);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("x.hf-sparse")
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("x.hf-journal")
    }

    fn open_at(&self, checksum: &str, size: Option<u64>, boot: Option<[u8; 16]>) -> Arc<Partial> {
        let checksum = Checksum::from_etag(checksum).unwrap();
        Arc::new(Partial::open_in(&self.path(), &checksum, size, None, boot).unwrap())
    }

    fn open(&self) -> Arc<Partial> {
        self.open_at(SHA256, Some(11), BOOT)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn write(partial: &Arc<Partial>, offset: u64, bytes: &[u8]) {
    partial.write_at(offset, bytes).unwrap();
    partial.note(offset..offset + bytes.len() as u64).unwrap();
}

fn missing(partial: &Partial) -> Vec<Range<u64>> {
    partial.missing().iter().collect()
}

async fn is_proven(partial: &Arc<Partial>) -> bool {
    let follower = Follower::start(partial);
    prove(partial, follower).await.unwrap()
}

/// Bytes that compress badly and differ everywhere.
fn bytes(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4))
        .flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

#[tokio::test]
async fn a_second_process_goes_on_where_the_first_stopped() {
    let folder = Folder::new();
    let first = folder.open();
    write(&first, 6, b"world");
    write(&first, 0, b"he");
    drop(first);
    assert_eq!(folder.names(), ["x.hf-journal", "x.hf-sparse"]);
    let checksum = Checksum::from_etag(SHA256).unwrap();
    assert_eq!(
        kept_bytes(&folder.path(), &checksum, Some(11)),
        0,
        "not of the boot of this machine"
    );
    let second = folder.open();
    assert_eq!((missing(&second), second.present()), (vec![2..6], 7));
    write(&second, 2, b"llo ");
    assert!(is_proven(&second).await);
    second.published();
    assert_eq!(
        folder.names(),
        ["x.hf-sparse"],
        "which would be renamed by now"
    );
}

#[tokio::test]
async fn a_small_content_has_no_journal_and_is_hashed_as_it_comes() {
    let folder = Folder::new();
    let partial = folder.open();
    write(&partial, 0, b"hello ");
    write(&partial, 6, b"world");
    assert_eq!(folder.names(), ["x.hf-sparse"]);
    // The hash is that of what was written, before anything is read.
    fs::write(folder.path(), "").unwrap();
    assert!(is_proven(&partial).await);
}

#[test]
fn what_no_journal_speaks_of_is_cut_off() {
    let folder = Folder::new();
    fs::write(folder.path(), [7; 20]).unwrap();
    let partial = folder.open();
    write(&partial, 0, b"hello world");
    assert_eq!(fs::read(folder.path()).unwrap(), b"hello world");
}

#[tokio::test]
async fn wrong_bytes_are_not_proven() {
    let folder = Folder::new();
    for pieces in [&[(0, "hellO world")][..], &[(6, "world"), (0, "hellO ")]] {
        let partial = folder.open();
        for (offset, piece) in pieces {
            write(&partial, *offset, piece.as_bytes());
        }
        assert!(!is_proven(&partial).await);
        partial.restart().unwrap();
        write(&partial, 6, b"world");
        write(&partial, 0, b"hello ");
        assert!(is_proven(&partial).await, "out of order");
        partial.discard();
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[tokio::test]
async fn the_length_need_not_be_known_beforehand() {
    // `printf 'hello world' | git hash-object --stdin`
    for etag in [SHA256, "95d09f2b10159347eece71399a7e2e907ea3df4f"] {
        let folder = Folder::new();
        let partial = folder.open_at(etag, None, BOOT);
        write(&partial, 0, b"hello");
        assert_eq!(missing(&partial), [5..u64::MAX]);
        partial.ends_at(5);
        assert!(!is_proven(&partial).await);
        partial.restart().unwrap();
        write(&partial, 0, b"hello world");
        partial.ends_at(11);
        assert!(is_proven(&partial).await);
    }
}

#[test]
fn nothing_counts_without_a_journal_of_this_content() {
    let folder = Folder::new();
    fs::write(folder.path(), "hello world").unwrap();
    assert_eq!(folder.open().present(), 0);
    let partial = folder.open();
    write(&partial, 0, b"hello");
    drop(partial);
    let other = "0".repeat(64);
    assert_eq!(folder.open_at(&other, Some(11), BOOT).present(), 0);
    assert_eq!(folder.names(), [""; 0], "of which nothing is there");
}

#[test]
fn what_is_cut_off_behind_our_back_is_missing() {
    let folder = Folder::new();
    let partial = folder.open();
    write(&partial, 0, b"hello world");
    drop(partial);
    let file = File::options().write(true).open(folder.path()).unwrap();
    file.set_len(4).unwrap();
    assert_eq!(missing(&folder.open()), [4..11]);
}

#[test]
fn a_killed_process_loses_a_batch_at_most() {
    let folder = Folder::new();
    let size = 10 * BATCH;
    let piece = bytes(300_000);
    let partial = folder.open_at(SHA256, Some(size), BOOT);
    for at in 0..10 {
        write(&partial, at * 300_000, &piece);
    }
    // A killed process writes nothing on its way out.
    std::mem::forget(partial);
    let present = folder.open_at(SHA256, Some(size), BOOT).present();
    assert!(
        present > 3_000_000 - BATCH && present <= 3_000_000,
        "{present}"
    );
}

#[test]
fn after_a_power_cut_only_what_was_flushed_counts() {
    let folder = Folder::new();
    let size = 10 * BATCH;
    let partial = folder.open_at(SHA256, Some(size), BOOT);
    write(&partial, 0, &bytes(BATCH as usize));
    Arc::clone(&partial).flush();
    write(&partial, BATCH, &bytes(BATCH as usize));
    drop(partial);
    let other = Some([2; 16]);
    let after = folder.open_at(SHA256, Some(size), other);
    assert_eq!(missing(&after), [BATCH..size]);
    drop(after);
    // It was on the disk, and still is after another one.
    let again = folder.open_at(SHA256, Some(size), Some([3; 16]));
    assert_eq!(missing(&again), [BATCH..size]);
    drop(again);
    assert_eq!(folder.open_at(SHA256, Some(size), None).present(), BATCH);
}

#[test]
fn a_long_download_is_flushed_on_its_way() {
    let folder = Folder::new();
    let size = 4 * FLUSH;
    let partial = folder.open_at(SHA256, Some(size), BOOT);
    partial.write_at(FLUSH, b"x").unwrap();
    partial.note(0..FLUSH + 1).unwrap();
    // The thread holds the partial until it is done.
    while Arc::strong_count(&partial) > 1 {
        std::thread::yield_now();
    }
    std::mem::forget(partial);
    let after = folder.open_at(SHA256, Some(size), Some([2; 16]));
    assert_eq!(missing(&after), [FLUSH + 1..size]);
}

#[tokio::test]
async fn the_hash_follows_what_comes_in_any_order() {
    let folder = Folder::new();
    let content = bytes(5_000_000);
    let partial = folder.open_at(&sha256(&content), Some(5_000_000), BOOT);
    let follower = Follower::start(&partial);
    assert!(follower.is_some());
    for at in [3_000_000, 0, 2_000_000, 4_000_000, 1_000_000] {
        write(&partial, at, &content[at as usize..at as usize + 1_000_000]);
    }
    assert!(prove(&partial, follower).await.unwrap());
    // The same again with one wrong byte, which was written after the right ones were hashed.
    partial.restart().unwrap();
    let follower = Follower::start(&partial);
    let mut wrong = content.clone();
    wrong[4_999_999] ^= 1;
    write(&partial, 0, &wrong);
    assert!(!prove(&partial, follower).await.unwrap());
}

#[tokio::test]
async fn the_hash_takes_from_memory_what_comes_in_order() {
    let folder = Folder::new();
    let content = Bytes::from(bytes(9_000_000));
    let partial = folder.open_at(&sha256(&content), Some(9_000_000), BOOT);
    for is_changed in [false, true] {
        partial.restart().unwrap();
        let follower = Follower::start(&partial);
        for at in (0..9_000_000).step_by(100_000) {
            let piece = content.slice(at..at + 100_000);
            let piece = match is_changed && at == 5_000_000 {
                true => vec![0; 100_000].into(),
                false => piece,
            };
            partial.write_and_note(at as u64, piece).unwrap();
        }
        assert_eq!(prove(&partial, follower).await.unwrap(), !is_changed);
    }
    assert_eq!(partial.state().recent.first(), None, "none is kept");
}

/// A server that begins again may send other bytes than before, which the disk then has.
#[tokio::test]
async fn what_is_written_again_is_hashed_again() {
    let content = Bytes::from(bytes(4_000_000));
    for at in [0, 3_999_999] {
        let folder = Folder::new();
        let partial = folder.open_at(&sha256(&content), Some(4_000_000), BOOT);
        let follower = Follower::start(&partial);
        partial
            .write_and_note(0, content.slice(..2_000_000))
            .unwrap();
        while partial.state().recent.first().is_some() {
            std::thread::yield_now();
        }
        if at > 2_000_000 {
            partial
                .write_and_note(2_000_000, content.slice(2_000_000..))
                .unwrap();
            while Arc::strong_count(&partial) > 2 {
                // The follower has its answer, which the disk then contradicts.
                std::thread::yield_now();
            }
        }
        partial.write_and_note(at, content.slice(7..8)).unwrap();
        partial
            .write_and_note(2_000_000, content.slice(2_000_000..3_999_999))
            .unwrap();
        if at == 0 {
            partial
                .write_and_note(3_999_999, content.slice(3_999_999..))
                .unwrap();
        }
        assert_ne!(content[7], content[at as usize]);
        assert!(!prove(&partial, follower).await.unwrap(), "{at}");
    }
}

#[tokio::test]
async fn a_restart_takes_its_follower_along() {
    let folder = Folder::new();
    let content = bytes(3_000_000);
    let partial = folder.open_at(&sha256(&content), Some(3_000_000), BOOT);
    let follower = Follower::start(&partial);
    write(&partial, 0, &vec![0; 2_000_000]);
    partial.restart().unwrap();
    write(&partial, 0, &content);
    assert!(prove(&partial, follower).await.unwrap());
    let idle = Follower::start(&partial);
    drop(idle);
    while Arc::strong_count(&partial) > 1 {
        std::thread::yield_now();
    }
}

fn chunks(content: &[u8]) -> Vec<Chunk> {
    let pieces = content.chunks(70_000);
    let chunk = |piece: &[u8]| Chunk {
        length: u32::try_from(piece.len()).unwrap(),
        hash: chunk_hash(piece),
    };
    pieces.map(chunk).collect()
}

#[test]
fn chunks_are_believed_as_they_were_left_and_hashed_otherwise() {
    let content = bytes(3_000_000);
    let all = chunks(&content);
    let fill = |folder: &Folder| {
        let partial = folder.open_at(SHA256, Some(3_000_000), BOOT);
        // The second half first.
        let middle = 20 * 70_000;
        partial.write_at(0, &content).unwrap();
        partial.note_chunks(middle, &all[20..]).unwrap();
        assert_eq!(partial.chunks().unwrap(), None);
        partial.note_chunks(0, &all[..20]).unwrap();
        assert_eq!(partial.chunks().unwrap().as_ref(), Some(&all));
        partial
    };
    let again = |folder: &Folder| folder.open_at(SHA256, Some(3_000_000), BOOT);

    let folder = Folder::new();
    drop(fill(&folder));
    assert_eq!(again(&folder).chunks().unwrap().as_ref(), Some(&all));

    // Changed by another program: the wrong chunk is missing, the others are there.
    let folder = Folder::new();
    drop(fill(&folder));
    let file = File::options().write(true).open(folder.path()).unwrap();
    write_all_at(&file, &[content[75_000] ^ 1], 75_000).unwrap();
    drop(file);
    let partial = again(&folder);
    assert_eq!(missing(&partial), [70_000..140_000]);
    assert_eq!(partial.chunks().unwrap(), None);
    partial.write_at(70_000, &content[70_000..140_000]).unwrap();
    partial.note_chunks(70_000, &all[1..2]).unwrap();
    assert_eq!(partial.chunks().unwrap().as_ref(), Some(&all));

    // Killed: nothing says how the file was left.
    let folder = Folder::new();
    std::mem::forget(fill(&folder));
    let file = File::options().write(true).open(folder.path()).unwrap();
    write_all_at(&file, &[content[75_000] ^ 1], 75_000).unwrap();
    assert!(missing(&again(&folder)).contains(&(70_000..140_000)));
}

#[test]
fn bytes_without_a_chunk_leave_the_proof_to_the_whole() {
    let folder = Folder::new();
    let content = bytes(200_000);
    let all = chunks(&content);
    let partial = folder.open_at(SHA256, Some(200_000), BOOT);
    write(&partial, 0, &content[..70_000]);
    partial.note_chunks(70_000, &all[1..]).unwrap();
    assert_eq!(
        (missing(&partial), partial.chunks().unwrap()),
        (vec![], None)
    );
}

#[test]
fn another_name_of_the_file_keeps_its_content() {
    let folder = Folder::new();
    let partial = folder.open();
    write(&partial, 0, b"hello");
    drop(partial);
    let copy = |name: &str| folder.0.path().join(name);
    fs::hard_link(folder.path(), copy("copy")).unwrap();
    fs::hard_link(folder.journal(), copy("copy-journal")).unwrap();
    let journal = fs::read(folder.journal()).unwrap();
    let partial = folder.open();
    assert_eq!(partial.present(), 0);
    write(&partial, 0, b"other");
    drop(partial);
    assert_eq!(fs::read(copy("copy")).unwrap(), b"hello");
    assert_eq!(fs::read(copy("copy-journal")).unwrap(), journal);
}

#[tokio::test]
async fn the_start_of_a_content_is_taken_up() {
    let folder = Folder::new();
    let prefix = folder.0.path().join("x.hf-part");
    fs::write(&prefix, "hello").unwrap();
    let checksum = Checksum::from_etag(SHA256).unwrap();
    adopt_prefix(&prefix, &folder.path(), &checksum, Some(11)).unwrap();
    assert_eq!(
        kept_bytes(&folder.path(), &checksum, Some(11)),
        if boot().is_some() { 5 } else { 0 }
    );
    assert_eq!(folder.names(), ["x.hf-journal", "x.hf-sparse"]);
    let partial = folder.open_at(SHA256, Some(11), boot());
    if boot().is_some() {
        assert_eq!(missing(&partial), [5..11]);
        write(&partial, 5, b" world");
        assert!(is_proven(&partial).await);
    }
}

#[test]
fn a_partial_of_one_process_goes_with_it() {
    let folder = Folder::new();
    let checksum = Checksum::from_etag(SHA256).unwrap();
    let claim = Arc::new(Claim::Own(None));
    let partial = Partial::open(&folder.path(), &checksum, Some(11), claim).unwrap();
    write(&partial, 0, b"hello");
    let thread = Arc::clone(&partial);
    partial.close();
    assert_eq!(folder.names(), [""; 0]);
    // A thread that still writes does not make it again.
    let _ = thread.note(5..6);
    drop((partial, thread));
    assert_eq!(folder.names(), [""; 0]);
}
