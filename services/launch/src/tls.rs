//! Certificate and key, from PEM files.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto, version};

use crate::config::Config;

/// Why TLS can't be turned on.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds no PEM of the kind.
    #[error("{setting}: {path} can't be used: {cause}. It must be a PEM file that this process may read")]
    File {
        /// `tls_cert` or `tls_key`.
        setting: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// The certificate and the key don't fit, or are of a kind that is not supported.
    #[error("tls_cert and tls_key: {0}. The key must be the one that the first certificate was issued for")]
    Pair(tokio_rustls::rustls::Error),
}

/// Reads the files that the configuration names; `None`: TLS is off.
///
/// # Errors
/// See [`TlsError`].
pub fn read(config: &Config) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| refused("tls_key", key, &cause))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    built.map(|config| Some(Arc::new(config))).map_err(TlsError::Pair)
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
