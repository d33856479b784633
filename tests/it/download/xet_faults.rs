//! Xet storage that answers wrongly, late or not at all: nothing wrong is published, and HTTP does what it does not.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::{Value, json};

use super::xet::{SIZE, arrived, asked_for_tokens, noise, over_http, storage, warned_once};
use crate::harness::TestEnv;
use crate::harness::cas::Cas;
use crate::harness::faulty_cas::{Asked, Fate, FaultyCas, Kind};
use crate::harness::hub::{Content, Fault, Hub, Repo, XET_TOKEN};
use crate::harness::partial::plant;

/// A Hub whose storage has this fault.
fn faulty(
    fault: impl Fn(&Asked, &mut Vec<u8>) -> Fate + Send + Sync + 'static,
) -> (Cas, FaultyCas, Hub) {
    let (cas, hub) = storage();
    let faulty = FaultyCas::before(cas.endpoint(), fault);
    hub.xet(Some(faulty.endpoint()));
    (cas, faulty, hub)
}

/// Changes a plan.
fn replan(body: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut plan: Value = serde_json::from_slice(body).expect("a plan");
    change(&mut plan);
    *body = serde_json::to_vec(&plan).expect("JSON");
}

/// All files come from the storage in spite of a fault, and without a warning.
#[track_caller]
fn arrives_all_the_same(hub: &Hub) -> String {
    let env = TestEnv::for_hub(hub).fast_clock();
    // One file after the other: a fault that counts requests is the same each time.
    let one_by_one = ["download", "org/name", "--max-workers", "1"];
    let output = env.run(one_by_one).ok();
    arrived(&env, hub);
    assert_eq!(over_http(hub), 0, "{output}\n{}", hub.log_text());
    assert!(!output.stderr().contains("over HTTP"), "{output}");
    assert!(!output.to_string().contains(XET_TOKEN), "{output}");
    output.stderr().to_owned()
}

/// `big.bin` comes over HTTP, with one warning.
#[track_caller]
fn http_takes_over(hub: &Hub, words: &str) {
    let env = TestEnv::for_hub(hub).fast_clock();
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, hub);
    warned_once(&output, words);
    assert!(over_http(hub) > 0, "{output}\n{}", hub.log_text());
}

#[test]
fn each_signed_range_is_asked_for_once_and_without_a_token() {
    let (_cas, faulty, hub) = faulty(|_, _| Fate::Send);
    hub.user("alice").token("hf_alice", "read", "laptop");
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_TOKEN", "hf_alice");
    env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    let asked = faulty.asked();
    let mut ranges: Vec<_> = Vec::new();
    for request in &asked {
        assert!(!request.head.contains("hf_alice"), "{request:?}");
        let token = request.authorization.as_deref();
        match request.kind {
            Kind::Plan => assert_eq!(token, Some(format!("Bearer {XET_TOKEN}").as_str())),
            Kind::Range => {
                assert_eq!(token, None, "{request:?}");
                ranges.push((&request.target, &request.range));
            }
            Kind::Other => panic!("{request:?}"),
        }
    }
    assert_eq!(faulty.count(Kind::Plan), 2, "a plan for each file");
    let count = ranges.len();
    ranges.sort();
    ranges.dedup();
    assert_eq!(ranges.len(), count, "{ranges:?}");
    assert!(count >= 2 * SIZE / (256 << 10), "{count}");
}

#[test]
fn a_link_to_the_hub_itself_is_followed_without_a_token() {
    let (cas, hub) = storage();
    let base = hub.endpoint();
    let faulty = FaultyCas::before(cas.endpoint(), move |asked, body| {
        if asked.kind == Kind::Plan {
            replan(body, |plan| {
                let links = plan["xorbs"].as_object_mut().unwrap().values_mut();
                for link in links.flat_map(|links| links.as_array_mut().unwrap()) {
                    link["url"] = json!(format!("{base}/stolen"));
                }
            });
        }
        Fate::Send
    });
    hub.xet(Some(faulty.endpoint()));
    hub.user("alice").token("hf_alice", "read", "laptop");
    let mut env = TestEnv::for_hub(&hub).fast_clock();
    env.set("HF_TOKEN", "hf_alice");
    let output = env.run(["download", "org/name"]).ok();
    arrived(&env, &hub);
    warned_once(&output, "Xet storage cannot be used");
    let asked = hub.requests().into_iter();
    let asked: Vec<_> = asked.filter(|r| r.path.contains("/stolen")).collect();
    assert!(!asked.is_empty(), "{}", hub.log_text());
    assert!(
        asked.iter().all(|r| r.authorization.is_none()),
        "{}",
        hub.log_text()
    );
}

#[test]
fn a_wrong_byte_is_seen_by_the_root() {
    let (_cas, _faulty, hub) = faulty(|asked, body| {
        if asked.kind == Kind::Range && asked.index == 2 {
            body[1000] ^= 1;
        }
        Fate::Send
    });
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name", "big.bin"]).ok();
    warned_once(&output, "wrong bytes for big.bin");
    let content = hub.repo("models/org/name").entry("big.bin").content;
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content.to_bytes());
    assert_eq!(over_http(&hub), SIZE as u64);
}

#[test]
fn links_that_expire_midway_are_replaced() {
    // Links work for so many ranges; then a plan has to be asked for.
    let uses = AtomicUsize::new(0);
    let (_cas, faulty, hub) = faulty(move |asked, _| match asked.kind {
        Kind::Plan => {
            uses.store(0, SeqCst);
            Fate::Send
        }
        _ if uses.fetch_add(1, SeqCst) >= 5 => Fate::Status(403),
        _ => Fate::Send,
    });
    let stderr = arrives_all_the_same(&hub);
    assert!(stderr.contains("its links have expired"), "{stderr}");
    assert!(faulty.count(Kind::Plan) > 2);
}

#[test]
fn links_that_never_work_are_left() {
    let (_cas, faulty, hub) = faulty(|asked, _| match asked.kind {
        Kind::Range => Fate::Status(403),
        _ => Fate::Send,
    });
    http_takes_over(&hub, "its links have expired");
    assert!(
        faulty.count(Kind::Range) < 200,
        "{}",
        faulty.count(Kind::Range)
    );
}

#[test]
fn a_range_that_breaks_off_loses_a_chunk_and_no_more() {
    let (_cas, faulty, hub) = faulty(|asked, body| match asked.kind {
        Kind::Range if asked.index % 3 == 0 => Fate::CutAt(body.len() - 10),
        _ => Fate::Send,
    });
    let stderr = arrives_all_the_same(&hub);
    assert!(stderr.contains("asking it for the rest"), "{stderr}");
    let length = |range: &Option<String>| {
        let range = range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes="));
        let (start, end) = range
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap() + 1
    };
    let asked = faulty.asked();
    let ranges = asked.iter().filter(|asked| asked.kind == Kind::Range);
    let bytes: u64 = ranges.map(|asked| length(&asked.range)).sum();
    // Sixteen ranges: about a third loses a chunk of at most 128 KiB, and some of those again.
    assert!(bytes < 2 * SIZE as u64 * 8 / 5, "{bytes}");
}

#[test]
fn trouble_that_passes_is_waited_for() {
    for kind in [Kind::Plan, Kind::Range] {
        let (_cas, _faulty, hub) = faulty(move |asked, _| match asked.index {
            0 | 3 if asked.kind == kind => Fate::Status(503),
            _ => Fate::Send,
        });
        arrives_all_the_same(&hub);
    }
}

#[test]
fn trouble_that_stays_is_left() {
    for (kind, status, words) in [
        (Kind::Plan, 500, "its server is in trouble"),
        (Kind::Range, 503, "its server is in trouble"),
        (Kind::Plan, 403, "does not accept the token"),
        (Kind::Plan, 401, "does not accept the token"),
        (Kind::Plan, 404, "it does not have the file"),
        (Kind::Plan, 416, "it does not have the file"),
        (Kind::Range, 400, "its server refuses"),
    ] {
        let (_cas, _faulty, hub) = faulty(move |asked, _| match asked.kind == kind {
            true => Fate::Status(status),
            false => Fate::Send,
        });
        http_takes_over(&hub, words);
    }
}

#[test]
fn a_token_that_is_refused_is_replaced() {
    let (_cas, _faulty, hub) = faulty(|asked, _| match asked.kind {
        Kind::Plan if asked.index == 1 => Fate::Status(401),
        _ => Fate::Send,
    });
    // As by a clock that is wrong: each token has ended when it comes.
    for lifetime in [3600, -3600] {
        hub.clear_requests();
        let server = _faulty.endpoint();
        hub.xet_tokens(Some(server), [lifetime]);
        arrives_all_the_same(&hub);
        let expected = if lifetime > 0 { 1..=2 } else { 2..=4 };
        let asked = asked_for_tokens(&hub);
        assert!(expected.contains(&asked), "{asked}: {}", hub.log_text());
    }
}

#[test]
fn plans_that_make_no_sense_are_not_followed() {
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |plan| plan["terms"][0]["unpacked_length"] = json!(1_000_000_000),
        |plan| drop(plan["terms"].as_array_mut().unwrap().pop()),
        |plan| plan["offset_into_first_range"] = json!(1),
        |plan| plan["xorbs"] = json!({}),
        |plan| {
            // Two terms that share chunks: one chunk too many in all.
            let terms = plan["terms"].as_array_mut().unwrap();
            let again = terms[0].clone();
            terms.insert(1, again);
        },
        |plan| {
            // The right sum, from too few terms for it.
            let terms = plan["terms"].as_array_mut().unwrap();
            terms.truncate(1);
            terms[0]["unpacked_length"] = json!(SIZE);
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let (_cas, faulty, hub) = faulty(move |asked, body| {
            if asked.kind == Kind::Plan {
                replan(body, change);
            }
            Fate::Send
        });
        http_takes_over(&hub, "it sent a plan that makes no sense");
        assert_eq!(faulty.count(Kind::Range), 0, "{index}");
    }
}

#[test]
fn terms_of_other_lengths_than_their_chunks_are_noticed() {
    let (_cas, _faulty, hub) = faulty(|asked, body| {
        if asked.kind == Kind::Plan {
            replan(body, |plan| {
                let terms = plan["terms"].as_array_mut().unwrap();
                for (index, by) in [(0, 1), (1, -1)] {
                    let length = terms[index]["unpacked_length"].as_i64().unwrap();
                    terms[index]["unpacked_length"] = json!(length + by);
                }
            });
        }
        Fate::Send
    });
    http_takes_over(&hub, "it sent damaged data");
}

#[test]
fn a_plan_of_a_million_terms_is_refused() {
    let (_cas, faulty, hub) = faulty(|asked, body| {
        if asked.kind == Kind::Plan {
            replan(body, |plan| {
                let term = plan["terms"][0].clone();
                plan["terms"] = Value::Array(vec![term; 100_000]);
            });
        }
        Fate::Send
    });
    http_takes_over(&hub, "it sent a plan that makes no sense");
    assert_eq!(faulty.count(Kind::Range), 0);
    // Longer than any answer.
    let (_cas, faulty, hub) = self::faulty(|asked, body| {
        if asked.kind == Kind::Plan {
            body.resize(40 << 20, b' ');
        }
        Fate::Send
    });
    http_takes_over(&hub, "it sent an answer that makes no sense");
    assert_eq!(faulty.count(Kind::Range), 0);
}

#[test]
fn chunks_beyond_the_format_are_refused() {
    // Version, packed length, scheme, unpacked length of the first chunk's header.
    for header in [
        [0, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff],
        [0, 0, 0, 1, 1, 0xff, 0xff, 0xff],
        [9, 0, 0, 1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let (_cas, _faulty, hub) = faulty(move |asked, body| {
            if asked.kind == Kind::Range {
                body[..8].copy_from_slice(&header);
            }
            Fate::Send
        });
        http_takes_over(&hub, "it sent damaged data");
    }
}

#[test]
fn plans_of_version_1_will_do() {
    for status in [404, 501] {
        let (_cas, faulty, hub) = faulty(move |asked, _| match asked.target.starts_with("/v2/") {
            true => Fate::Status(status),
            false => Fate::Send,
        });
        arrives_all_the_same(&hub);
        let plans = faulty.asked().into_iter();
        let plans = plans.filter(|asked| asked.kind == Kind::Plan);
        let plans: Vec<_> = plans.map(|asked| asked.target[..3].to_owned()).collect();
        assert!(
            plans.iter().filter(|version| *version == "/v1").count() == 2,
            "{plans:?}"
        );
    }
}

/// A Hub with one file in a storage of its own, and an environment.
fn with_content(content: &[u8]) -> (Cas, FaultyCas, Hub) {
    let (cas, hub) = (Cas::start(), Hub::start());
    let hash = cas.store(content);
    let repo = Repo::model("org/name");
    hub.add(repo.xet("f", Content::memory(content.to_vec()), &hash));
    let faulty = FaultyCas::before(cas.endpoint(), |_, _| Fate::Send);
    hub.xet(Some(faulty.endpoint()));
    (cas, faulty, hub)
}

#[test]
fn contents_of_all_shapes() {
    let (a, b) = (noise(1, 700_000), noise(2, 400_000));
    let repeated = [&a[..], &b, &a, &a[..300_000], &b, &a[200_000..]].concat();
    let numbers: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    for (what, content) in [
        ("nothing", Vec::new()),
        ("one byte", vec![7]),
        ("one chunk", noise(3, 5000)),
        ("terms that repeat and overlap", repeated),
        ("zeros", vec![0; 3_000_000]),
        ("numbers", numbers),
    ] {
        let (_cas, faulty, hub) = with_content(&content);
        let env = TestEnv::for_hub(&hub);
        let output = env.run(["download", "org/name", "f"]).ok();
        let path = output.stdout().trim_end().to_owned();
        assert!(fs::read(path).unwrap() == content, "{what}");
        let asked = faulty.count(Kind::Range);
        assert_eq!(asked > 0, !content.is_empty(), "{what}: {asked}");
        if !content.is_empty() {
            assert_eq!(over_http(&hub), 0, "{what}: {}", hub.log_text());
        }
        assert_eq!(output.said(), "", "{what}");
    }
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let content = noise(4, SIZE);
    let (_cas, faulty, hub) = with_content(&content);
    let env = TestEnv::for_hub(&hub);
    let etag = hub.repo("models/org/name").entry("f").etag();
    let blobs = env.cache().join("models--org--name/blobs");
    // As HTTP leaves it: the end is in the middle of a chunk.
    plant(&blobs, &etag, Some(SIZE as u64), &content[..1_500_001]);
    let output = env.run(["download", "org/name", "f"]).ok();
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content);
    assert_eq!(output.said(), "");
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    let plans = faulty.asked().into_iter();
    let plans = plans.filter(|asked| asked.kind == Kind::Plan);
    let ranges: Vec<_> = plans.map(|asked| asked.range.unwrap()).collect();
    assert_eq!(ranges, ["bytes=1500001-1999999"]);
}

#[test]
fn wrong_bytes_of_another_time_are_fetched_again() {
    let content = noise(4, SIZE);
    let (_cas, faulty, hub) = with_content(&content);
    let env = TestEnv::for_hub(&hub);
    let etag = hub.repo("models/org/name").entry("f").etag();
    let blobs = env.cache().join("models--org--name/blobs");
    plant(&blobs, &etag, Some(SIZE as u64), &noise(9, 1_000_000));
    let output = env.run(["download", "org/name", "f"]).ok();
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content);
    assert_eq!(output.said(), "");
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    assert_eq!(faulty.count(Kind::Plan), 2);
}

#[test]
fn a_hub_that_pairs_a_xet_hash_with_another_sha256_fools_its_own_repository_only() {
    let (cas, hub) = (Cas::start(), Hub::start());
    let (pretended, real) = (noise(1, SIZE), noise(2, SIZE));
    let hash = cas.store(&real);
    // The listing names the SHA-256 of one content and the Xet hash of another.
    let file = |id: &str| Repo::model(id).xet("f", Content::memory(pretended.clone()), &hash);
    hub.add(file("org/fooled"));
    hub.add(Repo::model("org/honest").lfs("f", Content::memory(pretended.clone())));
    hub.xet(Some(cas.endpoint()));
    let mut env = TestEnv::for_hub(&hub);
    env.set("HF_HUB_ENABLE_SHARED_BLOBS", "1");
    let read = |id: &str| {
        let output = env.run(["download", id, "f"]).ok();
        fs::read(output.stdout().trim_end()).unwrap()
    };
    assert!(read("org/fooled") == real);
    assert!(read("org/honest") == pretended, "no other repository is");
    let output = env
        .run(["cache", "verify", "org/fooled", "--sha256"])
        .fails(1);
    assert!(output.stderr().contains("f is damaged"), "{output}");
}

#[test]
fn a_rate_limit_holds_for_the_storage() {
    let content = noise(5, 1_000_000);
    let (_cas, faulty, hub) = with_content(&content);
    let env = TestEnv::for_hub(&hub);
    let start = std::time::Instant::now();
    let limited = ["download", "org/name", "f", "--limit-rate", "1M"];
    let output = env.run(limited).ok();
    // Slower than the limit on a busy machine, and never faster.
    assert!(start.elapsed().as_millis() > 850, "{:?}", start.elapsed());
    assert!(fs::read(output.stdout().trim_end()).unwrap() == content);
    assert_eq!(over_http(&hub), 0, "{}", hub.log_text());
    assert!(faulty.count(Kind::Range) > 0);
}

#[test]
fn the_last_wrong_bytes_are_an_error() {
    let (_cas, _faulty, hub) = faulty(|asked, body| {
        if asked.kind == Kind::Range {
            body[100] ^= 1;
        }
        Fate::Send
    });
    hub.fault(Fault::WrongBytes.on("big.bin"));
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name", "big.bin"]).fails(1);
    assert!(output.stderr().contains("hash"), "{output}");
}
