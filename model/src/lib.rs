//! The gate's own source, compiled against locks, channels and a clock that a model checker holds in its hands.
//!
//! `gate` names `parking_lot` and `tokio`; here these names are this crate. So the very code that ships is run under
//! every schedule that [shuttle](https://docs.rs/shuttle) thinks of, and the product pays nothing for it: no switch in
//! its source, no dependency.
//!
//! What differs from the real ones: time stands still until the clock (a task like any other) is scheduled, and then
//! it goes to the next timer at once. So a timer may fire before, after and between any steps of the others; and where
//! nobody can go on and no timer is set, the checker reports a deadlock: that is how a lost wake-up is found.

extern crate self as parking_lot;
extern crate self as tokio;

mod lock;
pub mod runtime;
pub mod sync;
pub mod time;

pub use lock::Mutex;

/// What the gate's settings are read with.
#[path = "../../src/diagnostic/mod.rs"]
pub mod diagnostic;
#[path = "../../src/gate/mod.rs"]
pub mod gate;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Which of three came first.
pub enum First<A, B, C> {
    /// The first one.
    One(A),
    /// The second one.
    Two(B),
    /// The third one.
    Three(C),
}

/// Waits for one of three; looks at them in their order.
pub async fn first<A, B, C>(
    one: impl Future<Output = A>,
    two: impl Future<Output = B>,
    three: impl Future<Output = C>,
) -> First<A, B, C> {
    let (mut one, mut two, mut three) = (pin!(one), pin!(two), pin!(three));
    std::future::poll_fn(|context| {
        if let Poll::Ready(value) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(value));
        }
        if let Poll::Ready(value) = two.as_mut().poll(context) {
            return Poll::Ready(First::Two(value));
        }
        three.as_mut().poll(context).map(First::Three)
    })
    .await
}

/// As `tokio::select!`, in the forms that the gate uses.
#[macro_export]
macro_rules! select {
    (biased; $one:pat = $a:expr => $first:block $two:pat = $b:expr => $second:block) => {
        match $crate::first($a, $b, std::future::pending::<()>()).await {
            $crate::First::One($one) => $first,
            $crate::First::Two($two) => $second,
            $crate::First::Three(()) => {}
        }
    };
    (biased; $one:pat = $a:expr => $first:expr, $two:pat = $b:expr => $second:block $three:pat = $c:expr => $third:block) => {
        match $crate::first($a, $b, $c).await {
            $crate::First::One($one) => $first,
            $crate::First::Two($two) => $second,
            $crate::First::Three($three) => $third,
        }
    };
}
