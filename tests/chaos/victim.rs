//! The process under attack: an observatory with a rule, two webhooks and a few commands on standard input.

use std::{
    env,
    io::{self, BufRead as _},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use llm_observatory::{
    Config, Observatory, TraceExporter, TracesConfig,
    alerting::{
        AlertRule, AlertsError, Escalation, Receiver, Route, Routing, Severity, WebhookOptions,
    },
};
use tracing::{Instrument as _, info_span};

/// The variable with the URL of the webhooks.
pub(crate) const RECEIVER: &str = "CHAOS_RECEIVER";
/// The variable with the values that the gauge has some time after the start, as `n=value`.
pub(crate) const LEVELS: &str = "CHAOS_LEVELS";
/// The variable with the URL of the receiver of spans.
pub(crate) const SPANS: &str = "CHAOS_SPANS";

/// The number of tasks that leave their span and enter it again on another thread.
const POLLS: usize = 4;

pub(crate) fn run() {
    let observatory = Observatory::install(config()).unwrap();
    if let Some(address) = observatory.listen_address() {
        println!("listening {address}");
    }
    let levels = env::var(LEVELS).unwrap_or_default();
    if !levels.is_empty() {
        thread::spawn(move || {
            // Like a service that learns its values some time after the start.
            thread::sleep(Duration::from_millis(200));
            // The highest first, so that no tick sees a low value alone.
            for high in ["1", "0"] {
                let all = levels.split(',').filter_map(|pair| pair.split_once('='));
                let own = all.filter(|(_, value)| *value == high);
                own.for_each(|(n, value)| level(n, value.parse().unwrap()));
            }
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = command(&observatory, &runtime, &words);
        println!("done {answer}");
    }
}

fn command(observatory: &Observatory, runtime: &tokio::runtime::Runtime, words: &[&str]) -> String {
    let alerts = observatory.alerts();
    match *words {
        ["raise", name] => {
            let raised = alerts.trigger_durably(name, Severity::Error, "chaos", &[]);
            match runtime.block_on(raised) {
                // Without a data directory, no alert survives the process.
                Ok(()) | Err(AlertsError::NotDurable(_)) => "accepted".to_owned(),
                Err(error) => error.to_string(),
            }
        }
        ["resolve", name] => match runtime.block_on(alerts.resolve_durably(name, &[])) {
            Ok(resolved) => resolved.to_string(),
            Err(_) => "1".to_owned(),
        },
        ["level", n, value] => {
            level(n, value.parse().unwrap());
            String::new()
        }
        // Occupies every worker of the runtime.
        ["block", milliseconds] => {
            let time = Duration::from_millis(milliseconds.parse().unwrap());
            for _ in 0..2 {
                runtime.spawn(async move { thread::sleep(time) });
            }
            String::new()
        }
        ["spans", number, threads] => {
            let start = Instant::now();
            spans(runtime, number.parse().unwrap(), threads.parse().unwrap());
            start.elapsed().as_secs_f64().to_string()
        }
        _ => panic!("no command {words:?}"),
    }
}

fn level(n: &str, value: f64) {
    metrics::gauge!("chaos_level", "n" => n.to_owned()).set(value);
}

/// Opens inferences on several threads: a third in a call, a third moved to another thread, a third as a future that a
/// multi-threaded runtime polls.
fn spans(runtime: &tokio::runtime::Runtime, number: usize, threads: usize) {
    thread::scope(|scope| {
        for own in 0..threads {
            scope.spawn(move || {
                let mut moved = Vec::new();
                let mut tasks = tokio::task::JoinSet::new();
                for turn in 0..number / threads {
                    let status = if turn % 10 == 0 { "error" } else { "success" };
                    let model = format!("m{}", (turn + own) % 8);
                    let span = info_span!(
                        "inference",
                        model_id = model,
                        engine = "chaos",
                        prompt_tokens = 3,
                        completion_tokens = 5,
                        status,
                    );
                    match turn % 3 {
                        0 => span.in_scope(|| ()),
                        1 => moved.push(span),
                        _ => {
                            let work = async {
                                for _ in 0..POLLS {
                                    tokio::task::yield_now().await;
                                }
                            };
                            tasks.spawn_on(work.instrument(span), runtime.handle());
                        }
                    }
                    if moved.len() == 256 {
                        let spans = std::mem::take(&mut moved);
                        scope.spawn(move || {
                            for span in spans {
                                span.in_scope(|| ());
                            }
                        });
                    }
                    if tasks.len() >= 512 {
                        runtime.block_on(async { while tasks.join_next().await.is_some() {} });
                    }
                }
                runtime.block_on(async { while tasks.join_next().await.is_some() {} });
            });
        }
    });
}

fn config() -> Config {
    let mut config = Config::load()
        .unwrap()
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_prefix("llm_router_")
        .with_tick(Duration::from_millis(200))
        .with_log_filter("warn");
    config.alerting.default_rules = false;
    config.alerting.evaluation_interval = Duration::from_millis(200);
    config.alerting.aggregation_window = Duration::from_secs(1);
    if let Ok(url) = env::var(RECEIVER) {
        let escalation = || Escalation::after(Duration::from_secs(1)).with_step(["pager"]);
        let timing = (
            Duration::from_millis(20),
            Duration::from_millis(500),
            Duration::from_hours(1),
        );
        let team = Receiver::new("team", ["hook"]).with_escalation(escalation());
        let route = Route::to("team")
            .with_group_by(["alertname"])
            .with_timing(timing.0, timing.1, timing.2);
        config.alerting.channels.clear();
        config = config
            .with_channel("hook", WebhookOptions::new([format!("{url}/hook")]))
            .with_channel("pager", WebhookOptions::new([format!("{url}/pager")]))
            .with_routing(Routing::to_receiver(team).with_route(route))
            .with_rule(
                AlertRule::new("wave")
                    .expr("chaos_level > 0")
                    .group_by(["n"])
                    .channels(["hook"])
                    .escalation(escalation()),
            );
    }
    if let Ok(url) = env::var(SPANS) {
        let mut traces = TracesConfig::default();
        traces.exporters = vec![TraceExporter::Otlp];
        traces.otlp.endpoint = Some(format!("{url}/v1/traces"));
        traces.otlp.timeout = Duration::from_secs(2);
        traces.batch.delay = Duration::from_millis(200);
        config = config.with_traces(traces);
    }
    config
}
