//! What the numbers were measured on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// Type of the file system that data lies on.
    pub file_system: String,
}

impl Machine {
    pub fn look(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("find {}", folder.display()))?;
        let read = |file: &str| fs::read_to_string(file).with_context(|| format!("read {file}"));
        Ok(Self {
            processor: field(&read("/proc/cpuinfo")?, "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().context("count the cores")?.get(),
            memory_gib: field(&read("/proc/meminfo")?, "MemTotal").map_or(0, |text| gib(&text)),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            file_system: file_system(&read("/proc/mounts")?, &folder).unwrap_or_else(|| "unknown".to_owned()),
        })
    }

    /// A sentence that says when and on what something was measured: now, here.
    pub fn measured(&self) -> String {
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
        format!(
            "Measured on {day}: {}, {} cores shared by client and server, {} GiB, Linux {}, {}.",
            self.processor, self.cores, self.memory_gib, self.kernel, self.file_system
        )
    }

    /// Whether what is flushed here can outlive the machine's power.
    pub fn has_disk(&self) -> bool {
        !matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn gib(kilobytes: &str) -> u64 {
    kilobytes.split(' ').next().and_then(|number| number.parse::<u64>().ok()).map_or(0, |kib| kib.div_ceil(1024 * 1024))
}

/// The type of the innermost mount that holds a folder.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holding = mounts.filter(|(point, _)| folder.starts_with(point));
    holding.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides_the_file_system() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/data xfs rw 0 0\n";

        for (folder, kind) in [("/home", "ext4"), ("/tmp/x", "tmpfs"), ("/tmp/data/x", "xfs"), ("/tmp2", "ext4")] {
            assert_eq!(file_system(mounts, Path::new(folder)).as_deref(), Some(kind), "{folder}");
        }
    }
}
