//! What this process uses of its machine, as the system reports it.

use capstan_coordination::Usage;
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

/// Figures over a shorter time than this say more about the moment than about the work.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// Measures CPU between two readings, and memory at each.
///
/// Where the system does not tell, nothing is said. Workers that share a process each measure the whole of it.
#[derive(Debug)]
pub(crate) struct Meter {
    cores: f64,
    /// When it was last read, and the CPU time used until then.
    read: (Duration, Duration),
    last: Option<Usage>,
}

impl Default for Meter {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: cores as f64, read: (clock(ClockId::Boottime), clock(ClockId::ProcessCPUTime)), last: None }
    }
}

impl Meter {
    /// What was used since the reading before; the same again where that was a moment ago.
    pub fn read(&mut self) -> Option<Usage> {
        let (now, busy) = (clock(ClockId::Boottime), clock(ClockId::ProcessCPUTime));
        let (since, was_busy) = self.read;
        let window = now.saturating_sub(since);
        if window >= WINDOW_MIN {
            let share = busy.saturating_sub(was_busy).as_secs_f64() / (window.as_secs_f64() * self.cores);
            self.read = (now, busy);
            let cpu_percent = (share * 100.0).clamp(0.0, 100.0);
            self.last = memory_mb().map(|memory_mb| Usage { cpu_percent, memory_mb });
        }
        self.last
    }
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Memory of this process that is not swapped out, in MB.
fn memory_mb() -> Option<u64> {
    resident_mb(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmRSS:    123456 kB`, rounded up.
fn resident_mb(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kilobytes * 1_024).div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_system_writes_it() {
        let status = "Name:\tcapstan\nVmPeak:\t  999999 kB\nVmRSS:\t  123456 kB\nThreads:\t4\n";
        assert_eq!(resident_mb(status), Some(127));
        assert_eq!(resident_mb("Name:\tcapstan\n"), None);
        assert!(memory_mb().is_some_and(|mb| mb > 0), "this system tells it");
    }

    #[test]
    fn cpu_is_percent_of_the_whole_machine_between_two_readings() {
        let mut meter = Meter::default();
        assert_eq!(meter.read(), None, "a moment ago says nothing");
        // As if a process of four cores had been begun two seconds ago, and been busy for all of that on two of them.
        let (now, busy) = (clock(ClockId::Boottime), clock(ClockId::ProcessCPUTime));
        let second = Duration::from_secs(1);
        meter = Meter { cores: 4.0, read: (now - 2 * second, busy.saturating_sub(4 * second)), last: None };
        let expected = (busy.min(4 * second)).as_secs_f64() / 8.0 * 100.0;

        let usage = meter.read().unwrap();

        assert!((usage.cpu_percent - expected).abs() < 5.0, "{usage:?}, expected about {expected}");
        assert_eq!(meter.read(), Some(usage), "the same again within a second");
    }
}
