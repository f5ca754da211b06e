//! Libraries that panic on a damaged file: what they panic with is caught, and nothing of it is printed.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// This thread is within [`caught`].
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; `None` when it panicked. The hook that prints panics stays for all others: it is asked for those of other
/// threads, and for those of this one outside of here.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                print(info);
            }
        }));
    });
    let before = IS_QUIET.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(before);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::{IS_QUIET, caught};

    #[test]
    fn a_panic_is_no_value_and_the_next_one_is_heard() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| if IS_QUIET.get() { panic!("not to be seen") } else { 2 }), None);
        assert!(!IS_QUIET.get());
        assert_eq!(caught(|| caught(|| panic!("not to be seen")).unwrap_or(3)), Some(3));
    }
}
