//! The proxies that the environment names for HTTP: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and, for
//! those that are reached without, `NO_PROXY`.

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// That of an address, without its password. This machine itself is never reached through one.
pub(super) fn of(url: &Url) -> Result<Option<String>, String> {
    let matcher = Matcher::from_env();
    let uri: Option<Uri> = url.as_str().parse().ok().filter(|_| !is_loopback(url));
    // As the client looks for it.
    let Some(proxy) = uri.and_then(|uri| matcher.intercept(&uri)) else {
        return Ok(None);
    };
    let proxy = proxy.uri();
    match proxy.scheme_str() {
        Some("http" | "https") => Ok(Some(proxy.to_string())),
        _ => Err(format!(
            "the environment names the proxy {proxy}, and SOCKS is not spoken: name one that is \
             http://, or add the host to NO_PROXY"
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    match address {
        Ok(std::net::IpAddr::V4(ip)) => ip.is_loopback(),
        Ok(std::net::IpAddr::V6(ip)) => ip.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_every_name() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("LOCALHOST", true),
            ("a.localhost.", true),
            ("10.0.0.1", false),
            ("[2001:db8::1]", false),
            ("localhost.example", false),
            ("nolocalhost", false),
        ] {
            let url = Url::parse(&format!("http://{host}:2801/")).unwrap();
            assert_eq!(is_loopback(&url), expected, "{host}");
        }
    }
}
