//! [`Ports`]: what a process listens on, taken before anything else is started, so that a port in use is told at once.

use runtime::settings::{Port, Server};
use std::{
    io,
    net::{IpAddr, TcpListener},
};

/// The listeners, in tokio's mode (not blocking).
#[derive(Debug)]
pub struct Ports {
    pub api: TcpListener,
    pub realtime: TcpListener,
    pub metrics: TcpListener,
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("port {port} is in use on {address}: set {name} to another one")]
    InUse { name: &'static str, port: u16, address: IpAddr },
    #[error("{name}: can't listen on {address} port {port}: {source}")]
    Refused { name: &'static str, port: u16, address: IpAddr, source: io::Error },
}

impl Ports {
    pub fn take(server: &Server, address: IpAddr) -> Result<Self, ListenError> {
        Ok(Self {
            api: listen("PORT", address, server.port)?,
            realtime: listen("REALTIME_PORT", address, server.realtime_port)?,
            metrics: listen("METRICS_PORT", address, server.metrics_port)?,
        })
    }
}

/// `name` is the setting that the port came from.
pub fn listen(name: &'static str, address: IpAddr, Port(port): Port) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind((address, port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { name, port, address },
        _ => ListenError::Refused { name, port, address, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_port_in_use_is_named_with_its_setting() {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let taken = TcpListener::bind((address, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen("METRICS_PORT", address, Port(port)).expect_err("it is in use").to_string();
        assert_eq!(error, format!("port {port} is in use on 127.0.0.1: set METRICS_PORT to another one"));
    }
}
