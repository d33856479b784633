//! `hf alias`: making, finding and removing the legacy name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Output, TestEnv};

const SCRIPT: &str =
    "#!/usr/bin/python3\nfrom huggingface_hub.commands.huggingface_cli import main\n";

/// The program in a folder of its own, `bin`, which is first in PATH.
struct Installed {
    env: TestEnv,
}

impl Installed {
    fn new() -> Self {
        let mut env = TestEnv::new();
        env.install("bin/hf");
        fs::create_dir(env.path("other")).unwrap();
        let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
        env.set("PATH", path);
        Self { env }
    }

    fn run(&self, args: &[&str]) -> Output {
        let args = ["alias"].iter().chain(args);
        self.env.program(self.env.path("bin/hf"), args).run()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.env.path(path)
    }

    fn script(&self, path: &str) {
        fs::write(self.at(path), SCRIPT).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn the_link_is_made_used_and_removed() {
    let here = Installed::new();
    let link = here.at("bin/huggingface-cli");
    let none = here.run(&[]).ok();
    assert_eq!(none.stdout(), "There is no huggingface-cli in PATH.\n");
    assert_eq!(here.run(&["--json"]).ok().stdout(), "[]\n");
    assert!(none.stderr().contains("hf alias add"), "{none}");
    let made = here.run(&["add", "--json"]).ok();
    assert_eq!(
        made.json(),
        json!({"path": link, "points_to": here.at("bin/hf"), "used": true})
    );
    assert_eq!(made.stderr(), "");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("hf"));
    let version = here
        .env
        .program("sh", ["-c", "huggingface-cli version"])
        .run()
        .ok();
    assert!(version.stdout().starts_with("huggingface_hub version: "));
    // Again: nothing changes.
    assert_eq!(
        here.run(&["add", "-q"]).ok().stdout(),
        format!("{}\n", link.display())
    );
    let listed = here.run(&["list", "--json"]).ok();
    assert_eq!(
        listed.json(),
        json!([{"path": link, "what": "link to this tool", "used": true}])
    );
    let removed = here.run(&["remove", "--json"]).ok();
    assert_eq!(removed.json(), json!({"path": link, "removed": true}));
    assert!(fs::symlink_metadata(&link).is_err());
    assert_eq!(here.run(&["rm", "--json"]).ok().json()["removed"], false);
}

#[test]
fn what_is_not_ours_is_replaced_only_when_asked() {
    let here = Installed::new();
    let link = here.at("bin/huggingface-cli");
    here.script("bin/huggingface-cli");
    let refused = here.run(&["add"]).fails(1);
    assert!(
        refused
            .stderr()
            .contains("is the script of the Python client"),
        "{refused}"
    );
    assert!(refused.stderr().contains("--force"), "{refused}");
    here.run(&["remove"]).fails(1);
    assert_eq!(fs::read_to_string(&link).unwrap(), SCRIPT);
    here.run(&["add", "--force"]).ok();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("hf"));
    assert_eq!(fs::read_dir(here.at("bin")).unwrap().count(), 2);
    for (make, expected) in [
        (
            &(|path: &Path| symlink("absent", path).unwrap()) as &dyn Fn(&Path),
            "is a link to nothing",
        ),
        (
            &|path| fs::write(path, "mine").unwrap(),
            "is some other program",
        ),
        (&|path| fs::create_dir(path).unwrap(), "is a folder"),
    ] {
        fs::remove_file(&link).unwrap();
        make(&link);
        for args in [&["add"][..], &["remove"]] {
            let refused = here.run(args).fails(1);
            assert!(refused.stderr().contains(expected), "{refused}");
        }
        if link.is_dir() {
            here.run(&["add", "--force"]).fails(1);
            assert!(link.is_dir());
        } else {
            here.run(&["add", "--force"]).ok();
        }
    }
}

#[test]
fn it_tells_where_path_leads() {
    let mut here = Installed::new();
    let other = here.at("other").display().to_string();
    let outside = here.run(&["add", "--dir", &other]).ok();
    assert!(outside.stderr().contains("is not in PATH"), "{outside}");
    assert_eq!(
        fs::read_link(here.at("other/huggingface-cli")).unwrap(),
        here.at("bin/hf").canonicalize().unwrap()
    );
    let path = format!("{other}:{}", here.at("bin").display());
    here.env.set("PATH", path);
    here.run(&["remove", "--dir", &other]).ok();
    here.script("other/huggingface-cli");
    let shadowed = here.run(&["add"]).ok();
    assert!(
        shadowed
            .stderr()
            .contains("other/huggingface-cli first (Python client)"),
        "{shadowed}"
    );
    let listed = here.run(&["--format", "agent"]).ok();
    let root = here.env.root().display().to_string();
    assert_eq!(
        listed.stdout().replace(&root, "[ROOT]"),
        "path\twhat\tused\n[ROOT]/other/huggingface-cli\tPython client\tTrue\n\
         [ROOT]/bin/huggingface-cli\tlink to this tool\tFalse\n"
    );
    // A file that cannot be run is no obstacle.
    fs::set_permissions(
        here.at("other/huggingface-cli"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert_eq!(here.run(&["add", "--json"]).ok().json()["used"], true);
}

#[test]
fn the_program_itself_is_never_removed() {
    let here = Installed::new();
    fs::rename(here.at("bin/hf"), here.at("other/huggingface-cli")).unwrap();
    symlink("../other/huggingface-cli", here.at("bin/hf")).unwrap();
    let other = here.at("other").display().to_string();
    let refused = here.run(&["remove", "--dir", &other]).fails(1);
    assert!(
        refused.stderr().contains("this program itself"),
        "{refused}"
    );
    assert!(here.at("other/huggingface-cli").exists());
    here.run(&["add", "--dir", &other, "--force"]).ok();
    assert!(here.at("other/huggingface-cli").is_file());
    here.run(&["add", "--dir", "absent"]).fails(1);
}
