//! Certificate and key, from PEM files: for those who come to us, and for our own way from the API's port to the edge.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, version,
};

use crate::config::Config;

/// Why TLS can't be turned on.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds no PEM of the kind.
    #[error("{setting}: {path} can't be used: {cause}. It must be a PEM file that this process may read")]
    File {
        /// `tls_cert` or `tls_key`.
        setting: &'static str,
        path: String,
        cause: String,
    },
    /// The certificate and the key don't fit, or are of a kind that is not supported.
    #[error("tls_cert and tls_key: {0}. The key must be the one that the first certificate was issued for")]
    Pair(Error),
}

/// TLS as it is turned on.
#[derive(Clone, Debug)]
pub struct Tls {
    pub server: Arc<ServerConfig>,
    /// For a connection to one of our own ports: it trusts our certificate and no other.
    pub to_ourselves: Arc<ClientConfig>,
}

/// Reads the files that the configuration names; `None`: TLS is off.
///
/// # Errors
/// See [`TlsError`].
pub fn read(config: &Config) -> Result<Option<Tls>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| refused("tls_key", key, &cause))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let ours = Arc::new(Ours { certificate: chain[0].clone(), provider: provider.clone() });
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Pair)?
        .dangerous()
        .with_custom_certificate_verifier(ours)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    Ok(Some(Tls { server: Arc::new(server), to_ourselves: Arc::new(client) }))
}

/// Trusts the certificate that we show ourselves, byte for byte, whatever its names and dates; whoever shows it must
/// still prove that the key is theirs.
#[derive(Debug)]
struct Ours {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Ours {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| refused("tls_cert", path, &cause))?;
    if chain.is_empty() {
        return Err(refused("tls_cert", path, &"it holds no certificate"));
    }
    Ok(chain)
}

fn refused(setting: &'static str, path: &Path, cause: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { setting, path: path.display().to_string(), cause: cause.to_string() }
}
