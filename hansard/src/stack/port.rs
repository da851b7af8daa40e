//! Ports of the embedded servers, on the loopback.

use runtime::id::Ids;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// Below the range from which the kernel gives ports to outgoing connections, so that none of them takes one of ours
/// while its server is down.
const FIRST: u16 = 15_000;
const COUNT: u16 = 16_000;

/// Any port of the range.
pub fn draw(ids: &dyn Ids) -> u16 {
    FIRST + u16::from_le_bytes(ids.random_bytes()) % COUNT
}

/// This port where it is free, else another one.
pub fn free(mut port: u16, ids: &dyn Ids) -> u16 {
    while TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        port = draw(ids);
    }
    port
}

/// As [`free`], but not that other one.
pub fn free_beside(mut port: u16, other: u16, ids: &dyn Ids) -> u16 {
    loop {
        port = free(port, ids);
        if port != other {
            return port;
        }
        port = draw(ids);
    }
}

pub fn is_open(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::id::SystemIds;

    #[test]
    fn a_taken_port_is_exchanged_for_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(is_open(port));
        let other = free(port, &SystemIds);
        assert_ne!(other, port);
        assert!((FIRST..FIRST + COUNT).contains(&other));
        drop(taken);
        assert_eq!(free(port, &SystemIds), port, "a free port is kept");
        assert_ne!(free_beside(port, port, &SystemIds), port);
    }
}
