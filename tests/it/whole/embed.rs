//! The engine inside another program: what its public interface promises.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hf_cli::types::{Endpoint, Token};
use hf_cli::{Cache, Config, Download, ErrorKind, Event, FileId};

use crate::download::moved_branches::moved;
use crate::harness::TestEnv;
use crate::harness::hub::{Content, Fault, Hub, Repo, Settings};
use crate::harness::partial::{all_below, kept};

/// The runtime of the embedding program.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn hub() -> Hub {
    let hub = Hub::start();
    hub.add(
        Repo::model("org/name")
            .file("config.json", "{}")
            .file("notes/a.txt", "a")
            .lfs("model.bin", Content::synthetic(3_000_000, 1))
            .tag("v1"),
    );
    hub.add(
        Repo::model("org/secret")
            .private()
            .allow("ann")
            .file("f", "x"),
    );
    hub.user("ann").token("hf_ann", "read", "laptop");
    hub
}

fn config(env: &TestEnv, hub: &Hub) -> hf_cli::ConfigBuilder {
    let endpoint = Endpoint::parse(&hub.endpoint()).unwrap();
    Config::builder().home(env.path("hf")).endpoint(&endpoint)
}

#[test]
fn a_program_downloads_plans_and_lists() {
    let (hub, env) = (hub(), TestEnv::new());
    let config = config(&env, &hub).build().unwrap();
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let file = Download::new("org/name".parse().unwrap())
            .file("config.json")
            .unwrap()
            .run(&client)
            .await
            .unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"{}");

        let plan = Download::new("org/name@v1".parse().unwrap())
            .exclude("notes/*")
            .plan(&client)
            .await
            .unwrap();
        let files: Vec<_> = plan
            .files()
            .into_iter()
            .map(|file| (file.path.to_string(), file.size, file.is_fetched))
            .collect();
        assert_eq!(
            files,
            [
                ("config.json".to_owned(), Some(2), false),
                ("model.bin".to_owned(), Some(3_000_000), true),
            ]
        );
        assert_eq!(plan.bytes(), 3_000_000);
        assert!(plan.unreachable().is_none());
        let commit = hub.repo("models/org/name").commit("v1");
        assert_eq!(plan.commit().unwrap().as_str(), commit);
        assert!(
            !env.cache().join("models--org--name/refs/v1").exists(),
            "nothing is written"
        );
        let snapshot = plan.run().await.unwrap();
        assert_eq!(snapshot.commit().unwrap().as_str(), commit);
        assert_eq!(
            fs::metadata(snapshot.path().join("model.bin"))
                .unwrap()
                .len(),
            3_000_000
        );
    });
    let scan = Cache::open(config.cache_dir()).unwrap().scan().unwrap();
    let repos: Vec<_> = scan
        .repos()
        .iter()
        .map(|repo| (repo.id().to_string(), repo.size()))
        .collect();
    assert_eq!(repos, [("model/org/name".to_owned(), 3_000_002)]);
    assert_eq!(scan.size(), 3_000_002);
    assert!(scan.repos()[0].problem().is_none());
}

#[test]
fn events_come_in_the_documented_order() {
    let (hub, env) = (hub(), TestEnv::new());
    let config = config(&env, &hub).build().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        Download::new("org/name".parse().unwrap())
            .progress(move |event: Event| seen.lock().unwrap().push(event))
            .run(&client)
            .await
            .unwrap();
    });
    let events = events.lock().unwrap();
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let begun = at(&|event| {
        matches!(
            event,
            Event::Begun {
                files: 3,
                bytes: 3_000_003,
                done: 0,
                there: 0,
            }
        )
    });
    let finished = at(&|event| matches!(event, Event::Finished));
    assert_eq!(finished, events.len() - 1, "{events:?}");
    let listed = at(&|event| matches!(event, Event::Listed));
    assert!(listed < begun);
    let mut paths = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Event::FileBegun {
            file, path, size, ..
        } = event
        else {
            continue;
        };
        assert!(begun < index);
        let of = |wanted: FileId| {
            let mine = move |event: &&Event| match event {
                Event::Advanced { file, .. }
                | Event::Found { file, .. }
                | Event::Rewound { file, .. } => *file == wanted,
                _ => false,
            };
            events.iter().filter(mine)
        };
        let bytes: i64 = of(*file)
            .map(|event| match event {
                Event::Advanced { bytes, .. } => i64::try_from(*bytes).unwrap(),
                Event::Rewound { bytes, .. } => -i64::try_from(*bytes).unwrap(),
                _ => 0,
            })
            .sum();
        assert_eq!(u64::try_from(bytes).unwrap(), size.unwrap(), "{path}");
        let done = at(&|event| matches!(event, Event::FileDone { file: other } if other == file));
        assert!(index < done && done < finished, "{path}");
        paths.push(path.clone());
    }
    paths.sort();
    assert_eq!(paths, ["config.json", "model.bin", "notes/a.txt"]);
}

#[test]
fn what_comes_before_the_listing_has_ended_is_in_the_totals() {
    const SIZE: u64 = 100;
    let hub = Hub::with(Settings {
        page_size: 10,
        ..Settings::default()
    });
    let content = |number: u64| Content::synthetic(SIZE, number);
    let files = (0..25).fold(Repo::model("org/name"), |repo, number| {
        repo.file(&format!("file-{number:02}"), content(number))
    });
    hub.add(files);
    // One is on disk, and nine come while the second page is awaited.
    let waits = Fault::Waits {
        part: "/file-0",
        bytes: 9 * SIZE,
    };
    hub.fault(waits.on("cursor=10"));
    let env = TestEnv::new();
    let config = config(&env, &hub).build().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let download = || Download::new("org/name".parse().unwrap());
        let one = download().file("file-09").unwrap();
        one.run(&client).await.unwrap();
        hub.clear_requests();
        let all = download().progress(move |event: Event| seen.lock().unwrap().push(event));
        all.run(&client).await.unwrap();
    });
    assert_eq!(hub.content_bytes_sent(), 24 * SIZE);
    let events = events.lock().unwrap();
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let early = at(&|event| matches!(event, Event::Early));
    let listed = at(&|event| matches!(event, Event::Listed));
    let begun = at(&|event| matches!(event, Event::Begun { .. }));
    assert!(early < listed && listed < begun, "{events:?}");
    let total = Event::Begun {
        files: 25,
        bytes: 24 * SIZE,
        done: 0,
        there: SIZE,
    };
    assert_eq!(events[begun], total);
    let advanced = events.iter().map(|event| match event {
        Event::Advanced { bytes, .. } => *bytes,
        _ => 0,
    });
    assert_eq!(advanced.sum::<u64>(), 24 * SIZE, "{events:?}");
}

#[test]
fn errors_say_what_they_are_about() {
    let (mut hub, env) = (hub(), TestEnv::new());
    let config = config(&env, &hub).build().unwrap();
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let of = |name: &str| Download::new(name.parse().unwrap());
        let missing = of("org/nothing").run(&client).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::RepoNotFound);
        assert_eq!(missing.repo().unwrap().id.as_str(), "org/nothing");
        let file = of("org/name").file("nope.txt").unwrap();
        let file = file.run(&client).await.unwrap_err();
        assert_eq!(file.kind(), ErrorKind::FileNotFound);
        assert_eq!(file.file().unwrap().as_str(), "nope.txt");
        assert!(
            file.to_string().starts_with("model/org/name, nope.txt: "),
            "{file}"
        );
        let whole = of("hf://org/name/notes/").run(&client).await.unwrap();
        assert!(whole.path().join("notes/a.txt").exists());
        assert!(!whole.path().join("model.bin").exists(), "a folder alone");
        let one = of("hf://org/name/config.json").run(&client).await.unwrap();
        assert!(one.path().ends_with("config.json"));
        let name = of("org/name").file("../x").err().unwrap();
        assert_eq!(name.kind(), ErrorKind::Name);
        let revision = of("org/name@gone").run(&client).await.unwrap_err();
        assert_eq!(revision.kind(), ErrorKind::RevisionNotFound);
    });
    hub.stop();
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let target = "org/name".parse().unwrap();
        let silent = Download::new(target).run(&client).await.unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::Unreachable, "{silent}");
    });
    assert_eq!(
        Cache::open(env.path("none")).unwrap_err().kind(),
        ErrorKind::Disk
    );
}

#[test]
fn the_token_is_that_of_the_configuration_or_the_saved_one() {
    let (hub, env) = (hub(), TestEnv::new());
    let token = Token::clean("hf_ann").unwrap().unwrap();
    let with_token = config(&env, &hub).token(token).build().unwrap();
    assert!(!format!("{with_token:?}").contains("hf_ann"));
    let without = config(&env, &hub).build().unwrap();
    block_on(async {
        let whose = |config: &Config| hf_cli::Hub::new(config).unwrap();
        assert_eq!(whose(&without).whoami().await.unwrap(), None);
        let ann = whose(&with_token).whoami().await.unwrap().unwrap();
        assert_eq!(ann.name, "ann");
        let secret = Download::new("org/secret".parse().unwrap());
        let refused = secret.clone().run(&whose(&without)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::RepoNotFound);
        secret.run(&whose(&with_token)).await.unwrap();
        // What a login of the command line left is found as well.
        fs::write(env.path("hf/token"), "hf_ann").unwrap();
        assert_eq!(whose(&without).whoami().await.unwrap().unwrap().name, "ann");
    });
}

#[test]
fn a_login_of_another_hub_is_sent_with_a_warning() {
    let (hub, env) = (hub(), TestEnv::new());
    let config = config(&env, &hub).build().unwrap();
    fs::create_dir_all(env.path("hf")).unwrap();
    fs::write(env.path("hf/token"), "hf_ann").unwrap();
    let stored = "[laptop]\nhf_token = hf_ann\nendpoint = https://other.test\n\n";
    fs::write(env.path("hf/stored_tokens"), stored).unwrap();
    let warnings = Arc::new(Mutex::new(Vec::new()));
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        // It has no observer, so the warning waits.
        client.whoami().await.unwrap().unwrap();
        for _ in 0..2 {
            let seen = Arc::clone(&warnings);
            let watch = move |event: Event| {
                if let Event::Notice(notice) = event {
                    seen.lock().unwrap().push(notice.to_string());
                }
            };
            let download = Download::new("org/secret".parse().unwrap());
            download.progress(watch).run(&client).await.unwrap();
        }
    });
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 1, "once: {warnings:?}");
    assert!(warnings[0].contains("https://other.test"), "{warnings:?}");
}

#[test]
fn what_the_hub_says_goes_to_the_observer_of_the_download() {
    let (hub, env) = (hub(), TestEnv::new());
    hub.warning("news; Please update.");
    let config = config(&env, &hub).build().unwrap();
    let notices = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notices);
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let download = Download::new("org/name".parse().unwrap());
        let watch = move |event: Event| {
            if let Event::Notice(notice) = event {
                seen.lock().unwrap().push(notice.to_string());
            }
        };
        download.progress(watch).run(&client).await.unwrap();
    });
    let notices = notices.lock().unwrap();
    let said = notices.iter().filter(|it| it.contains("Please update."));
    assert_eq!(said.count(), 1, "{notices:?}");
}

#[test]
fn nothing_prints_what_is_secret() {
    let endpoint = Endpoint::parse("https://user:hunter2@mirror.test/hf").unwrap();
    let token = Token::clean("hf_secret").unwrap().unwrap();
    let builder = Config::builder().endpoint(&endpoint).token(token);
    let shown = format!("{builder:?} {endpoint:?} {:?}", builder.clone().build());
    assert!(
        !shown.contains("hunter2") && !shown.contains("hf_secret"),
        "{shown}"
    );
    assert!(shown.contains("mirror.test"), "{shown}");
}

#[test]
fn a_branch_that_is_moved_meanwhile_tells_its_new_commit() {
    let (hub, old, new) = moved("/resolve");
    let env = TestEnv::new();
    let config = config(&env, &hub).build().unwrap();
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let plan = Download::new("org/name".parse().unwrap()).plan(&client);
        let plan = plan.await.unwrap();
        assert_eq!(plan.commit().unwrap().as_str(), old);
        let snapshot = plan.run().await.unwrap();
        assert_eq!(snapshot.commit().unwrap().as_str(), new);
        assert!(snapshot.path().ends_with(&new));
    });
}

#[test]
fn a_dropped_future_ends_cleanly_and_keeps_what_is_there() {
    let (hub, env) = (hub(), TestEnv::new());
    let config = config(&env, &hub).build().unwrap();
    // The rest of the content never comes.
    hub.fault(
        Fault::Stall {
            after_bytes: 2_000_000,
        }
        .on("model.bin")
        .times(1),
    );
    let fetched = Arc::new(Mutex::new(0));
    let (enough, wait) = tokio::sync::oneshot::channel();
    let (count, enough) = (Arc::clone(&fetched), Mutex::new(Some(enough)));
    let watch = move |event: Event| {
        let mut count = count.lock().unwrap();
        match event {
            Event::Advanced { bytes, .. } => *count += bytes,
            Event::Rewound { bytes, .. } => *count -= bytes,
            _ => {}
        }
        if *count >= 1_000_000
            && let Some(enough) = enough.lock().unwrap().take()
        {
            let _ = enough.send(());
        }
    };
    let target = || Download::new("org/name".parse().unwrap());
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let running = target()
            .file("model.bin")
            .unwrap()
            .progress(watch)
            .run(&client);
        tokio::select! {
            done = running => panic!("{done:?}"),
            told = wait => told.unwrap(),
        }
    });
    // What has arrived is on disk a moment later.
    let blobs = env.cache().join("models--org--name/blobs");
    let kept = || {
        let partials = all_below(&blobs);
        partials.iter().map(|partial| kept(partial)).sum::<u64>()
    };
    let start = Instant::now();
    while kept() == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is kept");
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = hub.requests().len();
    block_on(async {
        let client = hf_cli::Hub::new(&config).unwrap();
        let snapshot = tokio::time::timeout(Duration::from_secs(60), target().run(&client));
        let snapshot = snapshot.await.expect("no lock is left held").unwrap();
        assert_eq!(
            fs::metadata(snapshot.path().join("model.bin"))
                .unwrap()
                .len(),
            3_000_000
        );
    });
    let ranges = hub
        .requests()
        .into_iter()
        .skip(before)
        .filter_map(|request| {
            let range = request.header("range")?.strip_prefix("bytes=")?.to_owned();
            range.split('-').next()?.parse::<u64>().ok()
        });
    let from: Vec<u64> = ranges.collect();
    assert!(!from.is_empty() && !from.contains(&0), "{from:?}");
}
