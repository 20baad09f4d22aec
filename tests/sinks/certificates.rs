//! An authority, and what it signs for a server and a client.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// What the server's certificate is of: not of the address that it is reached by.
const SERVER: &str = "siem.example";

/// Files in PEM.
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) client_key: PathBuf,
}

impl Certificates {
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca = folder.join("ca.pem");
        fs::write(&ca, authority.pem()).unwrap();
        let signed = |name: &str, purpose| {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![purpose];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            let (path, key_path) = (
                folder.join(format!("{name}.pem")),
                folder.join(format!("{name}.key")),
            );
            fs::write(&path, certificate.pem()).unwrap();
            fs::write(&key_path, key.serialize_pem()).unwrap();
            (path, key_path)
        };
        let (server, server_key) = signed(SERVER, ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = signed("node-1", ExtendedKeyUsagePurpose::ClientAuth);
        Self {
            ca,
            server,
            server_key,
            client,
            client_key,
        }
    }

    /// For a server of ours that asks its clients for a certificate.
    pub(crate) fn arguments(&self) -> [&str; 6] {
        [
            "--certificate",
            self.server.to_str().unwrap(),
            "--key",
            self.server_key.to_str().unwrap(),
            "--authority",
            self.ca.to_str().unwrap(),
        ]
    }

    /// Instead of those that the documentation names.
    pub(crate) fn words(&self) -> Vec<(&str, &str)> {
        vec![
            ("/etc/kubelet-detector/ca.pem", self.ca.to_str().unwrap()),
            (
                "/etc/kubelet-detector/client.pem",
                self.client.to_str().unwrap(),
            ),
            (
                "/etc/kubelet-detector/client.key",
                self.client_key.to_str().unwrap(),
            ),
        ]
    }
}
