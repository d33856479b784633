//! Certificate authorities: the user's own, the system's, and the built-in ones.

use std::fs;

use crate::download::errors::in_namespace;
use crate::harness::TestEnv;
use crate::harness::hub::{Content, Hub, Repo, Settings};
use crate::harness::oracle::mounts;

#[test]
fn over_tls_with_the_users_own_authority() {
    let hub = Hub::with(Settings {
        tls: true,
        ..Settings::default()
    });
    hub.add(
        Repo::model("org/name")
            .file("a", "a")
            .lfs("b", Content::synthetic(100_000, 2)),
    );
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        let mut env = TestEnv::for_hub(&hub);
        let pem = env.path("ca.pem");
        fs::write(&pem, hub.ca_pem()).unwrap();
        env.set(variable, &pem);
        env.run(["download", "org/name"]).ok();
    }
    let env = TestEnv::for_hub(&hub);
    let output = env.run(["download", "org/name", "a"]).fails(1);
    assert!(output.stderr().contains("certificate"), "{output}");
}

#[test]
fn a_system_without_authorities_falls_back_to_built_in_ones() {
    let Some(()) = mounts() else {
        return;
    };
    let hub = Hub::with(Settings {
        tls: true,
        ..Settings::default()
    });
    let hidden = "for folder in /etc/ssl /usr/lib/ssl /etc/pki /usr/share/ca-certificates; do \
                  test ! -d $folder || mount -t tmpfs none $folder; done";
    let mut env = TestEnv::for_hub(&hub);
    // The test Hub's authority is not one of Mozilla's: that is why it is refused, not because there are no authorities.
    let output = in_namespace(&env, hidden, "download org/name a").fails(1);
    assert!(output.stderr().contains("UnknownIssuer"), "{output}");
    // If the user names authorities, no others are used.
    let empty = env.path("empty.pem");
    fs::write(&empty, "").unwrap();
    env.set("SSL_CERT_FILE", &empty);
    for output in [
        in_namespace(&env, hidden, "download org/name a"),
        env.run(["download", "org/name", "a"]),
    ] {
        let output = output.fails(1);
        assert!(
            output
                .stderr()
                .contains("no certificate authority is to be found where SSL_CERT_FILE"),
            "{output}"
        );
    }
}
