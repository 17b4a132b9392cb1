//! tower: power of two choices by pending requests. A service needs `&mut`, so each thread has a balancer of its own; a call
//! polls readiness, picks, counts, and completes at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};

/// An endpoint that answers its number at once.
#[derive(Clone, Copy, Debug)]
struct Numbered(u64);

impl Service<()> for Numbered {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

/// `poll_ready`, `call` and completion among `n` endpoints.
pub fn pending_requests(n: u32) -> impl FnMut() -> u64 {
    let services =
        (0..u64::from(n)).map(|i| PendingRequests::new(Numbered(i), CompleteOnResponse::default()));
    let list = ServiceList::new(services.collect::<Vec<_>>());
    let mut balance = Balance::new(list);
    let mut context = Context::from_waker(Waker::noop());
    // The list is taken in at the first polls: not part of what is measured.
    while !matches!(balance.poll_ready(&mut context), Poll::Ready(Ok(()))) {}
    move || {
        while !matches!(balance.poll_ready(&mut context), Poll::Ready(Ok(()))) {}
        match pin!(balance.call(())).poll(&mut context) {
            Poll::Ready(Ok(number)) => number,
            _ => 0,
        }
    }
}
