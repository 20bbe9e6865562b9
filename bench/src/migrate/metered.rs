//! Processes, and what they use: from /proc, where the system counts it.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often memory is looked at. The system keeps the peak, so nothing between two looks is missed but the very last.
const LOOK: Duration = Duration::from_millis(10);
/// Ticks of the processor clock in a second, as Linux shows them to programs on every machine.
const TICKS: f64 = 100.0;
/// How long one way may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a run used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub wall_s: f64,
    /// Processor time of the processes and their descendants.
    pub cpu_s: f64,
    /// Peak resident memory of all processes together.
    pub peak_mib: f64,
    /// Processor time of the servers meanwhile.
    pub server_cpu_s: f64,
}

/// Runs commands, each reading what the one before it writes, and waits until all have ended.
pub fn run(commands: Vec<Command>, servers: &[u32]) -> Result<Used> {
    let of_servers = || servers_cpu(servers);
    let (before, began) = (of_servers()?, Instant::now());
    let mut children = spawn(commands)?;
    let mut peaks = vec![0.0_f64; children.len()];
    let mut ended: Vec<Option<f64>> = vec![None; children.len()];
    while ended.iter().any(Option::is_none) {
        for (at, child) in children.iter().enumerate().filter(|(at, _)| ended[*at].is_none()).collect::<Vec<_>>() {
            peaks[at] = peaks[at].max(peak_mib(child.id()));
            let process = Process::read(child.id())?;
            // It has ended and waits to be collected: its figures are final and still there.
            ended[at] = process.has_ended.then_some(process.ticks / TICKS);
        }
        if began.elapsed() > PATIENCE {
            children.iter_mut().for_each(|child| drop(child.kill()));
            bail!("took more than {} seconds", PATIENCE.as_secs());
        }
        thread::sleep(LOOK);
    }
    let wall_s = began.elapsed().as_secs_f64();
    let server_cpu_s = of_servers()? - before;
    for child in &mut children {
        let mut said = String::new();
        child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said)).transpose()?;
        let status = child.wait()?;
        if !status.success() {
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            bail!("{status}: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "));
        }
    }
    Ok(Used { wall_s, cpu_s: ended.into_iter().flatten().sum(), peak_mib: peaks.iter().sum(), server_cpu_s })
}

fn spawn(commands: Vec<Command>) -> Result<Vec<Child>> {
    let last = commands.len() - 1;
    let mut children: Vec<Child> = Vec::new();
    for (at, mut command) in commands.into_iter().enumerate() {
        let input = children.last_mut().and_then(|child: &mut Child| child.stdout.take());
        command.stdin(input.map_or_else(Stdio::null, Stdio::from));
        command.stdout(if at == last { Stdio::null() } else { Stdio::piped() });
        // What it says is short enough for a pipe to hold.
        command.stderr(Stdio::piped());
        children.push(command.spawn().with_context(|| format!("start {}", command.get_program().display()))?);
    }
    Ok(children)
}

/// Peak resident memory of a process so far; 0 where there is none.
pub fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Processor time of servers and all that descends from them.
fn servers_cpu(servers: &[u32]) -> Result<f64> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // One that ends meanwhile is counted by its parent.
        if let Some((pid, Ok(process))) = pid.map(|pid| (pid, Process::read(pid))) {
            all.insert(pid, process);
        }
    }
    let descends = |mut pid: u32| loop {
        match all.get(&pid) {
            _ if servers.contains(&pid) => return true,
            Some(process) => pid = process.parent,
            None => return false,
        }
    };
    Ok(all.iter().filter(|(pid, _)| descends(**pid)).map(|(_, process)| process.ticks).sum::<f64>() / TICKS)
}

struct Process {
    parent: u32,
    has_ended: bool,
    /// Its own time and that of the children that it has collected.
    ticks: f64,
}

impl Process {
    fn read(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("look at process {pid}"))?;
        Self::parse(&stat).with_context(|| format!("understand `{stat}`"))
    }

    fn parse(stat: &str) -> Option<Self> {
        // A name may hold spaces and brackets.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<f64>().ok()).sum::<Option<f64>>()?;
        Some(Self { parent: fields.get(1)?.parse().ok()?, has_ended: fields[0] == "Z", ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_and_of_its_children_is_counted() {
        let stat = "7 (a) b) Z 5 7 7 0 -1 4194304 90 0 0 0 11 22 33 44 20 0 1 0 100 0 0";
        let process = Process::parse(stat).unwrap();
        assert_eq!((process.parent, process.has_ended, process.ticks), (5, true, 110.0));
        assert!(Process::parse("7 (a) Z 5").is_none());
    }

    #[test]
    fn a_pipeline_of_processes_is_metered_whole_and_a_failure_is_told_with_its_words() {
        let shell = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            command
        };
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done";
        let used = run(vec![shell(busy), shell("read word; test $word = done")], &[std::process::id()]).unwrap();
        assert!(used.cpu_s > 0.0 && used.wall_s >= used.cpu_s / 4.0 && used.peak_mib > 0.1, "{used:?}");

        let error = run(vec![shell("echo broken >&2; exit 3")], &[]).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
