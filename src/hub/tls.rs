//! Whom to trust over https: the authorities of the operating system and those the user added.
//!
//! Reading the system's authorities takes up to ten milliseconds (hundreds of small files), longer
//! than all else that a start does. So they are read on a thread of their own while the first
//! connection is being made, and not at all when nothing is encrypted.
//!
//! A system that has none (a slim container image) is lent those of Mozilla, which the Python client
//! carries as well; not so when the user named a file or folder of them, which has to be right.

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

/// The variables that name authorities to use instead of the system's hold none.
#[derive(Debug, thiserror::Error)]
#[error("no certificate authority is to be found where SSL_CERT_FILE or SSL_CERT_DIR points")]
struct NothingNamed;

/// The configuration of TLS for HTTP/1.1. `extra_ca` adds certificate authorities, in PEM;
/// `is_system_replaced` says that the user named others than the system's, which the verifier finds
/// by itself; `is_near` that a connection will be needed soon.
///
/// # Errors
/// An added authority is unusable, in words. Trouble with those of the system shows on the first
/// connection.
pub fn config(
    extra_ca: Option<&[u8]>,
    is_system_replaced: bool,
    is_near: bool,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut extra = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(extra_ca.unwrap_or_default()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        let added = RootCertStore::empty().add(certificate.clone());
        added.map_err(|error| error.to_string())?;
        extra.push(certificate);
    }
    let trust = Arc::new(Trust {
        provider: Arc::clone(&provider),
        extra,
        is_system_replaced,
        verifier: OnceLock::new(),
    });
    if is_near {
        let trust = Arc::clone(&trust);
        // Without a thread to spare they are read when they are needed.
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

/// The system's own judgement of certificates, set up when it is first asked.
#[derive(Debug)]
struct Trust {
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
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
        let extra = self.extra.iter().cloned();
        match Verifier::new_with_extra_roots(extra, Arc::clone(&self.provider)) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            // The added authorities were found good before: what fails is that there are none.
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

/// Only the certificate itself needs the authorities; signatures are the crypto library's matter.
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

    #[test]
    fn added_authorities_are_looked_at_at_once() {
        assert!(config(None, false, false).is_ok());
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(config(Some(text.as_bytes()), false, false).is_err());
    }
}
