//! `cargo xtask services`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::process::Record;
use super::{ALL, BESIDE, Durability, Place, READY_MAX, Service, free_port, new_folder};

#[derive(Subcommand)]
pub enum Action {
    /// Say which servers there are and whether this machine has them
    List,
    /// Start one, wait until it answers, print its address and process id, and leave it running
    Start {
        name: Service,
        /// Folder for its data, log and record [default: a new one below the temporary folder]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Port on 127.0.0.1 [default: a free one]
        #[arg(long)]
        port: Option<u16>,
        /// When it flushes to its disk
        #[arg(long, value_enum, default_value_t)]
        durability: Durability,
    },
    /// Stop the one that was started in a folder
    Stop { dir: PathBuf },
}

pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::List => list(),
        Action::Start { name, dir, port, durability } => {
            let folder =
                dir.clone().map_or_else(|| Ok(new_folder("services")?.join(name.name())), Ok::<_, anyhow::Error>)?;
            let port = port.map_or_else(free_port, Ok)?;
            let running = name.start(&Place { folder, port, durability: *durability }, true)?;
            println!("{} pid={} dir={}", running.url, running.pid, running.folder.display());
            running.leave();
        }
        Action::Stop { dir } => {
            let record = Record::read(dir)?.with_context(|| format!("no server was started in {}", dir.display()))?;
            stop(&record)?;
            if let Some(beside) = Record::read(&dir.join(BESIDE))? {
                stop(&beside)?;
            }
        }
    }
    Ok(())
}

fn stop(record: &Record) -> Result<()> {
    if record.is_alive() {
        record.stop(READY_MAX)?;
        println!("stopped {} {} pid={}", record.name, record.url, record.pid);
    } else {
        println!("{} pid={} had ended already", record.name, record.pid);
    }
    Ok(())
}

fn list() {
    for service in ALL {
        let program =
            service.program().map_or_else(|| "not installed".to_owned(), |program| program.display().to_string());
        println!("{:<12} {:<36} {}", service.name(), program, service.purpose());
    }
}
