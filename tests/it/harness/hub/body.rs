//! A body on its way out: paced, cut short or damaged as the faults say.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

use super::log::Record;
use super::reply::Payload;
use super::wire::Wire;

/// How a body ends before its time.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Reset,
    Close,
    Stall,
}

/// What is wrong with a body, and at which rate it is sent.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// Stop after this many bytes.
    pub cut: Option<(u64, End)>,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// Flip the byte in the middle.
    pub flip: bool,
}

/// A reset discards what the socket's buffers still hold. Wait this long, again and again, until the
/// bytes promised before the reset have arrived; only once where the system cannot say.
const SETTLE: Duration = Duration::from_millis(40);

/// How long to wait for a client that does not read.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The answer's body as hyper pulls it.
pub struct SendBody {
    payload: Payload,
    sent: u64,
    damage: Damage,
    started: Instant,
    pause: Option<Pin<Box<Sleep>>>,
    settled: bool,
    /// When the body came to its end.
    cut_at: Option<Instant>,
    wire: Arc<Wire>,
    record: Arc<Record>,
}

/// The body was cut on purpose.
#[derive(Debug)]
pub struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

impl SendBody {
    pub fn new(payload: Payload, damage: Damage, wire: Arc<Wire>, record: Arc<Record>) -> Self {
        Self {
            payload,
            sent: 0,
            damage,
            started: Instant::now(),
            pause: None,
            settled: false,
            cut_at: None,
            wire,
            record,
        }
    }

    /// The next piece of at most `most` bytes.
    fn take(&mut self, most: u64) -> Bytes {
        let middle = self.payload.len() / 2;
        let mut piece = match &self.payload {
            Payload::Text(text) => {
                let at = self.sent as usize;
                text.slice(at..text.len().min(at + most as usize))
            }
            Payload::File(content, range) => content.piece(range.start + self.sent, most),
        };
        if self.damage.flip && (self.sent..self.sent + piece.len() as u64).contains(&middle) {
            let mut damaged = piece.to_vec();
            damaged[(middle - self.sent) as usize] ^= 0x20;
            piece = damaged.into();
        }
        self.sent += piece.len() as u64;
        self.record.sent(piece.len() as u64);
        self.wire.delivery.given();
        piece
    }

    /// Bytes that may go out now, or how long to wait.
    fn allowance(&self) -> Result<u64, Duration> {
        let mut most = self.payload.len() - self.sent;
        if let Some((after, _)) = self.damage.cut {
            most = most.min(after - self.sent);
        }
        let Some(rate) = self.damage.rate else {
            return Ok(most);
        };
        // A twentieth of a second's worth at a time keeps the pace smooth.
        let due = self.sent as f64 / rate as f64;
        let ahead = due - self.started.elapsed().as_secs_f64();
        if ahead > 0.0 {
            return Err(Duration::from_secs_f64(ahead));
        }
        Ok(most.min((rate / 20).max(1)))
    }

    fn sleep(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        match pause.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.pause = None;
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, end: End) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        while !self.settled {
            std::task::ready!(self.sleep(cx, SETTLE));
            let waited = self.cut_at.get_or_insert_with(Instant::now).elapsed();
            let has_arrived = self.wire.delivery.is_complete().unwrap_or(true);
            self.settled = has_arrived || waited > TIMEOUT;
        }
        match end {
            End::Reset => {
                self.wire.reset();
                Poll::Ready(Some(Err(Cut)))
            }
            End::Close => Poll::Ready(Some(Err(Cut))),
            // Never woken: the connection ends by the client's timeout or with the server.
            End::Stall => Poll::Pending,
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Some((after, end)) = self.damage.cut
                && self.sent >= after.min(self.payload.len())
            {
                return self.end(cx, end);
            }
            if self.sent == self.payload.len() {
                return Poll::Ready(None);
            }
            match self.allowance() {
                Ok(most) => return Poll::Ready(Some(Ok(Frame::data(self.take(most))))),
                Err(wait) => std::task::ready!(self.sleep(cx, wait)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.damage.cut.is_none() && self.sent == self.payload.len()
    }
}
