//! Encrypted connections by rustls, where they are compiled in.

use scylla::client::session_builder::SessionBuilder;
use std::path::Path;

/// A session whose nodes prove their address by a certificate of the authorities in a file of PEM certificates.
#[cfg(feature = "tls")]
pub(crate) fn encrypted(builder: SessionBuilder, authorities: &Path) -> Result<SessionBuilder, String> {
    Ok(builder.tls_context(Some(certificates::believing(authorities)?)))
}

/// This program cannot encrypt; it does not connect without that where it was asked for.
#[cfg(not(feature = "tls"))]
pub(crate) fn encrypted(_: SessionBuilder, _: &Path) -> Result<SessionBuilder, String> {
    Err("tls_ca asks for encrypted connections, and this program was built without them: build it with the feature \
         cassandra-tls, or let the connections run through a tunnel"
        .to_owned())
}

#[cfg(feature = "tls")]
mod certificates {
    use rustls::crypto::ring;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, RootCertStore};
    use std::path::Path;
    use std::sync::Arc;

    /// Nodes prove their address by a certificate of the authorities in a file of PEM certificates.
    ///
    /// Fails where the file cannot be read or has no certificate.
    pub(super) fn believing(authorities: &Path) -> Result<Arc<ClientConfig>, String> {
        let unreadable = |what: &dyn std::fmt::Display| format!("tls_ca {}: {what}", authorities.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authorities).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"no certificate is in it"));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}
