//! Work that is moved by whoever waits for it, and goes on by itself when nobody does any more.
//!
//! A task of its own for each call would have to be made, woken for every step, and would have to wake who waits: as long
//! as somebody does, the task of that one does all of it. Nothing is lost with it: what is left to do when it goes is
//! handed to a task.

use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// See the module.
pub(super) struct Carried(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Carried {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Carried {
        Carried(Some(Box::pin(work)))
    }

    /// Moves it as far as it goes without waiting. Once it has ended there is nothing to do.
    pub(super) fn step(&mut self, context: &mut Context<'_>) {
        let Some(mut work) = self.0.take() else { return };
        // As in a task of its own: a fault in it is none of who moves it. It tells those who wait for it as it goes.
        let step = panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        if matches!(step, Ok(Poll::Pending)) {
            self.0 = Some(work);
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let Some(work) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Carried;
    use std::future::poll_fn;
    use std::task::Poll;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on_by_itself() {
        let (go, gone) = oneshot::channel::<()>();
        let (told, hears) = oneshot::channel();
        let mut carried = Carried::new(async move {
            gone.await.unwrap();
            told.send(7).unwrap();
        });
        poll_fn(|context| {
            carried.step(context);
            Poll::Ready(())
        })
        .await;
        drop(carried);
        go.send(()).unwrap();
        assert_eq!(hears.await, Ok(7));
    }

    #[tokio::test]
    async fn what_has_ended_or_panicked_is_not_moved_again() {
        let mut ended = Carried::new(async {});
        poll_fn(|context| {
            ended.step(context);
            ended.step(context);
            Poll::Ready(())
        })
        .await;
        let mut broken = Carried::new(async { panic!("on purpose") });
        poll_fn(|context| {
            broken.step(context);
            broken.step(context);
            Poll::Ready(())
        })
        .await;
    }

    #[test]
    fn without_a_runtime_it_ends() {
        let (told, hears) = oneshot::channel::<()>();
        let carried = Carried::new(async move {
            let _told = told;
            std::future::pending::<()>().await;
        });
        drop(carried);
        assert!(hears.blocking_recv().is_err());
    }
}
