//! What a process tells of itself: [`log_to_stderr`] starts the log, [`Metrics`] the numbers that `/metrics` shows.

use crate::settings::{LogFormat, Telemetry};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Sends the log to stderr in the format that is set. Done once, at the start of a process; a second time changes
/// nothing.
pub fn log_to_stderr(telemetry: &Telemetry) {
    let filter = EnvFilter::new(&telemetry.log_level.0);
    let registry = tracing_subscriber::registry().with(filter);
    // Only the first subscriber of a process counts, and a test may have set one before.
    let _ = match telemetry.log_format {
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init(),
        LogFormat::Pretty => {
            registry.with(fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr)).try_init()
        }
    };
}

/// Seconds: the upper bounds of what a histogram counts, from a commit to a rebuild.
const BUCKETS_SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The process's numbers, which anything in it adds to through the `metrics` macros.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Makes these the process's numbers. Fails where the process has some already.
    pub fn install() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)?;
        Ok(Self(builder.install_recorder()?))
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        // Without its own listener the exporter is tidied by nobody else, and old samples would pile up.
        self.0.run_upkeep();
        self.0.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_with_its_buckets() {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)
            .unwrap()
            .build_recorder();
        let shown = Metrics(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("appends_total").increment(2);
            metrics::histogram!("append_seconds").record(0.003);
        });
        let text = shown.render();
        assert!(text.contains("appends_total 2"), "{text}");
        assert!(text.contains("append_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }
}
