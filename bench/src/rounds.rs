//! The order of a run: round by round, and in each round case by case, every system in turn.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::capstan::Capstan;
use crate::machine::Machine;
use crate::options::Options;
use crate::peers::{Cell, Peer};
use crate::probe;
use crate::row::{Case, Row, medians};

/// What a run came to.
pub struct Outcome {
    /// Medians, one row for each thing measured.
    pub rows: Vec<Row>,
    /// Each system with its version and how it was used.
    pub systems: Vec<(String, String)>,
    pub machine: Machine,
    /// What could not be measured.
    pub failures: Vec<String>,
}

pub async fn run(options: &Options) -> Result<Outcome> {
    fs::create_dir_all(&options.data_dir).with_context(|| format!("create {}", options.data_dir.display()))?;
    let machine = Machine::look(&options.data_dir)?;
    if !machine.has_disk() {
        bail!("{} lies in memory ({}), where a flush means nothing", options.data_dir.display(), machine.file_system);
    }
    let mut run = Run { options, rows: Vec::new(), failures: Vec::new() };
    let mut systems = Vec::new();
    for peer in &options.peers {
        systems.push((format!("{} {}", peer.name(), peer.version().await?), peer.described().to_owned()));
    }
    let capstan = match &options.capstan {
        Some(program) => match Capstan::start(program, &options.data_dir, None).await {
            Ok(capstan) => Some(capstan),
            Err(error) => {
                run.failures.push(format!("capstan: {error:#}"));
                None
            }
        },
        None => None,
    };
    if let Some(capstan) = &capstan {
        systems.push((capstan.version.clone(), "embedded journal; its own load generator".to_owned()));
    }
    for repeat in 1..=options.repeats {
        for clients in &options.clients {
            eprintln!("round {repeat} of {}, {clients} clients", options.repeats);
            run.round(*clients, capstan.as_ref()).await?;
        }
    }
    if let Some(capstan) = capstan {
        capstan.stop().await?;
    }
    Ok(Outcome { rows: medians(&run.rows), systems, machine, failures: run.failures })
}

struct Run<'a> {
    options: &'a Options,
    rows: Vec<Row>,
    failures: Vec<String>,
}

impl Run<'_> {
    async fn round(&mut self, clients: usize, capstan: Option<&Capstan>) -> Result<()> {
        self.probe()?;
        for case in &self.options.cases {
            for peer in self.options.peers.iter().filter(|peer| peer.has(*case)) {
                self.cell(*peer, *case, clients, 1).await;
                if *case == Case::Enqueue && self.is_widest(clients) && peer.depth_max() > 1 {
                    self.cell(*peer, *case, clients, peer.depth_max()).await;
                }
            }
        }
        // Its generator measures every case it has in one go.
        if let Some(capstan) = capstan {
            for transport in &self.options.transports {
                match capstan.measure(clients, self.options.seconds, transport).await {
                    Ok(rows) => self.rows.extend(rows),
                    Err(error) => self.failures.push(format!("capstan over {transport}, {clients} clients: {error:#}")),
                }
            }
        }
        self.probe()
    }

    /// Goes on where one cell cannot be measured: the rest of the run is still worth having.
    async fn cell(&mut self, peer: Peer, case: Case, clients: usize, depth: usize) {
        match self.measure(peer, case, clients, depth).await {
            Ok(row) => self.rows.push(row),
            Err(error) => self.failures.push(format!("{} {}, {clients} clients: {error:#}", peer.name(), case.name())),
        }
    }

    async fn measure(&self, peer: Peer, case: Case, clients: usize, depth: usize) -> Result<Row> {
        let scratch = self.options.data_dir.join("client");
        fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        let (warm_up, window) = (Options::WARM_UP, self.options.window());
        peer.reset().await?;
        if case.takes() {
            peer.fill(peer.takes_per_second_max(case) * (warm_up + window).as_secs()).await?;
        }
        // What one system has written and not flushed must not slow down the flushes of another.
        rustix::fs::sync();
        let row = peer.measure(&Cell { case, clients, depth, warm_up, window, scratch: &scratch }).await?;
        peer.reset().await?;
        rustix::fs::sync();
        Ok(row)
    }

    fn is_widest(&self, clients: usize) -> bool {
        self.options.clients.iter().max() == Some(&clients)
    }

    fn probe(&mut self) -> Result<()> {
        self.rows.push(probe::run(&self.options.data_dir)?);
        Ok(())
    }
}
