//! Where the API is served, to whom, and what it hides.

use std::net::SocketAddr;

use super::Metrics;
use super::section::section;

section! {
    /// The JSON API, which names users and calls. Without `listen` it is served with the metrics, to this host alone.
    Api in "api" {
        /// Another address for the API and the metrics. One that other hosts reach needs a token.
        listen: Option<SocketAddr> = None;
        /// A file with the token, at least 16 characters, that whoever reads the API must show: "Authorization: Bearer TOKEN".
        /// Make one with: openssl rand -hex 32
        token_file: String = String::new();
        /// The certificate that `listen` shows, with its chain, in PEM; without one the API is plain HTTP.
        tls_certificate: String = String::new();
        /// The key of the certificate, in PEM.
        tls_key: String = String::new();
    }
}

section! {
    /// What is hidden in whatever leaves siphound.
    Privacy in "privacy" {
        /// Whether numbers of people are replaced by pseudonyms that keep their last two digits.
        mask_numbers: bool = false;
    }
}

/// A key of the section that cannot stand as it is, and what it may be.
pub(super) type Objection = (&'static str, &'static str);

impl Api {
    /// What does not fit together, the metrics included.
    pub(super) fn objections(&self, metrics: &Metrics) -> Vec<Objection> {
        let mut objections = Vec::new();
        if metrics.names_somebody() && !metrics.listen.ip().is_loopback() {
            objections.extend(["metrics.site_labels", "metrics.aor_labels"].map(|key| (key, Metrics::LABELS_ALLOWED)));
        }
        let exposed = self.listen.is_some_and(|address| !address.ip().is_loopback());
        if exposed && self.token_file.is_empty() {
            let allowed = "an address of this host alone, such as 127.0.0.1:15061, unless api.token_file names the file of a token; \
                           api.tls_certificate with api.tls_key hides it on the way";
            objections.push(("api.listen", allowed));
        }
        if self.listen == Some(metrics.listen) {
            objections.push(("api.listen", "nothing, or another address than metrics.listen"));
        }
        if !self.tls_certificate.is_empty() && self.tls_key.is_empty() {
            objections.push(("api.tls_certificate", "nothing, or api.tls_key with it"));
        }
        if !self.tls_key.is_empty() && self.tls_certificate.is_empty() {
            objections.push(("api.tls_key", "nothing, or api.tls_certificate with it"));
        }
        if !self.tls_certificate.is_empty() && self.listen.is_none() {
            objections.push(("api.tls_certificate", "nothing, unless api.listen is given: the metrics are plain HTTP"));
        }
        objections
    }
}
