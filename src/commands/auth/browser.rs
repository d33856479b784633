//! Opening a page in the user's browser, where there is a display.

use url::Url;

use crate::config::env::{self, Env};

/// Opens a page, if there is a screen that can show it; returns whether it was
/// tried. A failure is ignored: the address is on the terminal as well.
pub fn open(env: &Env, page: &Url) -> bool {
    if !has_screen(env) {
        return false;
    }
    let page = page.to_string();
    // On a thread of its own: some openers return only when the browser is closed.
    let opened = std::thread::Builder::new().spawn(move || {
        let options = webbrowser::BrowserOptions::new()
            .with_suppress_output(true)
            .clone();
        let _ =
            webbrowser::open_browser_with_options(webbrowser::Browser::Default, &page, &options);
    });
    opened.is_ok()
}

/// A browser is named, or there is a display and the user did not come from another machine.
fn has_screen(env: &Env) -> bool {
    if env.get(env::BROWSER).is_some() {
        return true;
    }
    if env.get(env::SSH_CONNECTION).is_some() {
        return false;
    }
    cfg!(any(target_os = "macos", windows))
        || env.get(env::DISPLAY).is_some()
        || env.get(env::WAYLAND_DISPLAY).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn where_a_browser_can_be_seen() {
        const X: (&str, &str) = ("DISPLAY", ":0");
        const WAYLAND: (&str, &str) = ("WAYLAND_DISPLAY", "wayland-0");
        const SSH: (&str, &str) = ("SSH_CONNECTION", "1.2.3.4 1 5.6.7.8 22");
        const BROWSER: (&str, &str) = ("BROWSER", "firefox");
        for (vars, expected) in [
            (&[][..], false),
            (&[X], true),
            (&[WAYLAND], true),
            (&[X, SSH], false),
            (&[SSH, BROWSER], true),
        ] {
            let env = Env::from_pairs("/", vars.iter().copied());
            assert_eq!(has_screen(&env), expected, "{vars:?}");
        }
    }
}
