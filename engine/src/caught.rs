//! Panics of the host's own code (wakers, destructors of params): caught where the engine has more to do, and gone on with at the end.
//!
//! Used wherever such code runs in the middle of an operation; nothing of the engine's own is caught on purpose.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The first panic that was caught, if any; later ones are dropped, the panic hook has told of them.
#[derive(Default)]
#[must_use = "a panic that is caught goes on in the end"]
pub(crate) struct Caught(Option<Box<dyn Any + Send>>);

impl Caught {
    /// Does what may panic; if it does, everything else comes first.
    pub(crate) fn attempt(&mut self, work: impl FnOnce()) {
        self.also(catch_unwind(AssertUnwindSafe(work)).err());
    }

    /// Takes over what another part of the operation caught.
    pub(crate) fn add(&mut self, other: Caught) {
        self.also(other.0);
    }

    fn also(&mut self, panic: Option<Box<dyn Any + Send>>) {
        if self.0.is_none() {
            self.0 = panic;
        }
    }

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Goes on with the panic, if there was one. Not on top of another: a destructor that panics while its thread unwinds aborts the
    /// process.
    #[inline]
    pub(crate) fn go_on(self) {
        if let Some(panic) = self.0
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }

    /// For where nobody is who could have to do with it.
    pub(crate) fn forget(self) {}
}
