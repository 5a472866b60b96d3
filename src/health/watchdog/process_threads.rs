//! Reads the state of a thread of this process from the kernel.

/// Returns whether the kernel says that a thread of this process sleeps (`S`) or waits for a device (`D`).
#[cfg(target_os = "linux")]
pub(super) fn is_asleep(tid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat"));
    stat.is_ok_and(|stat| matches!(state_in(&stat), Some('S' | 'D')))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_asleep(_: u32) -> bool {
    false
}

/// Returns the state in a line of `stat`. The name before it is in parentheses and may hold any character.
#[cfg(target_os = "linux")]
fn state_in(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_after_the_name() {
        assert_eq!(state_in("7 (a) b) S 1 2 3"), Some('S'));
        assert_eq!(state_in("7 (worker) R 1 2 3"), Some('R'));
        assert_eq!(state_in("7"), None);
    }

    #[test]
    fn a_sleeping_thread_is_asleep_and_this_thread_is_not() {
        let own = u32::try_from(nix::unistd::gettid().as_raw()).unwrap();
        assert!(!is_asleep(own));
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            send.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = stopped.recv();
        });
        let tid = u32::try_from(receive.recv().unwrap()).unwrap();
        while !is_asleep(tid) {
            std::thread::yield_now();
        }
        drop(stop);
        sleeper.join().unwrap();
        assert!(!is_asleep(tid));
    }
}
