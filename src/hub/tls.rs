//! Certificate authorities for https: those of the operating system and those the user added.
//!
//! Reading the system's authorities takes up to ten milliseconds (hundreds of small files), longer
//! than the rest of a start. So a thread of their own reads them while the first connection is being
//! made. Without https they are not read.
//!
//! On a system that has none (a slim container image) this falls back to Mozilla's, which the Python
//! client contains as well. It does not when the user named a file or folder: that has to be right.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use crate::config::settings::CaBundle;

/// A variable that replaces the system's authorities names a place without certificates.
#[derive(Debug, thiserror::Error)]
#[error("no certificate authority is to be found where SSL_CERT_FILE or SSL_CERT_DIR points")]
struct NothingNamed;

/// A variable that adds authorities names a place without certificates.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{variable} names {}, {reason}", path.display())]
pub struct BadBundle {
    pub(super) variable: &'static str,
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

/// The configuration of TLS for HTTP/1.1. `bundle` adds certificate authorities.
/// `is_system_replaced` says that the user named authorities in place of the system's; the verifier
/// reads those variables itself. `is_near` says that a connection is needed soon.
///
/// # Errors
/// The crypto library has no version of TLS. Problems with authorities, the added ones included, are
/// errors of the first connection: a command without one does not read them.
pub fn config(
    bundle: Option<CaBundle>,
    is_system_replaced: bool,
    is_near: bool,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Arc::new(Trust {
        provider: Arc::clone(&provider),
        bundle,
        is_system_replaced,
        verifier: OnceLock::new(),
    });
    if is_near {
        let trust = Arc::clone(&trust);
        // If no thread can be started, they are read when they are needed.
        let _ = std::thread::Builder::new()
            .name("authorities".to_owned())
            .spawn(move || drop(trust.verifier()));
    }
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(trust)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The same, with HTTP/2 offered as well.
pub fn with_http2(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.alpn_protocols.insert(0, b"h2".to_vec());
    config
}

/// The system's certificate verifier, set up at its first use.
#[derive(Debug)]
struct Trust {
    provider: Arc<CryptoProvider>,
    bundle: Option<CaBundle>,
    is_system_replaced: bool,
    verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>, Error>>,
}

impl Trust {
    fn verifier(&self) -> Result<&dyn ServerCertVerifier, Error> {
        match self.verifier.get_or_init(|| self.make()) {
            Ok(verifier) => Ok(verifier.as_ref()),
            Err(error) => Err(error.clone()),
        }
    }

    fn make(&self) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let extra = match &self.bundle {
            Some(bundle) => {
                authorities(bundle).map_err(|bad| Error::Other(OtherError(Arc::new(bad))))?
            }
            None => Vec::new(),
        };
        match Verifier::new_with_extra_roots(extra, Arc::clone(&self.provider)) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            // The added authorities are valid: the failure is that the system has none.
            Err(_) if self.is_system_replaced => {
                Err(Error::Other(OtherError(Arc::new(NothingNamed))))
            }
            Err(_) => self.of_mozilla(),
        }
    }

    fn of_mozilla(&self) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(verifier)
    }
}

/// The certificates in a file, or in the files of a folder (hashed as OpenSSL wants them, or not). In
/// a folder, other files and damaged ones are skipped, as OpenSSL does.
fn authorities(bundle: &CaBundle) -> Result<Vec<CertificateDer<'static>>, BadBundle> {
    let bad = |reason: String| BadBundle {
        variable: bundle.variable,
        path: bundle.path.clone(),
        reason,
    };
    let unreadable = |error| {
        bad(format!(
            "which cannot be read: {}",
            crate::sys::reason(&error)
        ))
    };
    let mut found = Vec::new();
    if bundle.path.is_dir() {
        let entries = fs::read_dir(&bundle.path).map_err(unreadable)?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_unstable();
        for text in files.iter().filter_map(|file| read(file).ok()) {
            found.extend(
                CertificateDer::pem_slice_iter(&text)
                    .flatten()
                    .filter(is_usable),
            );
        }
        // A hashed folder has two names for each file.
        let mut seen = HashSet::new();
        found.retain(|certificate| seen.insert(certificate.to_vec()));
    } else {
        let text = read(&bundle.path).map_err(unreadable)?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.ok().filter(is_usable);
            found.push(
                certificate.ok_or_else(|| bad("which holds a damaged certificate".to_owned()))?,
            );
        }
    }
    match found.is_empty() {
        true => Err(bad("which holds no certificate in PEM".to_owned())),
        false => Ok(found),
    }
}

/// The content of a regular file, up to a size that is above that of all authorities together.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    const LARGEST: u64 = 64 << 20;
    // The kind is checked first: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// Only the certificate itself needs the authorities; the crypto library checks signatures.
impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = self.verifier()?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate of an authority made for this test.
    fn authority() -> String {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn files_and_folders_of_authorities() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (first, second) = (authority(), authority());
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(at("two.pem"), format!("Some words.\n{first}\n{second}")).unwrap();
        fs::write(at("damaged.pem"), format!("{first}{damaged}")).unwrap();
        fs::write(at("words.pem"), "no certificate").unwrap();
        fs::create_dir(at("hashed")).unwrap();
        fs::write(at("hashed/one.crt"), &first).unwrap();
        fs::hard_link(at("hashed/one.crt"), at("hashed/1a2b3c4d.0")).unwrap();
        fs::write(at("hashed/README"), "words").unwrap();
        fs::write(at("hashed/damaged"), damaged).unwrap();
        fs::create_dir(at("hashed/folder")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        for (name, expected) in [
            ("two.pem", Ok(2)),
            ("hashed", Ok(1)),
            ("damaged.pem", Err("which holds a damaged certificate")),
            ("words.pem", Err("which holds no certificate in PEM")),
            ("empty", Err("which holds no certificate in PEM")),
            (
                "missing",
                Err("which cannot be read: no such file or directory"),
            ),
        ] {
            let bundle = CaBundle {
                variable: "THE_VARIABLE",
                path: at(name),
            };
            let seen = authorities(&bundle);
            match (&seen, expected) {
                (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{name}"),
                (Err(bad), Err(reason)) => assert_eq!(
                    bad.to_string(),
                    format!("THE_VARIABLE names {}, {reason}", at(name).display())
                ),
                _ => panic!("{name}: {seen:?}"),
            }
            assert!(
                config(Some(bundle), false, false).is_ok(),
                "not before it is used"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

        /// Any bytes, and a certificate with damage anywhere: it is read or refused, and what is read is usable.
        #[test]
        fn any_file_of_authorities(
            (cut, at, byte) in (0_usize..700, 0_usize..700, proptest::prelude::any::<u8>()),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        ) {
            static WHOLE: std::sync::LazyLock<String> = std::sync::LazyLock::new(authority);
            let folder = tempfile::tempdir().unwrap();
            let mut text = WHOLE.as_bytes()[..cut.min(WHOLE.len())].to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            text.extend(noise);
            let path = folder.path().join("ca.pem");
            fs::write(&path, text).unwrap();
            for path in [path, folder.path().to_path_buf()] {
                let variable = "THE_VARIABLE";
                if let Ok(found) = authorities(&CaBundle { variable, path }) {
                    proptest::prop_assert!(!found.is_empty() && found.iter().all(is_usable));
                }
            }
        }
    }
}
