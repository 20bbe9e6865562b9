//! CPU and memory as whole numbers, so that sums are exact however often they change.

use crate::limits::{LIMIT_CPU_PERCENT_MAX, LIMIT_MEMORY_MB_MAX, PIPELINE_MEMORY_MB_MAX};
use crate::rejection::Rejection;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};
use std::fmt;

/// A share of CPU in thousandths of a percent of what a pipeline's machines have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u64);

impl Cpu {
    const PER_PERCENT: u64 = 1_000;

    /// The share of this many thousandths of a percent.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// So many percent.
    pub const fn percent(percent: u64) -> Self {
        Self(percent * Self::PER_PERCENT)
    }

    /// Its number of thousandths of a percent.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// In percent, for showing: the double nearest to it, so that what was reported as 15.5 is shown as 15.5.
    pub fn as_percent(self) -> f64 {
        self.0 as f64 / Self::PER_PERCENT as f64
    }

    /// Rounds to the nearest thousandth; refuses what is no number, negative or above `most` percent.
    fn checked(percent: f64, most: u64, field: &'static str, expected: &'static str) -> Result<Self, Rejection> {
        if !(0.0..=most as f64).contains(&percent) {
            return Err(Rejection::OutOfRange { field, expected, found: percent.to_string() });
        }
        Ok(Self((percent * Self::PER_PERCENT as f64).round() as u64))
    }
}

/// What a pipeline uses or reserves, or what all of them do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// CPU.
    pub cpu: Cpu,
    /// Memory in MB.
    pub memory_mb: u64,
}

impl Resources {
    /// Nothing.
    pub const ZERO: Self = Self { cpu: Cpu(0), memory_mb: 0 };

    /// One pipeline's, as it came: CPU 0 to 100 percent, memory 0 to [`PIPELINE_MEMORY_MB_MAX`].
    ///
    /// CPU is rounded to the nearest thousandth of a percent. What is out of range is refused, and so is what is no
    /// number.
    pub fn of_a_pipeline(cpu_percent: f64, memory_mb: i64) -> Result<Self, Rejection> {
        Ok(Self {
            cpu: Cpu::checked(cpu_percent, 100, "cpu_percent", "0 to 100")?,
            memory_mb: checked_memory(memory_mb, PIPELINE_MEMORY_MB_MAX, "memory_mb", "0 to 100,000,000")?,
        })
    }

    /// A limit of all pipelines together, as it came.
    pub(crate) fn cpu_limit(percent: f64) -> Result<Cpu, Rejection> {
        Cpu::checked(percent, LIMIT_CPU_PERCENT_MAX, "cpu_percent_max", "0 to 10,000,000")
    }

    /// A limit of all pipelines together, as it came.
    pub(crate) fn memory_limit(memory_mb: i64) -> Result<u64, Rejection> {
        checked_memory(memory_mb, LIMIT_MEMORY_MB_MAX, "memory_mb_max", "0 to 1,000,000,000,000")
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { cpu: Cpu(self.cpu.0 + other.cpu.0), memory_mb: self.memory_mb + other.memory_mb }
    }

    /// What is left without `other`; nothing where `other` is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            cpu: Cpu(self.cpu.0.saturating_sub(other.cpu.0)),
            memory_mb: self.memory_mb.saturating_sub(other.memory_mb),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn larger(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory_mb: self.memory_mb.max(other.memory_mb) }
    }

    /// Whether there is no more of either than in `limit`: what is equal fits.
    pub fn fits_in(self, limit: Self) -> bool {
        self.cpu <= limit.cpu && self.memory_mb <= limit.memory_mb
    }
}

fn checked_memory(mb: i64, most: u64, field: &'static str, expected: &'static str) -> Result<u64, Rejection> {
    u64::try_from(mb).ok().filter(|mb| *mb <= most).ok_or_else(|| Rejection::OutOfRange {
        field,
        expected,
        found: mb.to_string(),
    })
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % CPU and {} MB", self.cpu.as_percent(), self.memory_mb)
    }
}

impl<C> Encode<C> for Resources {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.u64(self.cpu.0)?.u64(self.memory_mb)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Resources {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        let bad = |what| DecodeError::message(what).at(at);
        if d.array()? != Some(2) {
            return Err(bad("resources are a pair of CPU and memory"));
        }
        let resources = Self { cpu: Cpu(d.u64()?), memory_mb: d.u64()? };
        // Within these, no sum over all pipelines can overflow.
        let most = Self { cpu: Cpu::percent(LIMIT_CPU_PERCENT_MAX), memory_mb: LIMIT_MEMORY_MB_MAX };
        if resources.fits_in(most) { Ok(resources) } else { Err(bad("resources are beyond every limit")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_kept_to_a_thousandth_of_a_percent() {
        for (percent, thousandths) in
            [(0.0, 0), (-0.0, 0), (15.5, 15_500), (0.1, 100), (33.3335, 33_334), (100.0, 100_000)]
        {
            let cpu = Resources::of_a_pipeline(percent, 0).unwrap().cpu;
            assert_eq!(cpu.thousandths(), thousandths, "{percent}");
        }
        assert_eq!(Cpu::from_thousandths(15_500).as_percent(), 15.5);
    }

    #[test]
    fn figures_that_are_no_numbers_negative_or_too_large_are_refused() {
        for cpu in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.000_1, -1.0, 100.000_1, 1e300] {
            let refused = Resources::of_a_pipeline(cpu, 0).unwrap_err();
            assert!(matches!(refused, Rejection::OutOfRange { field: "cpu_percent", .. }), "{cpu}: {refused}");
        }
        for memory in [-1, i64::MIN, 100_000_001, i64::MAX] {
            let refused = Resources::of_a_pipeline(0.0, memory).unwrap_err();
            assert!(matches!(refused, Rejection::OutOfRange { field: "memory_mb", .. }), "{memory}: {refused}");
        }
        assert_eq!(
            Resources::of_a_pipeline(f64::NAN, 0).unwrap_err().to_string(),
            "cpu_percent must be 0 to 100, found NaN"
        );
    }

    #[test]
    fn resources_beyond_every_limit_are_not_read() {
        let bytes = minicbor::to_vec([u64::MAX, 1]).unwrap();
        assert!(minicbor::decode::<Resources>(&bytes).is_err());
        let bytes = minicbor::to_vec(Resources { cpu: Cpu::percent(7), memory_mb: 9 }).unwrap();
        assert_eq!(minicbor::decode::<Resources>(&bytes).unwrap(), Resources { cpu: Cpu::percent(7), memory_mb: 9 });
    }
}
