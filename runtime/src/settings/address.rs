//! Settings that are addresses. A login in one is a secret: [`masked`] is how an address is shown.

use super::value::{Kind, Value};
use ipnet::IpNet;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};
use url::Url;

/// `http://` or `https://`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Value for Address {
    const MUST_BE: &'static str = "an address that begins with http:// or https://";
    const KIND: Kind = Kind::Address;

    fn parse(text: &str) -> Option<Self> {
        with_scheme(text, &["http", "https"]).map(Self)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(self.as_str()))
    }
}

/// `postgres://…`, with its login. Debug shows it without.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress(String);

impl DatabaseAddress {
    /// The address with the login in it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Value for DatabaseAddress {
    const MUST_BE: &'static str = "a PostgreSQL address such as postgres://role:password@host:5432/database";
    const KIND: Kind = Kind::Address;

    fn parse(text: &str) -> Option<Self> {
        with_scheme(text, &["postgres", "postgresql"]).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

/// One or more servers of a cluster, separated by commas, with their login. Debug shows them without.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsAddress(String);

impl NatsAddress {
    /// The addresses with the login in them.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Value for NatsAddress {
    const MUST_BE: &'static str = "a NATS address such as nats://login:password@host:4222";
    const KIND: Kind = Kind::Address;

    fn parse(text: &str) -> Option<Self> {
        let is_one = |part: &str| with_scheme(part, &["nats", "tls", "ws", "wss"]).is_some();
        text.split(',').all(is_one).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for NatsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

/// A name or IP address of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(pub String);

impl Value for Host {
    const MUST_BE: &'static str = "a host name or an IP address";

    fn parse(text: &str) -> Option<Self> {
        let bracketed = if text.parse::<Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() };
        url::Host::parse(&bracketed).ok().map(|host| Self(host.to_string()))
    }
}

/// Origins as browsers send them (`https://chat.example.org`, no path), or every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    Any,
    These(Vec<String>),
}

impl Value for Origins {
    const MUST_BE: &'static str = "origins such as https://chat.example.org, separated by commas, or *";

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let origin = |part: &str| {
            let url = with_scheme(part.trim(), &["http", "https"])?;
            let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            let has_login = !url.username().is_empty() || url.password().is_some();
            (is_bare && !has_login).then(|| url.origin().ascii_serialization())
        };
        text.split(',').map(origin).collect::<Option<_>>().map(Self::These)
    }
}

/// Networks and single addresses, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    pub fn contain(&self, address: IpAddr) -> bool {
        // A socket that listens on both families tells IPv4 peers as IPv6.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl Value for Networks {
    const MUST_BE: &'static str = "IP addresses or networks such as 10.0.0.0/8, separated by commas, or none";

    fn parse(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::default());
        }
        let network = |part: &str| {
            let part = part.trim();
            part.parse::<IpNet>().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))
        };
        text.split(',').map(network).collect::<Option<_>>().map(Self)
    }
}

impl std::str::FromStr for Networks {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(Self::MUST_BE)
    }
}

fn with_scheme(text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    (schemes.contains(&url.scheme()) && has_host).then_some(url)
}

/// The address or addresses (separated by commas) without the logins in them, fit to be shown.
pub fn masked(text: &str) -> String {
    text.split(',').map(masked_one).collect::<Vec<_>>().join(",")
}

fn masked_one(text: &str) -> String {
    // Not an address at all, so nobody knows what in it is the login.
    let Some((scheme, rest)) = text.split_once("://") else { return "****".to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let login = if authority.contains('@') { "****:****@" } else { "" };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // A query may name a password, too.
    let (path, query) = path.split_once('?').map_or((path, ""), |(path, _)| (path, "?****"));
    format!("{scheme}://{login}{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_address_shows_no_login() {
        for (address, shown) in [
            ("postgres://ann:hunter2@db:5432/chat", "postgres://****:****@db:5432/chat"),
            ("postgres://db/chat?password=hunter2", "postgres://db/chat?****"),
            ("nats://t0k3n@one:4222,nats://a:hunter2@two", "nats://****:****@one:4222,nats://****:****@two"),
            ("postgres://a:p@ss@db/chat", "postgres://****:****@db/chat"),
            ("hunter2", "****"),
        ] {
            assert_eq!(masked(address), shown);
        }
        let parsed = DatabaseAddress::parse("postgres://ann:hunter2@db/chat");
        assert_eq!(format!("{parsed:?}"), "Some(postgres://****:****@db/chat)");
    }

    #[test]
    fn an_address_has_the_scheme_of_its_store() {
        assert!(DatabaseAddress::parse("postgresql://db/chat").is_some());
        assert!(NatsAddress::parse("nats://one:4222,tls://two:4222").is_some());
        assert_eq!(DatabaseAddress::parse("mysql://x/y"), None);
        assert_eq!(NatsAddress::parse("http://x"), None);
        assert_eq!(Address::parse("not a url"), None);
    }

    #[test]
    fn an_origin_has_no_path() {
        let these = Origins::parse("http://localhost:5173, https://chat.example.org/");
        let expected = vec!["http://localhost:5173".to_owned(), "https://chat.example.org".to_owned()];
        assert_eq!(these, Some(Origins::These(expected)));
        assert_eq!(Origins::parse("*"), Some(Origins::Any));
        assert_eq!(Origins::parse("https://chat.example.org/app"), None);
        assert_eq!(Origins::parse("https://a.example,"), None);
    }

    #[test]
    fn networks_contain_their_addresses_in_either_family() {
        let networks = Networks::parse("10.0.0.0/8, ::1").unwrap();
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
            assert!(networks.contain(inside.parse().unwrap()), "{inside}");
        }
        assert!(!networks.contain("11.0.0.1".parse().unwrap()));
        assert!(!Networks::parse("none").unwrap().contain("10.0.0.1".parse().unwrap()));
        assert_eq!(Networks::parse("10.0.0.0/33"), None);
    }
}
