//! Proxies, as the variables name them: which request goes through which.
//!
//! The rules are curl's and Python's: the lower-case name of a variable comes first, `ALL_PROXY`
//! applies to schemes without a variable of their own, `NO_PROXY` holds hosts, domains, addresses and
//! networks, perhaps with a port, that are reached directly. Loopback addresses are no exception: they go through a proxy
//! unless `NO_PROXY` says otherwise.

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::config::env::Env;
use crate::types::{split_scheme, without_userinfo};

/// What may stand before `://`.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// A proxy variable holds something that is no address. Its password is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is not the address of a proxy: {shown:?} (write it like http://host:3128)")]
pub struct BadProxy {
    variable: &'static str,
    shown: String,
}

/// A proxy and where it is from. It may hold a password, so it has no `Debug`.
#[derive(Clone)]
pub struct Proxy {
    /// Its address, perhaps with user name and password.
    pub url: Url,
    variable: &'static str,
}

impl Proxy {
    /// The proxy as it may be shown.
    pub fn shown(&self) -> String {
        let address = without_userinfo(self.url.as_str());
        format!("{} ({})", address.trim_end_matches('/'), self.variable)
    }
}

/// All proxies of a process.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `http://` addresses.
    pub http: Option<Proxy>,
    /// For `https://` addresses.
    pub https: Option<Proxy>,
    /// Hosts that are reached without a proxy: the value of `NO_PROXY`.
    pub no: String,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |proxy: &Option<Proxy>| proxy.as_ref().map(Proxy::shown);
        write!(f, "Proxies({:?}, ", shown(&self.http))?;
        write!(f, "{:?}, {:?})", shown(&self.https), self.no)
    }
}

impl Proxies {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`BadProxy`] for a value that is no address: silently bypassing a proxy would be worse.
    pub fn from_env(env: &Env) -> Result<Self, BadProxy> {
        let read = |names: &[&'static str]| {
            let found = names.iter().find_map(|&name| Some((name, env.get(name)?)));
            found.map(|(name, value)| parse(name, &value)).transpose()
        };
        let all = read(&["all_proxy", "ALL_PROXY"])?;
        // A web server hands a request header `Proxy:` to its programs under this name.
        let is_cgi = env.get("REQUEST_METHOD").is_some();
        let http: &[&str] = if is_cgi {
            &["http_proxy"]
        } else {
            &["http_proxy", "HTTP_PROXY"]
        };
        let no = env.get("no_proxy").or_else(|| env.get("NO_PROXY"));
        let no = no.unwrap_or_default();
        let (http, https) = (read(http)?, read(&["https_proxy", "HTTPS_PROXY"])?);
        // `*` means every host, but the matcher applies it to names only, not to addresses.
        let is_off = no.split(',').any(|host| host.trim() == "*");
        Ok(Proxies {
            http: http.or_else(|| all.clone()).filter(|_| !is_off),
            https: https.or(all).filter(|_| !is_off),
            no,
        })
    }

    /// Whether no variable says anything about proxies.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none() && self.no.is_empty()
    }

    /// The proxy that a request to this address goes through.
    pub fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref()?,
            "https" => self.https.as_ref()?,
            _ => return None,
        };
        let matcher = Matcher::builder()
            .all("http://proxy")
            .no(direct(&self.no, url))
            .build();
        matcher.intercept(&url.as_str().parse().ok()?)?;
        Some(proxy)
    }
}

/// The entries of `NO_PROXY` that may concern this address, in the form that the matcher reads: hosts
/// without a scheme, a port or brackets. Python's client respects schemes and ports, and so do we.
fn direct(no: &str, url: &Url) -> String {
    let entry = |entry: &str| {
        let (scheme, host) = match entry.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, entry),
        };
        // More than one colon belong to an IPv6 address, unless brackets say where it ends.
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
            _ => (host, None),
        };
        let concerns = scheme.is_none_or(|scheme| scheme == "all" || scheme == url.scheme())
            && port.is_none_or(|port| port.parse().ok() == url.port_or_known_default());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        concerns.then(|| host.strip_prefix('*').unwrap_or(host).to_owned())
    };
    let entries: Vec<String> = no.split(',').map(str::trim).filter_map(entry).collect();
    entries.join(",")
}

fn parse(variable: &'static str, value: &str) -> Result<Proxy, BadProxy> {
    let value = value.trim();
    let with_scheme = match split_scheme(value) {
        (Some(_), _) => value.to_owned(),
        (None, _) => format!("http://{value}"),
    };
    let is_proxy = |url: &Url| {
        SCHEMES.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty())
    };
    match Url::parse(&encoded_login(&with_scheme))
        .ok()
        .filter(is_proxy)
    {
        Some(url) => Ok(Proxy { url, variable }),
        None => Err(BadProxy {
            variable,
            shown: without_userinfo(&with_scheme),
        }),
    }
}

/// The address with user name and password in a form that survives its reading: `DOMAIN\user` and a
/// password with `/`, `?` or `#` are written as they are, and would end the host's part. All before
/// the last `@` is meant, as curl takes it.
fn encoded_login(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let Some((login, host)) = rest.rsplit_once('@') else {
        return address.to_owned();
    };
    // A `%` stays: the user has already percent-encoded the rest.
    const LOGIN: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'/')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'@')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    format!("{scheme}://{}@{host}", utf8_percent_encode(login, LOGIN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logins_of_every_kind() {
        for (address, user, password) in [
            ("http://WORK\\bob:pw@p:1", "WORK%5Cbob", Some("pw")),
            ("WORK\\bob:pw@p:1", "WORK%5Cbob", Some("pw")),
            ("http://WORK%5Cbob:pw@p:1", "WORK%5Cbob", Some("pw")),
            ("http://bob@work.test:pw@p:1", "bob%40work.test", Some("pw")),
            ("http://bob:a/b?c#d@p:1", "bob", Some("a%2Fb%3Fc%23d")),
            ("socks5h://WORK\\bob:a:b@p:1", "WORK%5Cbob", Some("a%3Ab")),
            ("http://p:1", "", None),
        ] {
            let url = parse("X", address).unwrap().url;
            let seen = (url.username(), url.password(), url.host_str(), url.port());
            assert_eq!(seen, (user, password, Some("p"), Some(1)), "{address}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever the variables hold, reading them neither panics nor shows a password, and a login
        /// never moves the host.
        #[test]
        fn any_proxy(
            scheme in prop_oneof![Just(""), Just("http://"), Just("socks5h://"), Just("ftp://")],
            user in "[ -~\u{e9}]{0,12}",
            host in prop_oneof![Just("p.test:1".to_owned()), "[ -~]{0,20}"],
            no in prop_oneof!["[ -~]{0,40}", "(\\*?[a-z.]{0,5}|\\[?[0-9a-f:.]{0,9}\\]?)(:[0-9x]{0,6})?(/[0-9]{1,3})?(, ?)?"],
            address in prop_oneof![Just("https://h.test/"), Just("http://10.0.0.1:8080/x"), Just("http://[::1]:9/")],
        ) {
            let address = Url::parse(address).unwrap();
            let value = format!("{scheme}{user}:hunter2@{host}");
            match proxies(&[("ALL_PROXY", &value), ("NO_PROXY", &no)]) {
                Ok(proxies) => {
                    let shown = format!("{proxies:?} {:?}", proxies.of(&address).map(Proxy::shown));
                    prop_assert!(!shown.contains("hunter2"), "{}", shown);
                    let url = parse("X", &value).ok().unwrap().url;
                    if host == "p.test:1" {
                        prop_assert_eq!((url.host_str(), url.port()), (Some("p.test"), Some(1)));
                    }
                }
                Err(error) => prop_assert!(!error.to_string().contains("hunter2"), "{}", error),
            }
        }
    }

    fn proxies(pairs: &[(&str, &str)]) -> Result<Proxies, BadProxy> {
        Proxies::from_env(&Env::from_pairs("/", pairs.iter().copied()))
    }

    #[test]
    fn which_proxy() {
        const HTTPS: (&str, &str) = ("HTTPS_PROXY", "http://p:1");
        for (pairs, address, expected) in [
            (&[][..], "https://h.test/", None),
            (
                &[HTTPS],
                "https://h.test/",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (&[HTTPS], "http://h.test/", None),
            (
                &[("ALL_PROXY", "socks5://p:1")],
                "http://h.test/",
                Some("socks5://p:1 (ALL_PROXY)"),
            ),
            (
                &[HTTPS, ("ALL_PROXY", "q")],
                "https://h.test/",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (
                &[HTTPS, ("https_proxy", "q:2")],
                "https://h.test/",
                Some("http://q:2 (https_proxy)"),
            ),
            (
                &[HTTPS, ("https_proxy", "")],
                "https://h.test/",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (&[HTTPS, ("NO_PROXY", "h.test")], "https://h.test/", None),
            (&[HTTPS, ("NO_PROXY", "x, .test")], "https://h.test/", None),
            (&[HTTPS, ("NO_PROXY", "*")], "https://h.test/", None),
            (&[HTTPS, ("NO_PROXY", "x, *")], "https://10.0.0.1/", None),
            (
                &[HTTPS, ("NO_PROXY", "10.0.0.0/8")],
                "https://10.1.2.3/",
                None,
            ),
            (
                &[HTTPS, ("NO_PROXY", "test.h")],
                "https://h.test/",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (
                &[HTTPS],
                "https://127.0.0.1/",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (
                &[("http_proxy", "http://u:s@p")],
                "http://h.test/",
                Some("http://…@p (http_proxy)"),
            ),
            (
                &[("HTTP_PROXY", "p"), ("REQUEST_METHOD", "GET")],
                "http://h.test/",
                None,
            ),
        ] {
            let proxies = proxies(pairs).unwrap();
            let proxy = proxies.of(&Url::parse(address).unwrap());
            assert_eq!(proxy.map(Proxy::shown).as_deref(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn who_is_asked_directly() {
        for (no, address, is_direct) in [
            ("h.test:8080", "http://h.test:8080/", true),
            ("x,h.test:8080 ,y", "http://h.test:8080/", true),
            ("h.test:8080", "http://a.h.test:8080/", true),
            (".h.test:8080", "http://a.h.test:8080/", true),
            ("h.test:8080", "http://h.test/", false),
            ("h.test:8080", "http://h.test:9/", false),
            ("h.test:8080", "http://other.test:8080/", false),
            // The default port is a port as well, written or not.
            ("h.test:443", "https://h.test/", true),
            ("h.test:443", "http://h.test/", false),
            ("h.test:x", "http://h.test/", false),
            ("h.test:", "http://h.test/", false),
            ("10.0.0.1:8080", "http://10.0.0.1:8080/", true),
            ("10.0.0.1:8080", "http://10.0.0.1/", false),
            ("[::1]:8080", "http://[::1]:8080/", true),
            ("[::1]:8080", "http://[::1]:9/", false),
            ("[::1]", "http://[::1]:8080/", true),
            ("::1", "http://[::1]:8080/", true),
            ("fe80::/10", "http://[fe80::5]/", true),
            ("http://h.test:8080", "http://h.test:8080/", true),
            ("http://h.test", "https://h.test/", false),
            ("all://h.test", "https://h.test/", true),
            ("*.h.test", "https://a.h.test/", true),
            ("h.test", "https://noth.test/", false),
            (",", "https://h.test/", false),
        ] {
            let proxies = proxies(&[("ALL_PROXY", "p"), ("NO_PROXY", no)]).unwrap();
            let proxy = proxies.of(&Url::parse(address).unwrap());
            assert_eq!(proxy.is_none(), is_direct, "{no} {address}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for value in [
            "ftp://u:secret@p",
            "http://",
            "http://u:secret@",
            "u:secret@p:x",
        ] {
            let error = proxies(&[("https_proxy", value)]).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains("https_proxy"), "{error}");
        }
        let good = proxies(&[("all_proxy", "http://u:secret@p")]).unwrap();
        assert!(!format!("{good:?}").contains("secret"));
    }
}
