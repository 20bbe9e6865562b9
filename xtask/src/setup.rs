//! Installs, by name and from package registries, what tests and benchmarks need beyond a Rust toolchain.
//!
//! Quick when everything is there. Where something cannot be installed it says so and goes on: what needs it is then
//! skipped with the reason, never passed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use anyhow::Result;
use clap::Args;

use crate::promtool;
use crate::services::{ALL, Service, on_path};

#[derive(Args)]
pub struct Options {
    /// Only say what is missing
    #[arg(long)]
    check: bool,
}

/// Installs every server and what else tests ask for, and fails where one cannot be had.
pub fn run(options: &Options) -> Result<()> {
    let missing = if options.check { missing(&ALL) } else { install(&ALL) };
    let promtool = if options.check { promtool::find() } else { promtool::install() };
    let mut names = missing.iter().map(|service| service.name()).collect::<Vec<_>>();
    if promtool.is_none() {
        names.push("promtool");
    }
    if !names.is_empty() {
        anyhow::bail!("this machine lacks {}", names.join(", "));
    }
    println!("setup: everything is there ({}, promtool)", ALL.map(Service::name).join(", "));
    Ok(())
}

/// Installs what is missing of `services` and returns what still is.
pub fn install(services: &[Service]) -> Vec<Service> {
    let wanted = missing(services);
    if wanted.is_empty() {
        return wanted;
    }
    let packages = wanted.iter().filter_map(|service| service.package()).collect::<Vec<_>>();
    if !packages.is_empty() {
        println!("setup: installing {}", packages.join(", "));
        if let Err(why) = apt(&packages) {
            eprintln!("setup: cannot install {}: {why:#}", packages.join(", "));
        }
    }
    // After the packages: some of these need one. What a package has brought as a program is there by now.
    for service in missing(services) {
        println!("setup: building {service}");
        if let Err(why) = service.build() {
            eprintln!("setup: cannot build {service}: {why:#}");
        }
    }
    missing(services)
}

fn missing(services: &[Service]) -> Vec<Service> {
    services.iter().copied().filter(|service| service.program().is_none()).collect()
}

fn apt(packages: &[&str]) -> Result<()> {
    apt_get(&["update", "-qq"])?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

/// Debian's package manager, as whoever may change the machine.
pub fn apt_get(arguments: &[&str]) -> Result<()> {
    if on_path("apt-get").is_none() {
        anyhow::bail!("this machine has no apt-get; install them by its own package manager");
    }
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    if !is_root && on_path("sudo").is_none() {
        anyhow::bail!("only root may install packages, and there is no sudo");
    }
    // `sudo -n` fails instead of asking: nobody may be there to answer.
    let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root {
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    crate::workspace::succeed(&mut command, &format!("apt-get {}", arguments.join(" ")))
}
