//! What a caller of the writer holds until its batch is on disk.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::OnlineError;
use crate::store::PushReport;

type Outcome = Result<PushReport, OnlineError>;

/// A batch on its way to disk. Wait for it with [`Ticket::wait`] on a thread, or as a future in any async runtime. Dropping it does not take the batch back.
#[must_use = "a batch is on disk only once its ticket says so"]
pub struct Ticket {
    shared: Arc<Shared>,
}

/// The writer's end of a ticket. Dropped unanswered, it answers [`OnlineError::WriterStopped`].
pub(crate) struct Answer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    answered: Condvar,
}

enum State {
    Waiting(Option<Waker>),
    Answered(Outcome),
    Taken,
}

pub(crate) fn ticket() -> (Ticket, Answer) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Waiting(None)), answered: Condvar::new() });
    (Ticket { shared: shared.clone() }, Answer { shared })
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, outcome: Outcome) {
        let mut state = self.state();
        let State::Waiting(waker) = &mut *state else { return };
        let waker = waker.take();
        *state = State::Answered(outcome);
        drop(state);
        self.answered.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Answer {
    pub(crate) fn send(self, outcome: Outcome) {
        self.shared.answer(outcome);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.shared.answer(Err(OnlineError::WriterStopped));
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl Ticket {
    /// Blocks until the batch is on disk, or is not.
    pub fn wait(self) -> Result<PushReport, OnlineError> {
        let mut state = self.shared.state();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Answered(outcome) => return outcome,
                State::Taken => return Err(OnlineError::WriterStopped),
                waiting @ State::Waiting(_) => {
                    *state = waiting;
                    state = self.shared.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Future for Ticket {
    type Output = Result<PushReport, OnlineError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Answered(outcome) => Poll::Ready(outcome),
            State::Taken => Poll::Ready(Err(OnlineError::WriterStopped)),
            State::Waiting(_) => {
                *state = State::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}
