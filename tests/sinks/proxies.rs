//! What the HTTP sinks do with a proxy of the environment. The test runs itself once more for each
//! environment.

use std::{
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
};

use crate::{
    alerts::Alerts,
    delivery::{Delivery, settings},
    peers::SOON,
    replies::scripted,
};

/// Where the alert goes, in the environment of the process that sends it.
const URL: &str = "KUBELET_DETECTOR_TEST_URL";
const NAME: &str = "proxies::a_proxy_of_the_environment_is_used_but_never_for_loopback";

fn hand_over(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let alerts = Alerts::new(1);
    let sinks = settings(&format!("sinks: [{{name: http, http: {{url: '{url}'}}}}]"));
    let mut delivery = Delivery::start(&sinks, &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    delivery.finish();
}

fn sender(url: &str, variable: &str, proxy: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.args(["--exact", NAME, "--nocapture"]);
    command.env(URL, url).env(variable, proxy);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What somebody who sends is asking for.
fn request(requests: &Receiver<Vec<u8>>, mut child: Child) -> (String, Child) {
    match requests.recv_timeout(SOON) {
        Ok(request) => (String::from_utf8(request).unwrap(), child),
        Err(error) => {
            child.kill().unwrap();
            panic!("{error}: {:?}", child.wait_with_output());
        }
    }
}

#[test]
fn a_proxy_of_the_environment_is_used_but_never_for_loopback() {
    if let Ok(url) = std::env::var(URL) {
        return hand_over(&url);
    }
    let taken = || vec!["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()];

    // It gets the alert itself.
    let (address, requests) = scripted(taken());
    let proxy = format!("http://user:word@{address}");
    let child = sender("http://siem.example/in", "HTTP_PROXY", &proxy);
    let (asked, child) = request(&requests, child);
    assert!(
        asked.starts_with("POST http://siem.example/in HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"),
        "{asked}"
    );
    assert!(child.wait_with_output().unwrap().status.success());

    // It gets a name and a port; what follows is for the peer alone.
    let (address, requests) = scripted(vec!["HTTP/1.1 403 Forbidden\r\n\r\n".to_owned()]);
    let proxy = format!("http://{address}");
    let child = sender("https://siem.example:8443/in", "HTTPS_PROXY", &proxy);
    let (asked, mut child) = request(&requests, child);
    assert!(
        asked.starts_with("CONNECT siem.example:8443 HTTP/1.1\r\n"),
        "{asked}"
    );
    child.kill().unwrap();
    child.wait().unwrap();

    // Nobody listens there.
    let (address, requests) = scripted(taken());
    let url = format!("http://{address}/in");
    let child = sender(&url, "ALL_PROXY", "http://127.0.0.1:1");
    let (asked, child) = request(&requests, child);
    assert!(asked.starts_with("POST /in HTTP/1.1\r\n"), "{asked}");
    assert!(child.wait_with_output().unwrap().status.success());

    let child = sender(
        "http://siem.example/in",
        "ALL_PROXY",
        "socks5://127.0.0.1:1",
    );
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("SOCKS is not spoken"), "{error}");
}
