//! What a job expects to need of the machines it runs on, for its admission.

use crate::spec::Spec;
use crate::submit::pool_sizes;

/// CPU of one chunk that is read or written at a time, in percent.
const CPU_PERCENT_OF_A_SLOT: f64 = 1.0;
/// However many there are, the processors of one machine do not give a job more than this by default.
const CPU_PERCENT_DEFAULT_MAX: f64 = 25.0;
/// Memory of one chunk that is read or written at a time.
const MEMORY_MB_OF_A_SLOT: u64 = 64;

/// However many there are, a job expects no more than this by default: it leaves room for others in the default limits.
const MEMORY_MB_DEFAULT_MAX: u64 = 16_000;

/// What a job expects to need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// CPU in percent of what its machines have, 0 to 100.
    pub cpu_percent: f64,
    /// Memory in MB.
    pub memory_mb: u64,
    /// Its place among those who wait for room; higher goes first.
    pub priority: i16,
}

impl Spec {
    /// What it says itself, and where it says nothing, what follows from its pools of `dump` and `restore`: 1 % CPU, at
    /// most 25, and 64 MB, at most 16,000, of each place in them. Pools without a size are sized by `cores`.
    pub fn needs(&self, cores: u32) -> Needs {
        let slots = pool_sizes(&self.pools, cores)
            .into_iter()
            .filter_map(|(kind, size)| matches!(kind.as_str(), "dump" | "restore").then_some(u64::from(size)))
            .sum::<u64>();
        let by_slots = (slots as f64 * CPU_PERCENT_OF_A_SLOT).min(CPU_PERCENT_DEFAULT_MAX);
        Needs {
            cpu_percent: self.resources.cpu_percent.unwrap_or(by_slots),
            memory_mb: self
                .resources
                .memory_mb
                .map_or((slots * MEMORY_MB_OF_A_SLOT).min(MEMORY_MB_DEFAULT_MAX), |mb| mb.ceil() as u64),
            priority: self.resources.priority.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str, cores: u32) -> (f64, u64, i16) {
        let spec: Spec = toml::from_str(&format!("from = 'dump:a'\nto = 'kv://b'\n{text}")).unwrap();
        let needs = spec.needs(cores);
        (needs.cpu_percent, needs.memory_mb, needs.priority)
    }

    #[test]
    fn a_job_needs_what_it_says_or_what_its_pools_come_to() {
        assert_eq!(needs("", 4), (8.0, 512, 0));
        assert_eq!(needs("", 0), (4.0, 256, 0), "two places at least");
        assert_eq!(needs("pools = { dump = 4, restore = 8 }", 64), (12.0, 768, 0));
        assert_eq!(needs("pools = { dump = 100, restore = 100 }", 2), (25.0, 12_800, 0));
        assert_eq!(needs("pools = { dump = 4096, restore = 4096 }", 2), (25.0, 16_000, 0));
        let said = "resources = { cpu_percent = 0.5, memory_mb = 10.2, priority = -3 }";
        assert_eq!(needs(said, 64), (0.5, 11, -3));
    }
}
