//! A callback that tells an event loop to look for events.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Wake, Waker as TaskWaker};

use crate::raw::{place, there};
use crate::status::{Status, guard};

/// Tells whoever waits for a connection or lane that there may be something. Many threads may use it at once; it may serve any number of
/// connections and lanes.
#[derive(Debug)]
pub struct Waker(TaskWaker);

impl Waker {
    pub(crate) fn task(&self) -> &TaskWaker {
        &self.0
    }
}

#[derive(Debug)]
struct Callback {
    wake: unsafe extern "C" fn(*mut c_void),
    release: Option<unsafe extern "C" fn(*mut c_void)>,
    context: *mut c_void,
}

// SAFETY: the header asks that both functions may be called with the context on any thread.
unsafe impl Send for Callback {}
// SAFETY: as above, and by several at once.
unsafe impl Sync for Callback {}

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // SAFETY: the header asks that it may be called with the context until it is released, which is not before the last owner is gone.
        unsafe { (self.wake)(self.context) }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the header asks that it may be called once, when nobody will wake any more: nobody has the callback but this.
            unsafe { release(self.context) }
        }
    }
}

/// A waker that calls wake(context). It is called on whatever thread has something for the receiver: a publisher's, one that subscribes or
/// disconnects, and the receiver's own inside a poll; by several at once, and also when nothing is there. It must be quick, must not block,
/// throw or longjmp, and must not touch the connection or lane that it wakes, only see to it that its thread does (write to an eventfd or
/// pipe, post to a queue). It may use the engine. The other function, release(context), is called once, on any thread, when wake will not be
/// called any more; it may be null, then the context has to stay for good, or be null.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_waker_new(
    wake: Option<unsafe extern "C" fn(context: *mut c_void)>,
    release: Option<unsafe extern "C" fn(context: *mut c_void)>,
    context: *mut c_void,
    waker: Option<&mut MaybeUninit<Option<Box<Waker>>>>,
) -> Status {
    guard(|| {
        let out = place(waker, "waker")?;
        let wake = there(wake, "wake")?;
        *out = Some(Box::new(Waker(Arc::new(Callback { wake, release, context }).into())));
        Ok(())
    })
}

/// Frees a waker; null is fine. Who waits by it keeps it until that wait is over, or its connection or lane is freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_waker_free(waker: Option<Box<Waker>>) {
    guard(|| {
        drop(waker);
        Ok(())
    });
}
