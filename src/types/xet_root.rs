//! The hashes of Xet storage: of a chunk, and the root over the chunks of a content
//! (docs/reference.md#xet-storage).

/// Hash of a chunk.
pub type ChunkHash = [u8; 32];

/// The keys of BLAKE3 that tell hashes of chunks from those of nodes.
const CHUNK_KEY: [u8; 32] = [
    0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb, 0xac, 0xa5, 0x97, 0x18, 0x1c,
    0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb, 0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29,
];
const NODE_KEY: [u8; 32] = [
    0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66, 0x66, 0xb4, 0x8a, 0x02, 0xe6,
    0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7, 0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f,
];

/// Most children of a node. All but the last of a level have at least three.
const MOST_CHILDREN: usize = 9;

/// A hash, and the bytes of content below it.
type Node = (ChunkHash, u64);

/// The hash of one chunk.
pub fn chunk_hash(bytes: &[u8]) -> ChunkHash {
    *blake3::keyed_hash(&CHUNK_KEY, bytes).as_bytes()
}

/// The Xet hash of a content, in hex digits: of its chunks in order, each with its length in bytes.
pub fn xet_hash(chunks: impl IntoIterator<Item = (ChunkHash, u64)>) -> String {
    let mut level: Vec<Node> = chunks.into_iter().collect();
    if level.is_empty() {
        return "0".repeat(64);
    }
    while level.len() > 1 {
        let (mut parents, mut rest) = (Vec::with_capacity(level.len() / 3 + 1), &level[..]);
        while !rest.is_empty() {
            let (children, others) = rest.split_at(children(rest));
            parents.push(parent(children));
            rest = others;
        }
        level = parents;
    }
    let root = blake3::keyed_hash(&[0; 32], &level[0].0);
    let mut digits = String::with_capacity(64);
    write_digits(&mut digits, root.as_bytes());
    digits
}

/// How many of these nodes have one parent: up to the first, from the third on, whose hash says so.
fn children(nodes: &[Node]) -> usize {
    let longest = nodes.len().min(MOST_CHILDREN);
    let is_last = |(hash, _): &Node| hash[24] % 4 == 0;
    let rest = nodes.get(2..longest).unwrap_or_default();
    rest.iter()
        .position(is_last)
        .map_or(longest, |index| index + 3)
}

/// The node above: the hash of a text that names its children.
fn parent(children: &[Node]) -> Node {
    let (mut text, mut length) = (String::with_capacity(MOST_CHILDREN * 88), 0);
    for (hash, bytes) in children {
        write_digits(&mut text, hash);
        text.push_str(" : ");
        text.push_str(&bytes.to_string());
        text.push('\n');
        length += bytes;
    }
    let hash = blake3::keyed_hash(&NODE_KEY, text.as_bytes());
    (*hash.as_bytes(), length)
}

/// A hash as Xet storage writes it: four numbers of eight bytes, each little endian.
fn write_digits(text: &mut String, hash: &ChunkHash) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for number in hash.as_chunks::<8>().0 {
        for byte in number.iter().rev() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use xet_core_structures::merklehash::{MerkleHash, compute_data_hash, file_hash};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_library() {
        let mut random = fastrand::Rng::with_seed(1);
        for count in (0..40).chain([100, 1000, 4097]) {
            let chunk = |_| {
                let mut bytes = [0; 100];
                random.fill(&mut bytes);
                assert_eq!(
                    chunk_hash(&bytes),
                    <[u8; 32]>::from(compute_data_hash(&bytes))
                );
                (chunk_hash(&bytes), {
                    let bits = random.u32(0..40);
                    random.u64(..=1 << bits)
                })
            };
            let chunks: Vec<_> = (0..count).map(chunk).collect();
            let expected = chunks
                .iter()
                .map(|&(hash, length)| (MerkleHash::from(hash), length));
            let expected = file_hash(&expected.collect::<Vec<_>>());
            assert_eq!(xet_hash(chunks), expected.hex(), "{count} chunks");
        }
    }

    #[test]
    fn nodes_with_and_without_an_end() {
        for digit in 0..=255_u8 {
            let chunks = vec![([digit; 32], 7); 30];
            let expected: Vec<_> = chunks
                .iter()
                .map(|c| (MerkleHash::from(c.0), c.1))
                .collect();
            assert_eq!(xet_hash(chunks), file_hash(&expected).hex(), "{digit}");
        }
    }
}
