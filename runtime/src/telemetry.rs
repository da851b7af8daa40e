//! What a process tells of itself: [`log_to_stderr`] starts the log, [`Metrics`] the numbers that `/metrics` shows.

use crate::settings::{LogFormat, Telemetry};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::{IsTerminal, stderr};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

/// Sends the log to stderr in the format that is set. Done once, at the start of a process; a second time changes
/// nothing.
pub fn log_to_stderr(telemetry: &Telemetry) {
    let registry = tracing_subscriber::registry().with(filter(&telemetry.log_level.0));
    // Only the first subscriber of a process counts, and a test may have set one before.
    let _ = match telemetry.log_format {
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init(),
        LogFormat::Pretty => {
            registry.with(fmt::layer().with_ansi(stderr().is_terminal()).with_writer(stderr)).try_init()
        }
    };
}

/// What is logged at this level, which may be a list of targets with theirs.
fn filter<S: Subscriber + for<'a> LookupSpan<'a>>(level: &str) -> impl Layer<S> {
    EnvFilter::new(level).and_then(filter_fn(|metadata| !is_telling_secrets(metadata)))
}

/// The NATS client's connector prints its options when it is asked to be talkative, with the password in clear.
fn is_telling_secrets(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("async_nats::connector") && *metadata.level() > Level::INFO
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
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    /// What is logged at this level of a line of the NATS client's connector and of one of ours.
    fn logged(level: &str) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = written.clone();
        let layer = fmt::layer().with_ansi(false).with_writer(move || Sink(writer.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter(level)).with(layer), || {
            tracing::debug!(target: "async_nats::connector", password = "hunter2", "connecting");
            tracing::trace!(target: "async_nats::connector::tls", password = "hunter2", "connecting");
            tracing::info!(target: "async_nats::connector", "connected");
            tracing::debug!("ours");
        });
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_the_level_a_password_is_not_logged() {
        for level in ["debug", "trace", "info,async_nats::connector=trace", "async_nats=trace"] {
            let text = logged(level);
            assert!(!text.contains("hunter2") && text.contains("connected"), "{level}: {text}");
        }
        assert!(logged("debug").contains("ours"));
        assert_eq!(logged("error"), "");
    }

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
