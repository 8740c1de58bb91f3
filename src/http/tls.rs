//! The certificates of the API: those that the server shows, and those that its client trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

/// Why a certificate or a key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is no PEM.
    #[error("{path}: {cause}; a file in PEM is wanted", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{path}: there is no certificate in it", path = .0.display())]
    Empty(PathBuf),
    /// The certificate and the key do not fit, or are of a kind that is not known.
    #[error("{path}: {cause}", path = path.display())]
    Refused {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Error,
    },
}

/// What a server proves itself with.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(super) Arc<ServerConfig>);

/// Whom a client trusts.
#[derive(Clone, Debug)]
pub struct ClientTls(pub(super) Arc<ClientConfig>);

impl ServerTls {
    /// Reads the chain of certificates, the server's own first, and the key of that.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let key_of = PrivateKeyDer::from_pem_file(key).map_err(|cause| TlsError::File { path: key.to_owned(), cause })?;
        let refused = |cause| TlsError::Refused { path: certificate.to_owned(), cause };
        let versions =
            ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().map_err(refused)?;
        versions.with_no_client_auth().with_single_cert(chain, key_of).map(|config| Self(Arc::new(config))).map_err(refused)
    }
}

impl ClientTls {
    /// Trusts the certificates in `path`, and whom they vouch for.
    pub fn trusting(path: &Path) -> Result<Self, TlsError> {
        let refused = |cause| TlsError::Refused { path: path.to_owned(), cause };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(refused)?;
        }
        let versions =
            ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().map_err(refused)?;
        Ok(Self(Arc::new(versions.with_root_certificates(roots).with_no_client_auth())))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |cause| TlsError::File { path: path.to_owned(), cause };
    let all = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}
