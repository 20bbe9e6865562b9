//! The clock by which leases end.

use std::time::Duration;

/// The time since this machine started, sleep included: a laptop that was closed wakes up without its leases.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("nanoseconds are below a thousand million"),
    )
}

/// A time that never goes back. Elsewhere than on Linux it may stand still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn now() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
