//! The errors of the rooms below, with a kind, a sentence and a hint each.

use crate::auth::AuthError;
use crate::cache::remove::targets::TargetError;
use crate::cache::scan::ScanError;
use crate::cache::scan::select::SelectError;
use crate::commands::error::{CliError, ErrorKind, RAISE_LIMIT, sentence};
use crate::config::env::EnvFileError;
use crate::config::settings::SettingsError;
use crate::console::text::escape;
use crate::hub::{CertificateFlaw, HubError, Reason, StatusCode};
use crate::sys::{FsError, reason};
use crate::types::InvalidName;

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        let hint = match error {
            SettingsError::NoHome => "set HF_HOME to the folder for tokens and downloads",
            SettingsError::BadEndpoint(_) => "write it like https://huggingface.co, or unset it",
        };
        CliError::new(ErrorKind::Other, sentence(&error.to_string())).hint(hint)
    }
}

impl From<EnvFileError> for CliError {
    fn from(error: EnvFileError) -> Self {
        let hint = match &error {
            EnvFileError::Read { .. } => "check the path given with --env-file",
            EnvFileError::Malformed { .. } => {
                "write one NAME=value a line, with quotes around values that hold blanks"
            }
        };
        let text = match &error {
            EnvFileError::Read { path, source } => format!(
                "cannot read the file {}: {}",
                escape(&path.display().to_string()),
                reason(source)
            ),
            other => escape(&other.to_string()),
        };
        CliError::new(ErrorKind::Other, sentence(&text)).hint(hint)
    }
}

impl From<InvalidName> for CliError {
    fn from(error: InvalidName) -> Self {
        CliError::new(ErrorKind::Other, sentence(&format!("the {error}")))
    }
}

impl From<FsError> for CliError {
    fn from(error: FsError) -> Self {
        let path = escape(&error.path.display().to_string());
        let reason = reason(&error.source);
        let message = format!("Cannot {} {path}: {reason}.", error.action);
        let made = if error.is_out_of_inodes() {
            CliError::new(ErrorKind::DiskFull, message)
                .hint("`df -i` shows it; remove many small files, or choose another disk with HF_HOME or --cache-dir")
        } else if error.is_disk_full() {
            CliError::new(ErrorKind::DiskFull, message)
                .hint("free some space (`hf cache ls --sort size` shows what uses it) and run the command again: downloaded bytes are kept")
        } else {
            let hint = match error.source.kind() {
                std::io::ErrorKind::PermissionDenied => Some(
                    "check who owns the folder, or choose another one with HF_HOME, HF_HUB_CACHE or --cache-dir",
                ),
                std::io::ErrorKind::FileTooLarge => Some(
                    "`ulimit -f` shows how large files may be in this shell; the file system may have a limit of its own",
                ),
                std::io::ErrorKind::ReadOnlyFilesystem => {
                    Some("choose a writable folder with HF_HOME, HF_HUB_CACHE or --cache-dir")
                }
                _ if crate::sys::limits::is_about_descriptors(&error.source) => Some(RAISE_LIMIT),
                _ => None,
            };
            CliError {
                hint: hint.map(str::to_owned),
                ..CliError::new(ErrorKind::Disk, message)
            }
        };
        made.caused_by(error)
    }
}

/// What to check when there is no answer.
const NETWORK: &str = "check the network, the proxy variables and HF_ENDPOINT";

impl From<HubError> for CliError {
    /// The words for an error that is not about one repository; [`crate::commands`] has better ones
    /// where the repository is known.
    fn from(error: HubError) -> Self {
        let hint = match &error {
            HubError::Offline => "to go online, leave out --offline and unset HF_HUB_OFFLINE",
            HubError::Unreachable { reason, .. } => match reason {
                Reason::Certificate(CertificateFlaw::Time, _) => {
                    "check this machine's clock and date: a certificate is valid only for a limited time"
                }
                Reason::Certificate(CertificateFlaw::Authority, _) => {
                    "if your network has a certificate authority of its own, name its PEM file in SSL_CERT_FILE"
                }
                Reason::ProxyLogin => {
                    "write them into the proxy's address: http://user:password@host:port"
                }
                Reason::NoAnswer | Reason::Broken | Reason::Other(_) => NETWORK,
            },
            HubError::Stalled { .. } => NETWORK,
            HubError::Page { .. } => {
                "does this network want you to log in first? Open any page in a browser; else check HF_ENDPOINT and the proxy variables"
            }
            HubError::NoDescriptors => RAISE_LIMIT,
            HubError::InvalidToken | HubError::ExpiredToken { .. } => {
                "log in again with `hf auth login --force`"
            }
            HubError::Status { status, .. } if status.as_u16() == 429 => {
                "wait a few minutes; logged-in users are allowed more requests"
            }
            HubError::Status { status, .. } if is_permanent(*status) => {
                "the same request will be refused again: check the request, HF_ENDPOINT and the proxy variables"
            }
            HubError::Status { .. } | HubError::LinkExpired | HubError::RangeIgnored => {
                "try again in a moment; https://status.huggingface.co lists outages"
            }
            HubError::Encoding { .. } => {
                "a proxy in between may compress answers: name that host in NO_PROXY to go around it, or choose another server with HF_ENDPOINT"
            }
            HubError::BadAnswer(_) | HubError::Redirect(_) => {
                "check HF_ENDPOINT and the proxy variables: is this really a Hub?"
            }
            HubError::RepoNotFound
            | HubError::RevisionNotFound
            | HubError::EntryNotFound { .. }
            | HubError::Gated { .. }
            | HubError::Disabled
            | HubError::Forbidden { .. }
            | HubError::Setup(_) => "",
        };
        let text = escape(&error.to_string());
        CliError {
            hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
            ..CliError::new(error.kind(), sentence(&text))
        }
        .caused_by(error)
    }
}

impl From<AuthError> for CliError {
    fn from(error: AuthError) -> Self {
        let hint = error.hint();
        match error {
            AuthError::Fs(error) => error.into(),
            AuthError::Hub(error) => error.into(),
            other => CliError {
                hint,
                ..CliError::new(ErrorKind::Other, sentence(&other.to_string()))
            },
        }
    }
}

impl From<ScanError> for CliError {
    fn from(error: ScanError) -> Self {
        let text = sentence(&escape(&error.to_string()));
        match error {
            ScanError::NotFound(_) => CliError::new(ErrorKind::Disk, text).hint(
                "the folder appears with the first download; HF_HUB_CACHE or --cache-dir name another one",
            ),
            ScanError::NotAFolder(_) => CliError::new(ErrorKind::Disk, text)
                .hint("name the cache's folder with HF_HUB_CACHE or --cache-dir"),
            ScanError::Fs(error) => error.into(),
        }
    }
}

impl From<SelectError> for CliError {
    fn from(error: SelectError) -> Self {
        CliError::usage(sentence(&error.to_string()))
    }
}

/// Whether the same request will get the same status again.
fn is_permanent(status: StatusCode) -> bool {
    status.is_client_error() && !crate::hub::retry::is_transient(status)
}

impl From<TargetError> for CliError {
    fn from(error: TargetError) -> Self {
        let hint = match error {
            TargetError::Ambiguous { .. } => "give more digits of the commit",
            TargetError::Name(_) => "write it exactly as one of these",
            TargetError::Mixed => "remove the files first, the rest with a second command",
        };
        CliError::new(ErrorKind::Other, sentence(&escape(&error.to_string()))).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_errors_name_path_and_reason() {
        let error = FsError {
            action: "write",
            path: "/x/y".into(),
            source: std::io::Error::from_raw_os_error(13),
        };
        let error = CliError::from(error);
        assert_eq!(error.message, "Cannot write /x/y: permission denied.");
        assert!(error.hint.is_some());
        let full = FsError {
            action: "write",
            path: "/x".into(),
            source: std::io::Error::from_raw_os_error(28),
        };
        assert_eq!(CliError::from(full).kind, ErrorKind::DiskFull);
    }

    #[test]
    fn a_certificate_of_another_time_points_at_the_clock() {
        let hint = |reason: Reason| {
            let host = "https://h.test".to_owned();
            CliError::from(HubError::Unreachable { host, reason })
                .hint
                .unwrap()
        };
        let refused = |flaw| hint(Reason::Certificate(flaw, "invalid".to_owned()));
        assert!(refused(CertificateFlaw::Time).contains("clock"));
        assert!(refused(CertificateFlaw::Authority).contains("SSL_CERT_FILE"));
        assert!(hint(Reason::ProxyLogin).contains("user:password"));
        assert!(hint(Reason::Other("connection refused".to_owned())).contains("check the network"));
    }

    #[test]
    fn who_will_be_refused_again_is_not_told_to_try_again() {
        for (status, again) in [
            (400, false),
            (404, false),
            (413, false),
            (451, false),
            (408, true),
            (500, true),
            (503, true),
        ] {
            let error = CliError::from(HubError::Status {
                status: StatusCode::from_u16(status).unwrap(),
                message: String::new(),
                request_id: None,
            });
            let hint = error.hint.unwrap();
            assert_eq!(hint.contains("try again"), again, "{status}: {hint}");
        }
    }
}
