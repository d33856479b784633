//! Each fault of the local Hub does what its name says, seen on a bare connection.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::eventually;
use crate::harness::http::{Answer, arrived, get, head, receive, send};
use crate::harness::hub::{Content, Fault, Hub, Origin, Repo, Settings};
use crate::harness::oracle::installed;

const SIZE: usize = 300_000;

/// A Hub with one small and one large file of [`SIZE`] bytes.
struct Bench {
    hub: Hub,
    content: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let hub = Hub::start();
        let content = Content::synthetic(SIZE as u64, 5);
        let repo = Repo::model("org/name").file("small.txt", content.clone());
        hub.add(repo.lfs("large.bin", content.clone()));
        let content = content.to_bytes().to_vec();
        Self { hub, content }
    }

    fn url(&self, file: &str) -> String {
        format!("{}/org/name/resolve/main/{file}", self.hub.endpoint())
    }

    fn link(&self) -> String {
        let answer = get(&self.url("large.bin"), &[]);
        answer.header("location").expect("a link").to_owned()
    }

    fn small(&self) -> Answer {
        get(&self.url("small.txt"), &[])
    }

    /// The answer is what it would be without faults.
    #[track_caller]
    fn is_good(&self, answer: &Answer) {
        assert_eq!((answer.status, answer.end), (200, None));
        assert!(answer.body == self.content);
    }
}

#[test]
fn a_reset_is_a_reset_after_the_bytes_before_it() {
    let bench = Bench::new();
    let fault = Fault::ResetMidBody {
        after_bytes: 10_000,
    };
    let strikes = bench.hub.fault(fault.on("large.bin").times(1));
    let link = bench.link();
    assert_eq!(head(&link, &[]).status, 200);
    assert_eq!(
        strikes.count(),
        0,
        "neither the redirect nor HEAD is struck"
    );
    let cut = get(&link, &[]);
    assert_eq!(cut.end, Some(ErrorKind::ConnectionReset));
    assert_eq!((cut.status, cut.promised()), (200, SIZE));
    assert!(cut.body == bench.content[..10_000]);
    assert_eq!(strikes.count(), 1);
    bench.is_good(&get(&link, &[]));
    assert_eq!(bench.hub.content_bytes_sent(), 10_000 + SIZE as u64);
}

#[test]
fn an_early_close_is_orderly() {
    let bench = Bench::new();
    bench
        .hub
        .fault(Fault::CloseEarly { after_bytes: 777 }.times(1));
    let cut = bench.small();
    assert_eq!((cut.end, cut.body.len(), cut.promised()), (None, 777, SIZE));
    bench.is_good(&bench.small());
}

#[test]
fn a_stall_keeps_the_connection_open() {
    let bench = Bench::new();
    bench.hub.fault(Fault::Stall { after_bytes: 1234 }.times(1));
    let stream = send("GET", &bench.url("small.txt"), &[], "");
    arrived(&stream, 1234);
    let stalled = receive(stream, Duration::from_millis(300));
    assert_eq!(stalled.end, Some(ErrorKind::WouldBlock));
    assert_eq!(stalled.body.len(), 1234);
    bench.is_good(&bench.small());
}

#[test]
fn no_answer_is_no_answer_and_the_request_is_on_record() {
    let bench = Bench::new();
    bench.hub.fault(Fault::NeverAnswer.times(1));
    let stream = send("GET", &bench.url("small.txt"), &[], "");
    eventually("the request", || !bench.hub.requests().is_empty());
    let answer = receive(stream, Duration::from_millis(300));
    assert_eq!(
        (answer.status, answer.end),
        (0, Some(ErrorKind::WouldBlock))
    );
    let record = bench.hub.requests().pop().expect("a record");
    assert_eq!((record.status, record.body_bytes_sent), (0, 0));
}

#[test]
fn a_trickle_and_a_cap_keep_their_pace() {
    let bench = Bench::new();
    let rate = SIZE as u64 * 2;
    let strikes = bench.hub.fault(
        Fault::Trickle {
            bytes_per_second: rate,
        }
        .times(1),
    );
    let paced = |what: &str| {
        let start = Instant::now();
        bench.is_good(&bench.small());
        let seconds = start.elapsed().as_secs_f64();
        assert!(
            seconds >= 0.35,
            "{what}: {seconds} s for half a second's bytes"
        );
    };
    paced("trickle");
    assert_eq!(strikes.count(), 1);
    bench.is_good(&bench.small());
    assert_eq!(strikes.count(), 1);
    bench
        .hub
        .configure(|settings| settings.bandwidth = Some(rate));
    paced("cap");
}

#[test]
fn latency_comes_before_every_answer() {
    let bench = Bench::new();
    bench
        .hub
        .configure(|settings| settings.latency = Duration::from_millis(150));
    let start = Instant::now();
    bench.is_good(&bench.small());
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[test]
fn statuses_come_with_their_headers_and_as_often_as_asked() {
    let bench = Bench::new();
    let retry = Fault::status_with(503, &[("Retry-After", "7")]);
    bench.hub.fault(retry.on("small").times(2));
    for _ in 0..2 {
        let answer = bench.small();
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("7"))
        );
        assert!(answer.header("x-request-id").is_some());
    }
    bench.is_good(&bench.small());
    for code in [408, 429, 500] {
        bench.hub.fault(Fault::status(code).times(1));
        assert_eq!(bench.small().status, code);
    }
    bench.hub.fault(Fault::rate_limited(3));
    let limited = bench.small();
    assert_eq!(limited.header("ratelimit"), Some("\"api\";r=0;t=3"));
    bench.hub.clear_faults();
    bench.is_good(&bench.small());
}

#[test]
fn rules_look_at_origin_method_and_order() {
    let bench = Bench::new();
    let rule = Fault::status(500).on("large.bin");
    bench
        .hub
        .fault(rule.at(Origin::Cdn).method("GET").after(1).times(1));
    let link = bench.link();
    let statuses: Vec<u16> = (0..3).map(|_| get(&link, &[]).status).collect();
    assert_eq!(statuses, [200, 500, 200]);
    assert_eq!(head(&link, &[]).status, 200);
}

#[test]
fn a_spent_link_stays_spent_and_a_fresh_one_works() {
    let bench = Bench::new();
    bench.hub.fault(Fault::ExpiredLink.on("large.bin").times(1));
    let link = bench.link();
    assert_eq!(get(&link, &[]).status, 403);
    assert_eq!(get(&link, &[]).status, 403);
    bench.is_good(&get(&bench.link(), &[]));
}

#[test]
fn an_ignored_range_sends_the_whole() {
    let bench = Bench::new();
    bench.hub.fault(Fault::IgnoreRange.times(1));
    let link = bench.link();
    let range = [("Range", "bytes=1000-")];
    bench.is_good(&get(&link, &range));
    assert_eq!(get(&link, &range).status, 206);
}

#[test]
fn lengths_and_bytes_can_be_wrong() {
    let bench = Bench::new();
    bench
        .hub
        .fault(Fault::WrongContentLength { off_by: 10 }.times(1));
    let long = bench.small();
    assert_eq!((long.promised(), long.body.len()), (SIZE + 10, SIZE));
    bench
        .hub
        .fault(Fault::WrongContentLength { off_by: -10 }.times(1));
    let short = bench.small();
    assert_eq!((short.promised(), short.body.len()), (SIZE - 10, SIZE - 10));
    bench.hub.fault(Fault::WrongBytes.times(1));
    let wrong = bench.small();
    assert_eq!((wrong.end, wrong.body.len()), (None, SIZE));
    let differ = wrong
        .body
        .iter()
        .zip(&bench.content)
        .filter(|(a, b)| a != b);
    assert_eq!(differ.count(), 1);
}

#[test]
fn a_file_can_change_after_it_was_listed() {
    let bench = Bench::new();
    let before = head(&bench.url("large.bin"), &[]);
    bench.hub.fault(Fault::ChangedAfterListing);
    let after = head(&bench.url("large.bin"), &[]);
    for header in ["x-repo-commit", "x-linked-etag", "x-linked-size"] {
        assert_ne!(before.header(header), after.header(header), "{header}");
    }
    let body = get(after.header("location").expect("a link"), &[]).body;
    assert_eq!(body.strip_suffix(b"replaced\n"), Some(&bench.content[..]));
    let etag = format!("\"{}\"", Content::from(body).sha256());
    assert_eq!(after.header("x-linked-etag"), Some(etag.as_str()));
}

#[test]
fn a_gzip_body_can_be_unpacked_with_gzip() {
    let Some(()) = installed(["gzip"]) else {
        return;
    };
    let bench = Bench::new();
    bench.hub.fault(Fault::Gzip.times(1));
    let packed = get(&bench.url("small.txt"), &[("Accept-Encoding", "identity")]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_ne!(packed.body, bench.content);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("body.gz");
    std::fs::write(&file, &packed.body).expect("file");
    let output = std::process::Command::new("gzip")
        .arg("-dc")
        .arg(&file)
        .output();
    let output = output.expect("gzip");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout == bench.content);
}

#[test]
fn a_page_of_the_listing_can_fail() {
    let bench = Bench::new();
    bench.hub.configure(|settings| settings.page_size = 1);
    bench.hub.fault(
        Fault::TreePageFails {
            page: 2,
            status: 502,
        }
        .times(1),
    );
    let first = format!(
        "{}/api/models/org/name/tree/main?recursive=true",
        bench.hub.endpoint()
    );
    let page = get(&first, &[]);
    assert_eq!(page.status, 200);
    let link = page.header("link").expect("a second page");
    let second = &link[1..link.find('>').expect("bracket")];
    assert_eq!(get(second, &[]).status, 502);
    assert_eq!(get(second, &[]).status, 200);
}

#[test]
fn json_can_be_broken_or_of_other_types() {
    let bench = Bench::new();
    let url = format!("{}/api/models/org/name/tree/main", bench.hub.endpoint());
    bench.hub.fault(Fault::MalformedJson.on("/tree/").times(1));
    let broken = get(&url, &[]);
    assert_eq!((broken.status, broken.end), (200, None));
    assert!(serde_json::from_slice::<serde_json::Value>(&broken.body).is_err());
    bench.hub.fault(Fault::WrongTypes.on("/tree/").times(1));
    let row = get(&url, &[]).json()[0].clone();
    assert!(row["size"].is_string() && row["path"].is_number(), "{row}");
    assert!(get(&url, &[]).json()[0]["size"].is_number());
}

#[test]
fn redirects_can_loop_and_leave_the_hub() {
    let bench = Bench::new();
    bench.hub.fault(Fault::RedirectLoop.times(1));
    let answer = bench.small();
    let own = "/org/name/resolve/main/small.txt";
    assert_eq!((answer.status, answer.header("location")), (302, Some(own)));
    let elsewhere = "http://127.0.0.1:9/x";
    bench
        .hub
        .fault(Fault::ForeignRedirect(elsewhere.to_owned()).times(1));
    assert_eq!(bench.small().header("location"), Some(elsewhere));
    bench.hub.fault(Fault::HttpDowngrade.times(1));
    let address = bench.url("small.txt");
    assert_eq!(bench.small().header("location"), Some(address.as_str()));
}

#[test]
fn a_stopped_hub_refuses_and_a_resumed_one_is_back() {
    let mut bench = Bench::new();
    let host = bench.hub.endpoint().replace("http://", "");
    let idle = TcpStream::connect(&host).expect("connect");
    bench.hub.stop();
    let refused = TcpStream::connect(&host).expect_err("no process listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    idle.set_read_timeout(Some(Duration::from_secs(5)))
        .expect("timeout");
    let end = std::io::Read::read(&mut &idle, &mut [0]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    bench.hub.resume();
    bench.is_good(&bench.small());
}

#[test]
fn a_plain_request_to_an_encrypted_hub_is_served_and_on_record() {
    let hub = Hub::with(Settings {
        tls: true,
        ..Settings::default()
    });
    hub.add(Repo::model("a/b").file("f", "f"));
    assert!(hub.endpoint().starts_with("https://"));
    assert!(hub.cdn_origin().starts_with("https://"));
    assert!(hub.ca_pem().contains("BEGIN CERTIFICATE"));
    let plain = hub.endpoint().replace("https:", "http:");
    assert_eq!(get(&format!("{plain}/a/b/resolve/main/f"), &[]).text(), "f");
    hub.fault(Fault::HttpDowngrade);
    let answer = get(&format!("{plain}/x"), &[]);
    let wanted = format!("{plain}/x");
    assert_eq!(answer.header("location"), Some(wanted.as_str()));
    assert_eq!(hub.count(|request| !request.encrypted), 2);
}
