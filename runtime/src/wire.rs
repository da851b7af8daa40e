//! [`Wire`]: a connection that can be cut from outside, whatever its reader and writer wait for, and whose WebSocket
//! close frame can be given a code where the library that writes it has none to give.

use futures::task::AtomicWaker;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const WHOLE: u32 = 0;
/// No close code is as high.
const CUT: u32 = u32::MAX;
/// A server's close frame without a code (RFC 6455, section 5.5.1): the last thing that is written.
const CLOSE_WITHOUT_CODE: [u8; 2] = [0x88, 0x00];

pub struct Wire<S> {
    stream: S,
    state: Arc<State>,
    /// What stands for bytes that were taken already, and is still to be written.
    rewritten: Vec<u8>,
}

#[derive(Default)]
struct State {
    /// [`WHOLE`], [`CUT`], or the code of the close frame to come.
    fate: AtomicU32,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// The other end of a [`Wire`]'s handle: a request's extension. Does nothing once the connection is gone.
#[derive(Clone, Debug)]
pub struct WireCutter(Weak<State>);

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl WireCutter {
    /// The WebSocket close frame that is written next, and has no code, gets this one.
    pub fn name_close(&self, code: u16) {
        if let Some(state) = self.0.upgrade() {
            // A connection that is cut already stays so.
            let _ = state.fate.compare_exchange(WHOLE, code.into(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Reading and writing fail from now on, those under way included.
    pub fn cut(&self) {
        if let Some(state) = self.0.upgrade() {
            state.fate.store(CUT, Ordering::Release);
            state.reader.wake();
            state.writer.wake();
        }
    }
}

impl<S> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, state: Arc::default(), rewritten: Vec::new() }
    }
    pub fn cutter(&self) -> WireCutter {
        WireCutter(Arc::downgrade(&self.state))
    }
    fn fate(&self) -> io::Result<Option<u16>> {
        match self.state.fate.load(Ordering::Acquire) {
            WHOLE => Ok(None),
            CUT => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut")),
            code => Ok(u16::try_from(code).ok()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.state.reader.register(cx.waker());
        self.fate()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn write_rewritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rewritten.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.rewritten))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rewritten.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.state.writer.register(cx.waker());
        let fate = self.fate()?;
        ready!(self.write_rewritten(cx))?;
        match (fate, buf.strip_suffix(&CLOSE_WITHOUT_CODE)) {
            (Some(code), Some(before)) => {
                self.rewritten = before.to_vec();
                self.rewritten.extend([0x88, 0x02]);
                self.rewritten.extend(code.to_be_bytes());
                Poll::Ready(Ok(buf.len()))
            }
            _ => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.writer.register(cx.waker());
        self.fate()?;
        ready!(self.write_rewritten(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.writer.register(cx.waker());
        if self.fate().is_ok() {
            ready!(self.write_rewritten(cx))?;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.fate()?.is_some() || !self.rewritten.is_empty() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        self.state.writer.register(cx.waker());
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_close_frame_without_a_code_gets_the_one_that_was_named() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut wire = Wire::new(near);
        wire.cutter().name_close(4401);
        wire.write_all(b"before\x88\x00").await.unwrap();
        wire.shutdown().await.unwrap();
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"before\x88\x02\x11\x31");
    }

    #[tokio::test]
    async fn what_is_written_is_left_alone_where_no_code_was_named() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut wire = Wire::new(near);
        wire.write_all(b"before\x88\x00").await.unwrap();
        wire.shutdown().await.unwrap();
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"before\x88\x00");
    }

    #[tokio::test]
    async fn a_cut_ends_a_write_that_waits_for_a_reader() {
        let (near, _far) = tokio::io::duplex(8);
        let mut wire = Wire::new(near);
        let cutter = wire.cutter();
        let writing = tokio::spawn(async move { wire.write_all(&[0; 64]).await });
        tokio::task::yield_now().await;
        assert!(!writing.is_finished());
        cutter.cut();
        let error = writing.await.unwrap().expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits_for_a_writer() {
        let (near, _far) = tokio::io::duplex(8);
        let mut wire = Wire::new(near);
        let cutter = wire.cutter();
        let reading = tokio::spawn(async move { wire.read_u8().await });
        tokio::task::yield_now().await;
        cutter.cut();
        assert!(reading.await.unwrap().is_err());
        cutter.cut();
    }
}
