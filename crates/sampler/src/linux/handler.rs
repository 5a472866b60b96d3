//! The signal handler, its installation, and the timer.

#![expect(unsafe_code, reason = "installs and implements a signal handler")]

use std::{
    io, mem, ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
    time::Duration,
};

use framehop::UnwindRegsNative;

use super::recorder::{Recorder, Registers};
use crate::StartError;

/// The recorders of the signals by the timer and of the signals to one thread.
static TIMER: AtomicPtr<Recorder> = AtomicPtr::new(ptr::null_mut());
static THREAD: AtomicPtr<Recorder> = AtomicPtr::new(ptr::null_mut());
/// The number of handlers that run. A recorder is freed only while it is zero.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The interval at which the end of a session looks for running handlers.
const POLL: Duration = Duration::from_micros(100);
/// The number of intervals after which the recorder is leaked: a thread may be stopped inside the handler.
const MAX_POLLS: usize = 20_000;

/// The origin of the signals of a recorder.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Timer,
    Thread,
}

impl Source {
    fn recorder(self) -> &'static AtomicPtr<Recorder> {
        match self {
            Self::Timer => &TIMER,
            Self::Thread => &THREAD,
        }
    }
}

/// A recorder that the signal handler uses.
pub(super) struct Installed {
    source: Source,
    recorder: *mut Recorder,
    is_armed: bool,
}

// SAFETY: the pointer owns a recorder, whose fields may be used from all threads.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

impl Installed {
    /// Installs the handler, and gives it the recorder.
    pub(super) fn new(source: Source, recorder: Recorder) -> Result<Self, StartError> {
        install()?;
        let recorder = Box::into_raw(Box::new(recorder));
        let stored = source.recorder().compare_exchange(
            ptr::null_mut(),
            recorder,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if stored.is_err() {
            // SAFETY: the pointer comes from `Box::into_raw`, and was not stored.
            drop(unsafe { Box::from_raw(recorder) });
            return Err(StartError::Busy);
        }
        Ok(Self {
            source,
            recorder,
            is_armed: false,
        })
    }

    pub(super) fn recorder(&self) -> &Recorder {
        // SAFETY: the recorder lives until `drop`.
        unsafe { &*self.recorder }
    }

    /// Sends the signal at this frequency of the CPU time of the process.
    pub(super) fn arm_timer(&mut self, frequency_hz: u32) -> Result<(), StartError> {
        let mut current = timer(0);
        // SAFETY: the pointer is valid for the write.
        unsafe { libc::getitimer(libc::ITIMER_PROF, &raw mut current) };
        if current.it_value.tv_sec != 0 || current.it_value.tv_usec != 0 {
            return Err(StartError::TimerTaken);
        }
        set_timer((1_000_000 / frequency_hz).into())?;
        self.is_armed = true;
        Ok(())
    }

    pub(super) fn disarm_timer(&mut self) {
        if std::mem::take(&mut self.is_armed) {
            // A timer of zero is always valid.
            let _ = set_timer(0);
        }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        self.disarm_timer();
        self.source
            .recorder()
            .store(ptr::null_mut(), Ordering::SeqCst);
        for _ in 0..MAX_POLLS {
            // A handler that starts now reads the null pointer, since both accesses are sequentially consistent.
            if RUNNING.load(Ordering::SeqCst) == 0 {
                // SAFETY: the pointer comes from `Box::into_raw`; no handler has it any more.
                drop(unsafe { Box::from_raw(self.recorder) });
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

fn timer(interval_us: libc::suseconds_t) -> libc::itimerval {
    let value = libc::timeval {
        tv_sec: interval_us / 1_000_000,
        tv_usec: interval_us % 1_000_000,
    };
    libc::itimerval {
        it_interval: value,
        it_value: value,
    }
}

fn set_timer(interval_us: libc::suseconds_t) -> Result<(), StartError> {
    let value = timer(interval_us);
    // SAFETY: the pointer is valid for the read, and the old value is not asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const value, ptr::null_mut()) };
    check(result, "setitimer")
}

/// Sends the signal to a thread.
pub(super) fn send_to(thread: i32) -> Result<(), StartError> {
    // SAFETY: the call takes numbers only; the handler is installed.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGPROF) };
    check(result as libc::c_int, "tgkill")
}

fn check(result: libc::c_int, call: &'static str) -> Result<(), StartError> {
    if result == 0 {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    Err(StartError::System { call, source })
}

/// Returns whether the handler of the signal is the handler of this crate.
pub(super) fn is_installed() -> bool {
    current().is_ok_and(|action| action.sa_sigaction == own())
}

fn own() -> libc::sighandler_t {
    on_signal as *const () as libc::sighandler_t
}

/// Returns the action of the signal. It says the same as `SigCgt` in `/proc/self/status`, and tells our own handler from
/// the handlers of others.
fn current() -> Result<libc::sigaction, StartError> {
    // SAFETY: zero is a valid value of all fields.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the pointer is valid for the write; no action is set.
    let result = unsafe { libc::sigaction(libc::SIGPROF, ptr::null(), &raw mut action) };
    check(result, "sigaction")?;
    Ok(action)
}

fn install() -> Result<(), StartError> {
    let present = current()?.sa_sigaction;
    if present == own() {
        return Ok(());
    }
    if present != libc::SIG_DFL && present != libc::SIG_IGN {
        return Err(StartError::SignalTaken);
    }
    // SAFETY: zero is a valid value of all fields, and the empty set of signals.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = own();
    // Not SA_ONSTACK: the alternative stacks of Rust's threads are too small.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the handler has the signature of SA_SIGINFO, and is async-signal-safe.
    let result = unsafe { libc::sigaction(libc::SIGPROF, &raw const action, ptr::null_mut()) };
    check(result, "sigaction")
}

/// Handles the signal: it takes no lock, allocates nothing, and leaves `errno` as it is.
extern "C" fn on_signal(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the location of `errno` is valid for the life of the thread.
    let errno = unsafe { *libc::__errno_location() };
    RUNNING.fetch_add(1, Ordering::SeqCst);
    // SAFETY: with SA_SIGINFO, the kernel passes a valid `info` and a `ucontext_t`.
    let (code, context) = unsafe { ((*info).si_code, &*context.cast::<libc::ucontext_t>()) };
    let source = if code == libc::SI_TKILL {
        &THREAD
    } else {
        &TIMER
    };
    // SAFETY: the pointer is null or a recorder, which is freed only while no handler runs.
    if let Some(recorder) = unsafe { source.load(Ordering::SeqCst).as_ref() } {
        // SAFETY: the call has no arguments and always succeeds.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        recorder.record(registers(context), thread);
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let of = |register: libc::c_int| context.uc_mcontext.gregs[register as usize].cast_unsigned();
    let (ip, sp, bp) = (of(libc::REG_RIP), of(libc::REG_RSP), of(libc::REG_RBP));
    Registers {
        instruction_pointer: ip,
        stack_pointer: sp,
        unwind: UnwindRegsNative::new(ip, sp, bp),
    }
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    /// User addresses have 48 bits; the bits above may hold a signature.
    const ADDRESS_BITS: u64 = (1 << 48) - 1;
    let machine = &context.uc_mcontext;
    let mask = framehop::aarch64::PtrAuthMask(ADDRESS_BITS);
    let (fp, lr) = (machine.regs[29], machine.regs[30]);
    Registers {
        instruction_pointer: machine.pc,
        stack_pointer: machine.sp,
        unwind: UnwindRegsNative::new_with_ptr_auth_mask(mask, lr, machine.sp, fp),
    }
}
