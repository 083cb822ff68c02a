//! What unjack costs itself, under the names that all exporters have.

use procfs::process::Process;
use prometheus::{Counter, Gauge};

use super::{add, registrar::Registrar};

/// Metrics of this process.
#[derive(Debug)]
pub(super) struct OwnProcess {
    cpu_seconds: Counter,
    resident: Gauge,
    start: Gauge,
}

impl OwnProcess {
    pub(super) fn new(new: &Registrar) -> prometheus::Result<Self> {
        Ok(Self {
            cpu_seconds: new.add(Counter::new(
                "process_cpu_seconds_total",
                "CPU time of unjack itself, user and system.",
            )?)?,
            resident: new.add(Gauge::new(
                "process_resident_memory_bytes",
                "Resident memory of unjack itself.",
            )?)?,
            start: new.add(Gauge::new(
                "process_start_time_seconds",
                "When unjack started, in seconds since the Unix epoch.",
            )?)?,
        })
    }

    /// Reads them anew.
    ///
    /// # Errors
    /// `/proc/self` cannot be read.
    pub(super) fn refresh(&self) -> procfs::ProcResult<()> {
        let stat = Process::myself()?.stat()?;
        let hz = procfs::ticks_per_second() as f64;
        let cpu = (stat.utime + stat.stime) as f64 / hz;
        add(&self.cpu_seconds, cpu - self.cpu_seconds.get());
        self.resident.set((stat.rss * procfs::page_size()) as f64);
        self.start
            .set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / hz);
        Ok(())
    }
}
