//! [`ClientAddress`]: where a request comes from: the peer, or what a trusted proxy says.

use axum::http::HeaderMap;
use runtime::settings::Networks;
use std::net::IpAddr;

/// A request's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// TRUSTED_PROXIES: whose word on where a request comes from is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Networks);

impl Proxies {
    /// Goes back along `X-Forwarded-For` for as long as the one who says so is trusted; what the last trusted proxy saw
    /// is the client, and whatever stands before that could be made up.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default()).collect();
        for word in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.0.contain(client) {
                break;
            }
            let Ok(before) = word.trim().parse::<IpAddr>() else { break };
            client = before.to_canonical();
        }
        ClientAddress(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(proxies: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = Proxies(proxies.parse().expect("networks"));
        let headers =
            forwarded.iter().map(|line| ("x-forwarded-for".parse().expect("name"), HeaderValue::from_static(line)));
        proxies.client(peer.parse().expect("peer"), &headers.collect()).0.to_string()
    }

    #[test]
    fn a_stranger_is_the_peer_whatever_it_says() {
        assert_eq!(client("none", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn behind_a_trusted_proxy_the_nearest_untrusted_address_counts() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["'; DROP TABLE users; --"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    }
}
