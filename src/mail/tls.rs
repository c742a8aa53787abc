//! What TLS trusts when it talks to a relay.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};
use secrecy::ExposeSecret;

use crate::mail::relay::Identity;

/// Makes the settings that verify a relay's certificate: by the system's roots, and by `extra_pem` where an operator has a CA of his own.
/// Reading the system's roots takes milliseconds: do it once per relay.
///
/// # Errors
/// The text says what is wrong with `extra_pem`, or that there is no root at all.
pub(super) fn verifying(extra_pem: Option<&[u8]>, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(pem) = extra_pem {
        let mut n_extra = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| format!("the extra CA is no PEM: {e}"))?;
            roots
                .add(certificate)
                .map_err(|e| format!("the extra CA holds a certificate that is no CA: {e}"))?;
            n_extra += 1;
        }
        if n_extra == 0 {
            return Err("the extra CA holds no certificate in PEM".to_owned());
        }
    }
    if roots.is_empty() {
        return Err("the system has no root certificates; install ca-certificates".to_owned());
    }
    show(builder().with_root_certificates(roots), identity)
}

/// Makes the settings for `opportunistic`: encrypted, whoever is at the other end. Whoever sits in between could as well strike out the
/// offer of STARTTLS, so that verifying would cost mails and win nothing.
pub(super) fn unverified(identity: Option<&Identity>) -> Result<Arc<ClientConfig>, String> {
    let verifier = Arc::new(Anyone(Arc::new(ring::default_provider())));
    show(builder().dangerous().with_custom_certificate_verifier(verifier), identity)
}

/// Adds what is shown to a relay that asks who we are.
fn show(config: ConfigBuilder<ClientConfig, WantsClientCert>, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, String> {
    let Some(identity) = identity else {
        return Ok(Arc::new(config.with_no_client_auth()));
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&identity.certificates).collect();
    let chain = chain.map_err(|e| format!("our certificate is no PEM: {e}"))?;
    if chain.is_empty() {
        return Err("our certificate's file holds no certificate in PEM".to_owned());
    }
    let key =
        PrivateKeyDer::from_pem_slice(identity.key.expose_secret().as_bytes()).map_err(|e| format!("our private key is no PEM: {e}"))?;
    let config = config
        .with_client_auth_cert(chain, key)
        .map_err(|e| format!("our certificate and private key do not fit: {e}"))?;
    Ok(Arc::new(config))
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
}

#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
