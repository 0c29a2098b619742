//! Sessions and users that come and go, over and over: a program of its own, because it counts every allocation of its thread.

mod counting;

use counting::held_bytes;
use holocast::{Client, Realtime};

/// What the table of identities may hold or not at the moment of a measurement.
const SLACK_BYTES: isize = 16_384;

/// C4: nothing of them is kept, wherever the table of identities has got to. It once was a longer and longer chain of tables, as the
/// one operation of the map that it used never finished a copy; each connect cost more than the one before.
#[test]
fn c4_sessions_and_users_that_come_and_go_leave_nothing_behind() {
    let realtime: Realtime<u64> = Realtime::new();
    let held_after = |logins: std::ops::Range<i64>| {
        for n in logins {
            let client = Client::new("tab").with_session(n).with_user(n % 100);
            drop(realtime.connect(&client).expect("names are short"));
        }
        held_bytes()
    };
    let (few, many) = (held_after(0..1_000), held_after(1_000..9_000));
    assert!(many - few < SLACK_BYTES, "{few} bytes after a thousand, {many} after eight thousand more");
}
