//! TLS to a peer: the system's authorities or given ones, and a certificate of our own.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

use crate::{
    files::{self, MAX_SIZE},
    sink::settings::TlsSettings,
};

pub(in crate::sink) fn config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots(settings)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &settings.server_name {
        None => builder.with_root_certificates(roots),
        Some(name) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| format!("nobody is trusted, give `tls.ca`: {error}"))?;
            let name = server_name(name)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Named { name, verifier }))
        }
    };
    match (&settings.certificate, &settings.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let shown = key.display();
            let key = PrivateKeyDer::from_pem_slice(&pem(key, "key")?).map_err(|error| {
                format!("no key can be read of {shown}, give a file in PEM: {error}")
            })?;
            let path = certificate.display();
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("{path} and {shown} are no pair: {error}"))
        }
        _ => Err("`tls.certificate` and `tls.key` need each other".to_owned()),
    }
}

pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|error| format!("`{name}` is no name of a server: {error}"))
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{} has no authority: {error}", path.display()))?;
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
    let bytes = pem(path, "certificate")?;
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => {
            let path = path.display();
            Err(format!("{path} has no certificate, give a file in PEM"))
        }
        Ok(found) => Ok(found),
        Err(error) => {
            let path = path.display();
            Err(format!(
                "no certificate can be read of {path}, give a file in PEM: {error}"
            ))
        }
    }
}

/// `what` is to be in it.
fn pem(path: &Path, what: &str) -> Result<Vec<u8>, String> {
    files::read(path, MAX_SIZE).map_err(|error| {
        let path = path.display();
        format!("no {what} can be read of {path}, give a file in PEM: {error}")
    })
}

/// The peer's certificate has this name, whatever it is reached by.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier
            .verify_server_cert(certificate, above, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
