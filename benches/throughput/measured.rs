//! Runs a program and watches what it takes: wall time, processor time, resident memory.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running program is looked at; what it takes in its last moments is missed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Linux counts processor time in hundredths of a second, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// From start to end.
    pub wall_seconds: f64,
    /// User and system time of all its threads.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once.
    pub peak_mib: f64,
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or ends otherwise than by 0; what it said is in the error.
pub fn run(command: &mut Command) -> Result<Run, String> {
    let shown = format!("{command:?}");
    let failed = |error: io::Error| format!("{shown}: {error}");
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut run = Run::default();
    loop {
        if let Some((cpu_seconds, peak_mib)) = look_at(child.id()) {
            run = Run {
                cpu_seconds,
                peak_mib,
                ..run
            };
        }
        if let Some(status) = child.try_wait().map_err(failed)? {
            run.wall_seconds = began.elapsed().as_secs_f64();
            if status.success() {
                return Ok(run);
            }
            let said = child
                .stderr
                .take()
                .and_then(|said| io::read_to_string(said).ok())
                .unwrap_or_default();
            return Err(format!("{shown} ended with {status}\n{said}"));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs a command for so long, or to its end where that comes first.
///
/// # Errors
/// It cannot be started, or ends otherwise than by 0.
pub fn run_for(command: &mut Command, time: Duration) -> Result<Run, String> {
    let shown = format!("{command:?}");
    let failed = |error: io::Error| format!("{shown}: {error}");
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let mut run = Run::default();
    while began.elapsed() < time {
        if let Some((cpu_seconds, peak_mib)) = look_at(child.id()) {
            run = Run {
                wall_seconds: began.elapsed().as_secs_f64(),
                cpu_seconds,
                peak_mib,
            };
        }
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(run),
            Some(status) => return Err(format!("{shown} ended with {status}")),
            None => thread::sleep(LOOK_EVERY),
        }
    }
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    Ok(run)
}

/// Returns the processor time of this process so far.
pub fn own_cpu_seconds() -> f64 {
    look_at(std::process::id()).map_or(0.0, |(cpu_seconds, _)| cpu_seconds)
}

fn look_at(process: u32) -> Option<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name, and may hold blanks.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let (user, system): (f64, f64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some(((user + system) / TICKS_PER_SECOND, peak_kib / 1024.0))
}

/// Measures what every store on this disk lives by: how often in a second a page of 4 kB, appended to a file, can be made durable.
pub fn commits_per_second(folder: &Path) -> io::Result<f64> {
    const COMMITS: u32 = 400;
    let path = folder.join("commits");
    let mut file = fs::File::create(&path)?;
    let began = Instant::now();
    for _ in 0..COMMITS {
        file.write_all(&[0x70; 4096])?;
        file.sync_data()?;
    }
    let per_second = f64::from(COMMITS) / began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(per_second)
}
