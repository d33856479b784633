//! Through proxies: HTTP and SOCKS, with and without a password, down, and for Xet storage as well.

use std::fs;

use crate::harness::cas::Cas;
use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::proxy::Proxy;
use crate::harness::{Output, TestEnv};

const SECRET: &str = "s3cret-of-the-proxy";
/// `user:s3cret-of-the-proxy` in Base64.
const LOGIN: &str = "Basic dXNlcjpzM2NyZXQtb2YtdGhlLXByb3h5";

fn fill(hub: &Hub) {
    let repo = Repo::model("org/name").file("a.txt", "a");
    hub.add(repo.lfs("big.bin", Content::synthetic(300_000, 3)));
}

fn hub() -> Hub {
    let hub = Hub::start();
    fill(&hub);
    hub
}

/// Downloads with these variables; the output never holds the password.
fn download(env: &TestEnv, variables: &[(&str, String)]) -> Output {
    let mut invocation = env.hf(["download", "org/name"]).var("HF_DEBUG", "1");
    for (name, value) in variables {
        invocation = invocation.var(name, value);
    }
    let output = invocation.run();
    assert!(!output.to_string().contains(SECRET), "{output}");
    assert!(!output.to_string().contains("dXNlcj"), "{output}");
    output
}

#[test]
fn plain_http_goes_through_the_proxy_with_its_password() {
    let (hub, proxy) = (hub(), Proxy::http(Some(LOGIN)));
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        let env = TestEnv::for_hub(&hub);
        let before = proxy.asked().len();
        let address = format!("http://user:{SECRET}@{}", proxy.address());
        let _ = download(&env, &[(name, address)]).ok();
        let asked = proxy.asked().split_off(before);
        assert_eq!(asked.len(), 5, "info, tree, two files, a link: {asked:?}");
        let base = format!("GET {}/api/models/org/name/", hub.endpoint());
        assert!(asked[0].starts_with(&base), "{asked:?}");
    }
}

#[test]
fn a_login_with_a_domain_is_sent_as_it_is_written() {
    // `OFFICE\\user:s3cret-of-the-proxy` in Base64.
    let login = "Basic T0ZGSUNFXHVzZXI6czNjcmV0LW9mLXRoZS1wcm94eQ==";
    let (hub, proxy) = (hub(), Proxy::http(Some(login)));
    for user in ["OFFICE\\user", "OFFICE%5Cuser"] {
        let env = TestEnv::for_hub(&hub);
        let address = format!("http://{user}:{SECRET}@{}", proxy.address());
        let _ = download(&env, &[("HTTP_PROXY", address)]).ok();
    }
    assert_eq!(proxy.asked().len(), 10, "{:?}", proxy.asked());
}

#[test]
fn https_goes_through_a_tunnel() {
    let hub = Hub::with(Settings {
        tls: true,
        ..Settings::default()
    });
    fill(&hub);
    let mut env = TestEnv::for_hub(&hub);
    let ca = env.path("ca.pem");
    fs::write(&ca, hub.ca_pem()).unwrap();
    env.set("SSL_CERT_FILE", &ca);
    let proxy = Proxy::http(Some(LOGIN));
    let address = format!("http://user:{SECRET}@{}", proxy.address());
    let _ = download(&env, &[("HTTPS_PROXY", address)]).ok();
    let host = hub.endpoint().replace("https://", "CONNECT ");
    assert!(proxy.asked().contains(&host), "{:?}", proxy.asked());
    assert!(
        proxy
            .asked()
            .iter()
            .all(|line| line.starts_with("CONNECT "))
    );
    // A wrong password, and a proxy that does not exist.
    let env = TestEnv::for_hub(&hub);
    for (address, words) in [
        (
            format!("http://user:x{SECRET}@{}", proxy.address()),
            "wants a user name",
        ),
        (
            format!("http://user:{SECRET}@127.0.0.1:9"),
            "through the proxy http://…@127.0.0.1:9 (https_proxy)",
        ),
    ] {
        let arguments = ["auth", "status"];
        let output = env
            .hf(arguments)
            .var("HF_TOKEN", "hf_some_token_0000")
            .var("https_proxy", address)
            .run();
        assert!(output.to_string().contains(words), "{output}");
        assert!(!output.to_string().contains(SECRET), "{output}");
    }
}

#[test]
fn a_proxy_that_refuses_or_is_no_proxy() {
    let (hub, proxy) = (hub(), Proxy::http(Some(LOGIN)));
    let env = TestEnv::for_hub(&hub);
    let output = download(&env, &[("http_proxy", proxy.address())]).fails(1);
    let text = output.stderr().replace(&proxy.address(), "[PROXY]");
    let text = text.replace(&hub.endpoint(), "[HUB]");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("[debug]") && !line.starts_with("Cause"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    Error: Cannot reach [HUB] through the proxy http://[PROXY] (http_proxy): the proxy wants a user name and password, or others.
    Hint: write them into the proxy's address: http://user:password@host:port
    ");
    assert_eq!(proxy.asked().len(), 1, "asking again does not help");
    for bad in [
        "ftp://127.0.0.1:9",
        "http://",
        &format!("http://u:{SECRET}@"),
    ] {
        let output = download(&env, &[("ALL_PROXY", bad.to_owned())]).fails(1);
        assert!(
            output
                .stderr()
                .contains("ALL_PROXY is not the address of a proxy"),
            "{output}"
        );
    }
    assert_eq!(hub.requests().len(), 0);
    // Commands without requests ignore it.
    let env = env.hf(["auth", "list"]).var("ALL_PROXY", "ftp://x");
    let _ = env.run().ok();
}

#[test]
fn hosts_in_no_proxy_are_reached_directly() {
    let (hub, proxy) = (hub(), Proxy::http(None));
    let with_ports = [hub.endpoint(), hub.cdn_origin()].join(",");
    let with_ports = with_ports.replace("http://", "");
    for no in ["127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", "*", &with_ports] {
        let env = TestEnv::for_hub(&hub);
        let variables = [("http_proxy", proxy.address()), ("no_proxy", no.to_owned())];
        let _ = download(&env, &variables).ok();
        assert_eq!(proxy.asked(), [""; 0], "{no}");
    }
}

#[test]
fn socks_proxies_get_names_or_addresses() {
    let (hub, proxy) = (hub(), Proxy::socks());
    for (scheme, host) in [("socks5h", "localhost"), ("socks5", "127.0.0.1")] {
        let mut env = TestEnv::for_hub(&hub);
        let endpoint = hub.endpoint().replace("127.0.0.1", "localhost");
        env.set("HF_ENDPOINT", &endpoint);
        let before = proxy.asked().len();
        let _ = download(
            &env,
            &[("all_proxy", format!("{scheme}://{}", proxy.address()))],
        )
        .ok();
        let wanted = endpoint.replace("http://localhost", &format!("SOCKS {host}"));
        let asked = proxy.asked().split_off(before);
        assert!(asked.contains(&wanted), "{asked:?}");
    }
}

#[test]
fn xet_storage_is_reached_through_the_same_proxy() {
    let (cas, hub, proxy) = (Cas::start(), Hub::start(), Proxy::http(None));
    let content = Content::synthetic(600_000, 5).to_bytes().to_vec();
    let hash = cas.store(&content);
    hub.add(Repo::model("org/name").xet("big.bin", content, &hash));
    hub.xet(Some(cas.endpoint()));
    let env = TestEnv::for_hub(&hub);
    // From a file, where the Xet library itself would not find it.
    let file = env.path("work/my.env");
    fs::write(&file, format!("HTTP_PROXY={}\n", proxy.address())).unwrap();
    let output = env
        .run(["download", "org/name", "--env-file", "my.env"])
        .ok();
    assert_eq!(output.said(), "");
    let through = |line: &&String| line.contains(cas.endpoint());
    assert!(
        proxy.asked().iter().filter(through).count() >= 2,
        "{:?}",
        proxy.asked()
    );
    assert_eq!(hub.content_bytes_sent(), 0, "nothing came over plain HTTP");
}
