//! A server of plain HTTP for small requests without a body, with limits.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::accept::{Accept, DefaultAcceptor};
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::webhook::connections::Limited;

/// Limit for the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for a connection, which is closed after its first answer. The answer can be large and its reader slow.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of bytes of the headers of a request.
const BUFFER: usize = 8 * 1024;

/// Serves the routes until the process ends.
pub(crate) async fn serve(listener: TcpListener, connections: usize, routes: Router) -> io::Result<()> {
    let acceptor = Limited::new(WithDeadline(CONNECTION_TIMEOUT), connections);
    let mut server =
        axum_server::from_tcp(listener)?.acceptor(acceptor).http1_only().first_request_timeout(HEADER_TIMEOUT);
    // Idle connections would count. The kubelet opens a new one for each probe.
    server.http_builder().http1().keep_alive(false).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER);
    server.serve(routes.into_make_service()).await
}

/// Accepts connections that end after this time.
#[derive(Clone)]
struct WithDeadline(Duration);

impl<I: Send + 'static, S: Send + 'static> Accept<I, S> for WithDeadline {
    type Stream = Deadline<I>;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Deadline<I>, S)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let end = Box::pin(sleep_until(Instant::now() + self.0));
        let accepted = DefaultAcceptor::new().accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((Deadline { stream, end }, service))
        })
    }
}

/// A stream that fails after a point in time.
struct Deadline<I> {
    stream: I,
    end: Pin<Box<Sleep>>,
}

impl<I: Unpin> Deadline<I> {
    /// The stream, or the error after the deadline.
    fn poll_stream(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut I>> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Deadline<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_stream(context)?.poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Deadline<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_stream(context)?.poll_write(context, bytes)
    }

    /// Without it, head and body of an answer are copied into one buffer.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(context)?.poll_write_vectored(context, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(context)?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_reading_is_disconnected() {
        let (client, server) = tokio::io::duplex(1024);
        let (mut server, ()) = WithDeadline(CONNECTION_TIMEOUT).accept(server, ()).await.unwrap();
        let start = Instant::now();
        let error = server.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, CONNECTION_TIMEOUT));
        assert_eq!(server.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_in_time_gets_everything() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut server, ()) = WithDeadline(CONNECTION_TIMEOUT).accept(server, ()).await.unwrap();
        let mut received = [1; 4096];
        let (sent, read) = tokio::join!(server.write_all(&[0; 4096]), client.read_exact(&mut received));
        assert_eq!((sent.unwrap(), read.unwrap(), received), ((), 4096, [0; 4096]));
    }
}
