//! TLS to a peer: the system's authorities or given ones, and a certificate of our own.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::sink::settings::TlsSettings;

pub(super) fn config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(settings)?);
    match (&settings.certificate, &settings.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("no key can be read of {}: {error}", key.display()))?;
            let path = certificate.display();
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the certificate {path} cannot be used: {error}"))
        }
        _ => Err("`tls.certificate` and `tls.key` need each other".to_owned()),
    }
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("no authority in {}: {error}", path.display()))?;
            }
        }
        // Where the system has none, a peer with TLS is refused later, and one without is not.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{} has no certificate", path.display())),
        Ok(found) => Ok(found),
        Err(error) => {
            let path = path.display();
            Err(format!("no certificate can be read of {path}: {error}"))
        }
    }
}
