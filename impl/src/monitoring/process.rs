//! What the system says about this process, under the names that Prometheus' own libraries use. Where the system is not
//! Linux, it isn't asked.

use std::{fs, str::FromStr};

use super::metrics;

/// Sets the gauges.
pub(super) fn sample() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = field::<f64>(&status, "VmRSS:") {
        metrics::resident_memory(kib * 1024.0);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder that is read is one itself.
        metrics::open_files(open.count().saturating_sub(1));
    }
}

fn field<T: FromStr>(status: &str, name: &str) -> Option<T> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        let status = "VmPeak:\t  100 kB\nVmRSS:\t    4096 kB\n";
        assert_eq!(field(status, "VmRSS:"), Some(4096));
        assert_eq!(field::<u64>(status, "VmSwap:"), None);
    }
}
